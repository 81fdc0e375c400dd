//! Paths of one instance: detail, one step, change of status, events.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_engine::engine::Command;
use stepwell_engine::{Source, Status, StreamRef};
use stepwell_store::backend::HistoryPage;
use stepwell_store::{InstanceRow, WorkflowRow};

use super::detail::{Detail, ErrorView, FiredBy, Inline, Step, next_wake};
use super::envelope::{Reply, success};
use super::limits::{
    BODY_BYTES_MAX, HISTORY_BYTES_MAX, HISTORY_ROWS_MAX, OUTPUT_BYTES_MAX, READ_TRIES_MAX, WAIT_MS_MAX,
};
use super::resource::Part;
use super::route::{Answer, Route};
use super::stream_output::stream_output;
use super::timeline::{Folded, Keep, Timeline};
use super::times::Iso;
use super::{Api, body, logs, public_ids};
use crate::api_error::ApiError;
use crate::auth::Scope;
use crate::driver::now_ms;
use crate::platform::Platform;
use crate::restart_from::{RestartFrom, restart_command};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/workflows/{workflow}/instances/{instance}", Scope::Payloads, show)
            .says("Shows an instance with its steps; with wait_ms, once it has ended or that time has passed")
            .asks::<ShowParams>()
            .gives::<Detail>(),
        Route::get("/workflows/{workflow}/instances/{instance}/step", Scope::Payloads, step)
            .says("Shows a step with its whole output")
            .asks::<StepParams>()
            .gives_answer(Answer::ResultOrBytes(SchemaGenerator::subschema_for::<Value>)),
        Route::get("/workflows/{workflow}/instances/{instance}/logs", Scope::Payloads, logs::show)
            .says("Lists what an instance's code wrote to its console")
            .asks::<logs::LogParams>()
            .gives::<logs::LogPage>(),
        Route::patch("/workflows/{workflow}/instances/{instance}/status", Scope::Manage, change_status)
            .says("Pauses, resumes, restarts or terminates an instance")
            .takes::<StatusBody>()
            .gives::<StatusView>(),
        Route::post("/workflows/{workflow}/instances/{instance}/events/{event}", Scope::Trigger, send_event)
            .says("Sends an event to an instance; the body is its payload")
            .takes::<Value>()
            .gives::<Value>(),
    ]
}

