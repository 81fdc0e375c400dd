//! The texts that the adapter Worker and the server exchange. User values stay texts on both ways.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use stepwell_engine::engine::Command;
use stepwell_engine::{ErrorRecord, InstanceKey, Payload, Retention, Source, Status};
use stepwell_store::ScopedName;

use crate::api_error::ApiError;
use crate::platform::{NewInstance, StatusView};
use crate::platform_batch::{BATCH_INSTANCES_MAX, check_location_hint, invalid_id, is_addressable_id};
use crate::rest::RetentionOptions;
use crate::restart_from::{RestartFrom, restart_command};
use crate::subscription::{Options as SubscriptionOptions, Place};
use crate::travelling::{Travelling, raw_or_null};

/// What a binding wants.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    /// `create`.
    Create(NewInstance),
    /// `createBatch` with an array: ids that are taken are passed over.
    CreateArray(Vec<NewInstance>),
    /// `createBatch` with an object: says what happened to each.
    CreateObject(Vec<NewInstance>),
    /// `get`.
    Find(String),
    /// `status`.
    Status(String),
    /// `pause`, `resume`, …
    Command(String, Command),
    /// `deleteBatch`.
    DeleteBatch(Vec<String>),
    /// `subscribe`.
    Subscribe(String, SubscriptionOptions),
    /// `next` of a subscription.
    Next(Place, SubscriptionOptions),
    /// The end of a subscription, by the number of its reader.
    Unsubscribe(u64),
}

#[derive(Deserialize)]
struct CreateBody<'a> {
    id: Option<String>,
    #[serde(borrow)]
    params: Option<Travelling<'a>>,
    retention: Option<RetentionOptions>,
    #[serde(rename = "locationHint")]
    location_hint: Option<Value>,
}

#[derive(Deserialize)]
struct BatchBody<'a> {
    form: String,
    #[serde(default, deserialize_with = "given")]
    count: Option<Value>,
    #[serde(borrow)]
    instances: Option<Vec<CreateBody<'a>>>,
    #[serde(borrow)]
    params: Option<Travelling<'a>>,
    retention: Option<RetentionOptions>,
    #[serde(rename = "locationHint")]
    location_hint: Option<Value>,
}

/// A member that is there is given, whatever it is.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct InstanceBody<'a> {
    id: String,
    #[serde(borrow, default, deserialize_with = "raw_or_null")]
    options: Option<&'a RawValue>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    #[serde(borrow)]
    payload: Option<Travelling<'a>>,
}

#[derive(Deserialize, Default)]
struct Options {
    from: Option<RestartFrom>,
    #[serde(default)]
    rollback: bool,
}

/// Where a subscriber is: what the server gave it, and the last event it got.
#[derive(Deserialize)]
struct NextBody<'a> {
    incarnation: u64,
    reader: u64,
    cursor: Option<u64>,
    #[serde(borrow, default, deserialize_with = "raw_or_null")]
    options: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct DeleteBody {
    #[serde(default)]
    instances: Value,
}

