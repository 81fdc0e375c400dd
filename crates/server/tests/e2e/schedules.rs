//! Cron schedules: what fires, once, whatever becomes of the server. Its clock is the test's.

use std::path::Path;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, eventually};

const SOURCE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Tick extends WorkflowEntrypoint {
    async run(event, step) {
        return await step.do('look', async () => ({ schedule: event.schedule, id: event.instanceId, payload: event.payload }));
    }
}";

const EVERY_MINUTE: &str = "* * * * *";
/// 2026-11-21T10:01:00Z.
const FIRST_MS: i64 = 1_795_255_260_000;
const MINUTE_MS: i64 = 60_000;

fn project(schedules: &Json) -> Project {
    let workflow = json!({ "name": "Tick", "binding": "TICK", "class_name": "Tick", "schedules": schedules });
    Project::configured("app", &[], json!({ "workflows": [workflow] }), SOURCE)
}

fn id_of(cron: &str, at: i64) -> String {
    format!("{cron}-{at}")
}

/// When the firing was due that created an instance.
fn time_of(id: &str) -> i64 {
    id.rsplit_once('-').expect("a time").1.parse().expect("a number")
}

/// A clock that shows this.
fn clock_at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).expect("a time").to_string()
}

/// An id as it stands in a path.
fn encoded(id: &str) -> String {
    id.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn start(project: &Project, state: &Path, clock: &str) -> Server {
    Launch::dev(&[project]).state(state).arg("--test-clock").arg(clock).start().await
}

impl Server {
    /// Ids of the workflow's instances, oldest first.
    async fn fired(&self) -> Vec<String> {
        let answer = self.api(Method::GET, "workflows/Tick/instances?direction=asc&per_page=50", "").await.ok();
        let rows = answer["result"].as_array().expect("rows");
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn until_fired(&self, count: usize) -> Vec<String> {
        let told = || format!("{count} firings");
        eventually(told, || async { Some(self.fired().await).filter(|ids| ids.len() >= count) }).await
    }

    async fn schedules(&self) -> Json {
        self.api(Method::GET, "workflows/Tick", "").await.ok()["result"]["schedules"].clone()
    }
}

#[tokio::test]
async fn a_firing_creates_an_instance_that_knows_it() {
    let project = project(&json!(EVERY_MINUTE));
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(&project, state.path(), "2026-11-21T10:00:30Z*60").await;
    let id = server.until_fired(1).await.remove(0);
    let at = time_of(&id);
    assert_eq!((at % MINUTE_MS, at >= FIRST_MS), (0, true), "{id}");
    let detail = server.ended("Tick", &encoded(&id)).await;
    let schedule = json!({ "cron": EVERY_MINUTE, "scheduledTime": at });
    let output: Json = serde_json::from_str(detail["output"].as_str().expect("an output")).expect("JSON");
    assert_eq!(output, json!({ "schedule": schedule, "id": id, "payload": {} }));
    assert_eq!((&detail["trigger"]["source"], &detail["schedule"]), (&json!("cron"), &schedule));
    // A replay knows it as well.
    server.changed("Tick", &encoded(&id), "restart").await;
    let again = server.ended("Tick", &encoded(&id)).await;
    assert_eq!(again["output"], detail["output"]);
}

#[tokio::test]
async fn no_firing_doubles_and_after_a_pause_only_the_latest_happens() {
    let project = project(&json!([EVERY_MINUTE, "*/2 * * * *"]));
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(&project, state.path(), "2026-11-21T10:00:30Z*60").await;
    let before = server.until_fired(3).await;
    server.stop();
    // In the same minute again: nothing is due, and what is created meanwhile shows that time has passed.
    let minute = before.iter().map(|id| time_of(id)).max().expect("a firing");
    let server = start(&project, state.path(), &clock_at(minute + 1_000)).await;
    let before = server.fired().await;
    let own = server.create("Tick", json!({})).await;
    server.ended("Tick", &own).await;
    let mut after = server.fired().await;
    after.retain(|id| *id != own);
    assert_eq!(after, before);
    server.stop();
    // About ninety minutes later.
    let last = before.iter().map(|id| time_of(id)).max().expect("a firing");
    let even = last - last % (2 * MINUTE_MS) + 90 * MINUTE_MS;
    let server = start(&project, state.path(), &clock_at(even + MINUTE_MS + 5_000)).await;
    let mut new = server.until_fired(before.len() + 3).await;
    new.retain(|id| *id != own && !before.contains(id));
    new.sort();
    assert_eq!(new, [id_of(EVERY_MINUTE, even + MINUTE_MS), id_of("*/2 * * * *", even)]);
}

#[tokio::test]
async fn what_is_due_when_a_server_starts_does_not_wait_for_a_schedule() {
    let retention = json!({ "success_retention": "1 hour" });
    let workflow = json!({ "name": "Tick", "binding": "TICK", "class_name": "Tick", "schedules": "0 0 1 1 *",
        "default_retention": retention });
    let project = Project::configured("app", &[], json!({ "workflows": [workflow] }), SOURCE);
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(&project, state.path(), "2026-11-21T10:00:00Z").await;
    server.create_as("Tick", "one", json!({})).await;
    server.ended("Tick", "one").await;
    server.stop();
    let server = start(&project, state.path(), "2026-11-21T12:00:00Z").await;
    let is_gone = || async { server.fired().await.is_empty().then_some(()) };
    eventually(|| "the instance whose hour is over is gone".to_owned(), is_gone).await;
}

#[tokio::test]
async fn a_deploy_changes_schedules_at_once() {
    let project = project(&json!(EVERY_MINUTE));
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(&project, state.path(), "2026-11-21T10:00:01Z").await;
    project.change("wrangler.json", EVERY_MINUTE, "0 0 * * MON#2");
    let yearly = json!([{ "cron": "0 0 * * MON#2", "next_instance": "2026-12-14T00:00:00.000Z" }]);
    eventually(|| "the new schedule".to_owned(), || async { (server.schedules().await == yearly).then_some(()) }).await;
    project.change("wrangler.json", "\"0 0 * * MON#2\"", "[]");
    eventually(|| "no schedule".to_owned(), || async { server.schedules().await.is_null().then_some(()) }).await;
}

#[tokio::test]
async fn minutes_that_pass_fire_one_by_one() {
    let project = project(&json!(EVERY_MINUTE));
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(&project, state.path(), "2026-11-21T10:00:30Z*60").await;
    let ids = server.until_fired(3).await;
    let first = time_of(&ids[0]);
    let expected: Vec<String> = (0..).map(|n| id_of(EVERY_MINUTE, first + n * MINUTE_MS)).take(ids.len()).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_with_its_text() {
    let refused = Launch::dev(&[&project(&json!("61 * * * *"))]).refused().await;
    assert!(refused.stderr.contains("\"61 * * * *\" is not a cron expression"), "{}", refused.stderr);
    let server = Server::serve().await;
    server.deploy("app", &["Tick"], SOURCE).await.ok();
    let put = |schedules: Json| {
        let body = json!({ "script_name": "app", "class_name": "Tick", "schedules": schedules }).to_string();
        server.api(Method::PUT, "workflows/Tick", body)
    };
    let answer = put(json!([{ "cron": "0 0 30 2 *" }])).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("there is no such day"), "{}", answer.text());
    put(json!([{ "cron": "0 0 L 2 *" }])).await.ok();
    let schedules = server.schedules().await;
    assert_eq!(schedules[0]["cron"], "0 0 L 2 *");
    put(json!([])).await.ok();
    assert_eq!(server.schedules().await, Json::Null);
}