#[derive(Deserialize, JsonSchema)]
pub struct ShowParams {
    order: Option<String>,
    simple: Option<bool>,
    wait_ms: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
pub struct StepParams {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    attempt: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StatusChange")]
struct StatusBody {
    status: String,
    from: Option<RestartFrom>,
    #[serde(default)]
    rollback: bool,
}

/// What became of an instance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InstanceStatus")]
struct StatusView {
    status: &'static str,
    timestamp: Iso,
}

pub async fn show(State(api): State<Api>, Part(name, id): Part, Query(params): Query<ShowParams>) -> Reply {
    let newest_first = match params.order.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(ApiError::bad_request(format!("order: {other:?} is not asc or desc")).into()),
    };
    let workflow = api.platform.workflow(&name).await?;
    wait(&api.platform, &workflow, &id, params.wait_ms).await?;
    let (row, folded) = read(&api.platform, &workflow, &id, &Keep::Bytes(OUTPUT_BYTES_MAX)).await?;
    let mut detail = detail(workflow.name.name, row, folded);
    match &mut detail.steps {
        steps if params.simple == Some(true) => *steps = None,
        Some(steps) if newest_first => steps.reverse(),
        _ => {}
    }
    Ok(success(detail))
}

async fn wait(platform: &Platform, workflow: &WorkflowRow, id: &str, wait_ms: Option<u64>) -> Result<(), ApiError> {
    let Some(wait_ms) = wait_ms else { return Ok(()) };
    if wait_ms > WAIT_MS_MAX {
        return Err(ApiError::bad_request(format!("wait_ms: {wait_ms} is more than {WAIT_MS_MAX}; ask again instead")));
    }
    let row = platform.instance(workflow, id).await?;
    platform.wait_ended(&row, Duration::from_millis(wait_ms)).await
}

/// Reads an instance and its history as of one moment: as many entries as its row says.
async fn read(
    platform: &Platform,
    workflow: &WorkflowRow,
    id: &str,
    keep: &Keep,
) -> Result<(InstanceRow, Folded), ApiError> {
    for _ in 0..READ_TRIES_MAX {
        let row = platform.instance(workflow, id).await?;
        if let Some(folded) = fold(platform, &row, keep.clone()).await? {
            return Ok((row, folded));
        }
        // Deleted or restarted meanwhile: the next look tells.
    }
    Err(ApiError::new(503, 20_503, "the instance is restarted again and again; try later"))
}

async fn fold(platform: &Platform, row: &InstanceRow, keep: Keep) -> Result<Option<Folded>, ApiError> {
    let mut timeline = Timeline::new(keep);
    let mut next_seq = 0;
    while next_seq < row.entry_count {
        let page = HistoryPage {
            from_seq: next_seq,
            until_seq: row.entry_count,
            rows_max: HISTORY_ROWS_MAX,
            bytes_max: HISTORY_BYTES_MAX,
        };
        let entries = platform.store.history(row.key, page).await?;
        let Some(last) = entries.last() else { return Ok(None) };
        next_seq = last.seq + 1;
        entries.into_iter().for_each(|entry| timeline.push(entry));
    }
    Ok(Some(timeline.finish()))
}

fn detail(workflow: String, row: InstanceRow, folded: Folded) -> Detail {
    let summary = row.summary;
    let is_step = |step: &&Step| !matches!(step, Step::Rollback(_) | Step::Termination { .. });
    let waits = matches!(summary.status, Status::Waiting | Status::RollingBack);
    Detail {
        status: summary.status.as_str(),
        params: Inline(folded.params.json),
        trigger: folded.trigger,
        version_id: public_ids::version(summary.deployment),
        queued: Iso(row.created_at),
        start: summary.started_at.map(Iso),
        end: summary.ended_at.map(Iso),
        success: summary.status.is_final().then_some(summary.status == Status::Complete),
        error: folded.error.map(ErrorView::from),
        output: folded.output.and_then(|output| output.json),
        rollback: folded.rollback,
        step_count: folded.steps.iter().filter(is_step).count(),
        wake_at: next_wake(&folded.steps).filter(|_| waits),
        expires_at: summary.expires_at().map(Iso),
        schedule: FiredBy::of(&row.id),
        steps: Some(folded.steps),
        id: row.id,
        workflow,
        diverged: folded.diverged,
        deployment: summary.deployment.0,
    }
}

pub async fn step(State(api): State<Api>, Part(name, id): Part, Query(params): Query<StepParams>) -> Reply {
    let wants_wait = match params.kind.as_deref() {
        None | Some("step") => false,
        Some("waitForEvent") => true,
        Some(other) => {
            return Err(ApiError::bad_request(format!("type: {other:?} is not step or waitForEvent")).into());
        }
    };
    let workflow = api.platform.workflow(&name).await?;
    let (row, folded) = read(&api.platform, &workflow, &id, &Keep::OfStep(params.name.clone())).await?;
    let is_wanted =
        |step: &&Step| step.name() == Some(&params.name) && matches!(step, Step::WaitForEvent(_)) == wants_wait;
    let step = folded.steps.iter().find(is_wanted);
    if let Some(stream) = step.and_then(|step| stream_of(step, params.attempt)) {
        return Ok(stream_output(api.platform.store.clone(), row.key, stream));
    }
    match step.and_then(|step| step_view(step, params.attempt)) {
        Some(view) => Ok(success(view)),
        None => {
            let message =
                format!("no such step or attempt: {:?}; names are those of the detail's `steps`", params.name);
            Err(ApiError::new(404, 10_404, message).into())
        }
    }
}

/// The stream that a step, or that attempt of it, gave.
fn stream_of(step: &Step, attempt: Option<usize>) -> Option<StreamRef> {
    let Step::Do(step) = step else { return None };
    let is_last = attempt.is_none_or(|number| number == step.attempts.len());
    step.stream.filter(|_| is_last)
}

fn step_view(step: &Step, attempt: Option<usize>) -> Option<Value> {
    match (step, attempt) {
        (Step::Do(step), None) => {
            let error = step.attempts.last().and_then(|attempt| attempt.error.as_ref());
            let error = error.filter(|_| step.success == Some(false));
            Some(json!({ "status": ended_word(step.success), "output": step.output, "error": error }))
        }
        (Step::Do(step), Some(number)) => {
            let attempt = step.attempts.get(number.checked_sub(1)?)?;
            let output = step.output.as_ref().filter(|_| attempt.success == Some(true));
            Some(json!({ "status": ended_word(attempt.success), "output": output, "error": attempt.error }))
        }
        (Step::Sleep(wait) | Step::WaitForEvent(wait), None) => {
            let success = wait.finished.then_some(wait.error.is_none());
            Some(json!({
                "status": if wait.finished { ended_word(success) } else { "waiting" },
                "output": wait.output,
                "error": wait.error,
                "event_type": wait.event_type,
            }))
        }
        _ => None,
    }
}

fn ended_word(success: Option<bool>) -> &'static str {
    match success {
        None => "running",
        Some(true) => "complete",
        Some(false) => "errored",
    }
}

pub async fn change_status(State(api): State<Api>, Part(name, id): Part, request: Body) -> Reply {
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    let command = command(body::parse(&bytes)?)?;
    let workflow = api.platform.workflow(&name).await?;
    let answer = api.platform.command(&workflow, &id, command).await?;
    Ok(success(StatusView { status: answer.status.as_str(), timestamp: Iso(now_ms()) }))
}

fn command(body: StatusBody) -> Result<Command, ApiError> {
    match body.status.as_str() {
        "pause" => Ok(Command::Pause),
        "resume" => Ok(Command::Resume),
        "restart" => restart_command(body.from),
        "terminate" if body.rollback => Ok(Command::RollBack(Source::Api)),
        "terminate" => Ok(Command::Terminate(Source::Api)),
        other => {
            let message = format!("status: {other:?} is not one of pause, resume, restart, terminate");
            Err(ApiError::bad_request(message))
        }
    }
}

pub async fn send_event(
    State(api): State<Api>,
    Part(name, id): Part,
    Path((.., event_type)): Path<(String, String, String, String)>,
    request: Body,
) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    let payload = body::parse_payload(&bytes)?;
    api.platform.command(&workflow, &id, Command::SendEvent { event_type, payload }).await?;
    Ok(success(json!({})))
}