impl Call {
    /// Reads a request.
    pub fn parse(method: &str, body: &[u8]) -> Result<Self, ApiError> {
        Ok(match method {
            "create" => Self::Create(new_instance(read(body)?)?),
            "createBatch" => read_batch(read(body)?)?,
            "deleteBatch" => Self::DeleteBatch(read_ids(read::<DeleteBody>(body)?.instances)?),
            "getInstance" => Self::Find(read::<InstanceBody<'_>>(body)?.id),
            "status" => Self::Status(read::<InstanceBody<'_>>(body)?.id),
            "subscribe" => read_subscribe(read(body)?)?,
            "next" => read_next(read(body)?)?,
            "unsubscribe" => Self::Unsubscribe(read::<NextBody<'_>>(body)?.reader),
            _ => read_command(method, body)?,
        })
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|_| invalid_argument())
}

fn invalid_argument() -> ApiError {
    ApiError::bad_request("(body) Provided argument is invalid")
}

fn new_instance(body: CreateBody<'_>) -> Result<NewInstance, ApiError> {
    check_location_hint(body.location_hint.as_ref())?;
    let retention = read_retention(body.retention)?;
    Ok(NewInstance { id: body.id, params: body.params.map(Payload::from), trigger: "binding", retention })
}

fn read_batch(body: BatchBody<'_>) -> Result<Call, ApiError> {
    if let Some(count) = &body.count {
        let retention = read_retention(body.retention)?;
        return read_count(count, body.params.map(Payload::from), retention, body.location_hint.as_ref());
    }
    let instances = body.instances.ok_or_else(|| ApiError::bad_request("(body) Provided argument is invalid"))?;
    let batch = instances.into_iter().map(new_instance).collect::<Result<_, _>>()?;
    Ok(if body.form == "array" { Call::CreateArray(batch) } else { Call::CreateObject(batch) })
}

/// A retention, refused in the binding's way.
fn read_retention(options: Option<RetentionOptions>) -> Result<Retention, ApiError> {
    let refused = |error: ApiError| ApiError::bad_request(format!("(body) {}", error.message));
    options.unwrap_or_default().read().map_err(refused)
}

fn read_count(
    count: &Value,
    params: Option<Payload>,
    retention: Retention,
    location_hint: Option<&Value>,
) -> Result<Call, ApiError> {
    let count = count.as_u64().filter(|count| *count > 0);
    let count = count.ok_or_else(|| ApiError::bad_request("(body) count must be a positive integer"))?;
    if count > BATCH_INSTANCES_MAX as u64 {
        return Err(ApiError::bad_request("(body) batchCreate only supports 100 instances at a time"));
    }
    check_location_hint(location_hint)?;
    let each = |_| NewInstance { id: None, params: params.clone(), trigger: "binding", retention };
    Ok(Call::CreateObject((0..count).map(each).collect()))
}

/// Ids to delete; what is no text is no id.
fn read_ids(instances: Value) -> Result<Vec<String>, ApiError> {
    let Value::Array(ids) = instances else { return Err(ApiError::bad_request("(body) Provided argument is invalid")) };
    let text = |id| if let Value::String(id) = id { Ok(id) } else { Err(invalid_id()) };
    ids.into_iter().map(text).collect()
}

fn read_subscribe(body: InstanceBody<'_>) -> Result<Call, ApiError> {
    let options = SubscriptionOptions::parse(body.options.map(RawValue::get))?;
    Ok(Call::Subscribe(body.id, options))
}

fn read_next(body: NextBody<'_>) -> Result<Call, ApiError> {
    let options = SubscriptionOptions::parse(body.options.map(RawValue::get))?;
    let place = Place { key: InstanceKey(body.incarnation), reader: body.reader, cursor: body.cursor };
    Ok(Call::Next(place, options))
}

fn read_command(method: &str, body: &[u8]) -> Result<Call, ApiError> {
    let is_known = ["pause", "resume", "terminate", "restart", "deleteInstance", "sendEvent"].contains(&method);
    if !is_known {
        let message = format!("{method}() of a workflow binding is not supported here yet");
        return Err(ApiError::new(400, 20_003, message));
    }
    let body: InstanceBody<'_> = read(body)?;
    let options = match body.options {
        Some(text) => read::<Option<Options>>(text.get().as_bytes())?.unwrap_or_default(),
        None => Options::default(),
    };
    let command = match method {
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "terminate" if options.rollback => Command::RollBack(Source::Binding),
        "terminate" => Command::Terminate(Source::Binding),
        "restart" => restart_command(options.from)?,
        "deleteInstance" if !is_addressable_id(&body.id) => return Err(invalid_id()),
        "deleteInstance" => Command::Delete,
        _ => Command::SendEvent {
            event_type: body.event_type.unwrap_or_default(),
            payload: body.payload.map_or(Payload::UNDEFINED, Payload::from),
        },
    };
    Ok(Call::Command(body.id, command))
}

/// Workflow and method of a path `/workflows/<workflow>/<method>`.
pub(super) fn read_path(path: &str) -> Option<(ScopedName, &str)> {
    let (workflow, method) = path.strip_prefix("/workflows/")?.split_once('/')?;
    let workflow = percent_encoding::percent_decode_str(workflow).decode_utf8().ok()?;
    Some((ScopedName::parse(&workflow), method))
}

#[derive(Serialize)]
struct StatusAnswer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Travelling<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackAnswer<'a>>,
}

#[derive(Serialize)]
struct RollbackAnswer<'a> {
    outcome: &'static str,
    error: Option<ErrorAnswer<'a>>,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    name: &'a str,
    message: &'a str,
}

impl<'a> From<&'a ErrorRecord> for ErrorAnswer<'a> {
    fn from(ErrorRecord { name, message, .. }: &'a ErrorRecord) -> Self {
        Self { name, message }
    }
}

