//! `stepwell workflows trigger`: a new instance of a workflow, or many.

use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepwell_engine::names::is_instance_id;

use super::client::{Ask, Body};
use super::desk::Desk;
use super::screen::Tone;
use super::text::{counted, one_line};
use super::workflows::check_name;
use super::{CliError, ExitCode, argument, status};

/// The API takes so many instances in one request.
const BATCH_INSTANCES_MAX: usize = 100;

#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Name of the workflow
    name: String,
    /// Parameters of the instance: JSON, @FILE, or @- for standard input
    #[arg(value_name = "PARAMS")]
    positional_params: Option<String>,
    /// Parameters of the instance: JSON, @FILE, or @- for standard input
    #[arg(long, value_name = "JSON", conflicts_with = "positional_params")]
    params: Option<String>,
    /// Id of the instance [default: a random UUID]
    #[arg(long)]
    id: Option<String>,
    /// Many instances: a JSON array of {"id"?, "params"?} in place, @FILE, or @- for standard input. Ids that are taken are
    /// left out
    #[arg(long, value_name = "JSON", conflicts_with_all = ["positional_params", "params", "id"])]
    batch: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    status: String,
}

/// An instance of `--batch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<String>,
    params: Option<Box<RawValue>>,
}

/// An instance as the API takes it.
#[derive(Serialize)]
struct NewInstance {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Box<RawValue>>,
}

impl TriggerArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        check_name(&self.name)?;
        match &self.batch {
            Some(batch) => desk.trigger_many(&self.name, argument::json("--batch", batch)?.get()).await,
            None => desk.trigger(self).await,
        }
    }
}

impl Desk<'_> {
    async fn trigger(&self, args: TriggerArgs) -> Result<ExitCode, CliError> {
        let params = args.params.or(args.positional_params).filter(|text| !text.is_empty());
        let params = params.map(|text| argument::json("--params", &text)).transpose()?;
        let wanted = args.id.clone().unwrap_or_default();
        let body = json_text(&NewInstance { instance_id: args.id, params })?;
        let ask = Ask::new(Method::POST, &["workflows", &args.name, "instances"]).body(Body::Json(body));
        self.tell(ask, |created: Created| {
            let (name, id) = (one_line(&args.name), one_line(&created.id));
            let status = status::painted(&created.status, self.screen);
            let next = format!("stepwell workflows instances describe {name} {id} --watch");
            format!("Instance {id} of {name} has been created: {status}\n{}\n", self.screen.paint(Tone::Dim, &next))
        })
        .await
        .map_err(|error| error.about_instance(&args.name, &wanted))
    }

    /// In batches. Should one fail, those before it are there, and the error says how many.
    async fn trigger_many(&self, name: &str, batch: &str) -> Result<ExitCode, CliError> {
        let wanted: Vec<Wanted> = serde_json::from_str(batch)
            .map_err(|error| CliError::Usage(format!("--batch is no array of {{\"id\"?, \"params\"?}}: {error}")))?;
        let wanted: Vec<NewInstance> =
            wanted.into_iter().map(|one| NewInstance { instance_id: one.id, params: one.params }).collect();
        let mut created: Vec<Box<RawValue>> = Vec::with_capacity(wanted.len());
        for instances in wanted.chunks(BATCH_INSTANCES_MAX) {
            let ask = Ask::new(Method::POST, &["workflows", name, "instances", "batch"]);
            let answer = self.client.ask(ask.body(Body::Json(json_text(&instances)?))).await;
            let answer = answer.inspect_err(|_| told_before(created.len()));
            let wrong = instances.iter().filter_map(|one| one.instance_id.as_deref()).find(|id| !is_instance_id(id));
            let answer = answer.map_err(|error| error.about_instance(name, wrong.unwrap_or_default()))?;
            created.extend(answer.parse::<Vec<Box<RawValue>>>()?);
        }
        let left_out = wanted.len() - created.len().min(wanted.len());
        self.screen.show(&created, || {
            let taken =
                if left_out == 0 { String::new() } else { format!(" {left_out} left out: their ids are taken.") };
            format!("{} of {} created.{taken}\n", counted(created.len(), "instance"), one_line(name))
        })?;
        Ok(ExitCode::Ok)
    }
}

fn told_before(count: usize) {
    if count > 0 {
        super::warn(&format!("{} had been created before this failed", counted(count, "instance")));
    }
}

fn json_text(value: &impl Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}