/// Writes what `status()` tells.
pub(super) fn write_status(view: &StatusView) -> Result<String, ApiError> {
    let output = view.output.as_ref().map(Travelling::of).transpose().map_err(ApiError::internal)?;
    let output = output.filter(|output| !output.is_undefined());
    let error = view.error.as_ref().map(ErrorAnswer::from);
    let rollback = view.rollback.as_ref().map(|failure| RollbackAnswer {
        outcome: if failure.is_some() { "failed" } else { "complete" },
        error: failure.as_ref().map(ErrorAnswer::from),
    });
    // A binding knows no word for it.
    let status = if view.status == Status::RollingBack { Status::Running } else { view.status };
    let answer = StatusAnswer { status: status.as_str(), output, error, rollback };
    serde_json::to_string(&answer).map_err(ApiError::internal)
}

/// Writes an error as the adapter throws it.
pub(super) fn write_error(error: &ApiError) -> String {
    // Production's errors of the workflow service carry their code in parentheses in front of the text.
    let is_workflow_error = error.message.starts_with('(');
    let name = if is_workflow_error { "WorkflowError" } else { "Error" };
    serde_json::json!({ "error": { "name": name, "message": error.message } }).to_string()
}

#[cfg(test)]
mod tests {
    use stepwell_engine::instance::{StepTarget, TargetKind};

    use super::*;

    fn parse(method: &str, body: &str) -> Call {
        Call::parse(method, body.as_bytes()).expect(body)
    }

    fn refused(method: &str, body: &str) -> String {
        Call::parse(method, body.as_bytes()).expect_err(body).message
    }

    fn new(id: Option<&str>, params: Option<Payload>) -> NewInstance {
        NewInstance { id: id.map(str::to_owned), params, trigger: "binding", retention: Retention::default() }
    }

    #[test]
    fn values_are_kept_as_they_came() {
        let exact = r#""[[\"Date\",\"2026\"]]""#;
        let body = format!(r#"{{"id":"a","params":{{"json":{{"d": 1.0}},"exact":{exact},"bytes":8}}}}"#);
        let payload = Payload { json: Some(r#"{"d": 1.0}"#.into()), exact: Some(exact.into()), value_bytes: 8 };
        assert_eq!(parse("create", &body), Call::Create(new(Some("a"), Some(payload))));
        assert_eq!(parse("create", "{}"), Call::Create(new(None, None)));
        let null = parse("create", r#"{"params":{"json":null}}"#);
        assert_eq!(null, Call::Create(new(None, Some(Payload::from_json("null")))));
    }

    #[test]
    fn batches_have_three_forms() {
        let two = vec![new(Some("a"), None), new(None, None)];
        assert_eq!(
            parse("createBatch", r#"{"form":"array","instances":[{"id":"a"},{}]}"#),
            Call::CreateArray(two.clone())
        );
        assert_eq!(parse("createBatch", r#"{"form":"object","instances":[{"id":"a"},{}]}"#), Call::CreateObject(two));
        let counted = parse("createBatch", r#"{"form":"object","count":2,"params":{"json":1}}"#);
        assert_eq!(counted, Call::CreateObject(vec![new(None, Some(Payload::from_json("1"))); 2]));
    }

    #[test]
    fn a_count_is_a_positive_integer_up_to_a_hundred() {
        for count in ["0", "-1", "1.5", "\"2\"", "null"] {
            let body = format!(r#"{{"form":"object","count":{count}}}"#);
            assert_eq!(refused("createBatch", &body), "(body) count must be a positive integer");
        }
        assert_eq!(refused("createBatch", r#"{"form":"object"}"#), "(body) Provided argument is invalid");
        let message = refused("createBatch", r#"{"form":"object","count":101}"#);
        assert_eq!(message, "(body) batchCreate only supports 100 instances at a time");
    }

    #[test]
    fn a_retention_that_is_none_is_refused_as_an_argument() {
        let message = refused("create", r#"{"id":"a","retention":{"successRetention":"soon"}}"#);
        assert!(message.starts_with("(body) success_retention: \"soon\": Duration must be"), "{message}");
    }

    #[test]
    fn commands_are_read_with_their_options() {
        assert_eq!(parse("pause", r#"{"id":"a"}"#), Call::Command("a".to_owned(), Command::Pause));
        assert_eq!(parse("restart", r#"{"id":"a","options":{}}"#), Call::Command("a".to_owned(), Command::Restart));
        let roll_back = parse("terminate", r#"{"id":"a","options":{"rollback":true}}"#);
        assert_eq!(roll_back, Call::Command("a".to_owned(), Command::RollBack(Source::Binding)));
        let target = StepTarget { kind: TargetKind::Sleep, name: "s".to_owned(), count: 1 };
        let body = r#"{"id":"a","options":{"from":{"name":"s","type":"sleep"}}}"#;
        assert_eq!(parse("restart", body), Call::Command("a".to_owned(), Command::RestartFrom(target)));
        let event = Command::SendEvent { event_type: "t".to_owned(), payload: Payload::from_json("[1]") };
        assert_eq!(
            parse("sendEvent", r#"{"id":"a","type":"t","payload":{"json":[1]}}"#),
            Call::Command("a".to_owned(), event)
        );
    }

    #[test]
    fn what_is_not_there_yet_says_so() {
        assert!(refused("sing", r#"{"id":"a"}"#).contains("sing()"));
    }

    #[test]
    fn a_subscription_is_opened_and_read_on_from_its_place() {
        let options = SubscriptionOptions { cursor: Some(3), filter: None };
        assert_eq!(
            parse("subscribe", r#"{"id":"a","options":{"cursor":3}}"#),
            Call::Subscribe("a".to_owned(), options.clone())
        );
        let place = Place { key: InstanceKey(7), reader: 2, cursor: Some(9) };
        let body = r#"{"incarnation":7,"reader":2,"cursor":9,"options":{"cursor":3}}"#;
        assert_eq!(parse("next", body), Call::Next(place, options));
        let message = refused("subscribe", r#"{"id":"a","options":{"cursor":-1}}"#);
        assert_eq!(message, "Invalid Workflow subscription options");
    }

    #[test]
    fn a_path_names_workflow_and_method() {
        assert_eq!(read_path("/workflows/my%2Dflow/create"), Some((ScopedName::in_default("my-flow"), "create")));
        assert_eq!(read_path("/other"), None);
    }

    #[test]
    fn a_status_carries_the_output_as_it_is_kept() {
        let output = Payload { json: Some("\"view\"".into()), exact: Some("\"[1]\"".into()), value_bytes: 3 };
        let view = StatusView { status: Status::Complete, output: Some(output), error: None, rollback: None };
        let written = write_status(&view).expect("a text");
        assert_eq!(written, r#"{"status":"complete","output":{"json":"view","exact":"[1]"}}"#);
        let undefined = StatusView { output: Some(Payload::UNDEFINED), ..view };
        assert_eq!(write_status(&undefined).expect("a text"), r#"{"status":"complete"}"#);
    }

    #[test]
    fn a_status_tells_how_the_rollback_ended() {
        let view = |status, rollback| StatusView { status, output: None, error: None, rollback };
        let written = |view: StatusView| write_status(&view).expect("a text");
        assert_eq!(written(view(Status::RollingBack, None)), r#"{"status":"running"}"#);
        let complete = written(view(Status::Terminated, Some(None)));
        assert_eq!(complete, r#"{"status":"terminated","rollback":{"outcome":"complete","error":null}}"#);
        let failed = written(view(Status::Terminated, Some(Some(ErrorRecord::new("A", "b")))));
        let error = r#"{"name":"A","message":"b"}"#;
        assert_eq!(failed, format!(r#"{{"status":"terminated","rollback":{{"outcome":"failed","error":{error}}}}}"#));
    }

    #[test]
    fn errors_of_workflows_have_productions_name() {
        assert_eq!(
            write_error(&ApiError::no_instance()),
            r#"{"error":{"message":"(instance.not_found) Instance does not exist","name":"WorkflowError"}}"#
        );
    }
}
