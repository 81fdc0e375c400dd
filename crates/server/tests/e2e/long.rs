//! Programs that take long: attempts of minutes, and sleeps of a thousand instances. The server's clock is the test's.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, eventually, operator_token};

/// Attempts run on the machine's clock: six minutes are 1.2 of its seconds, eleven are 2.2.
const FAST: &str = "now*300";

const SLOW: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Slow extends WorkflowEntrypoint {
    async run({ payload }, step) {
        const config = { retries: { limit: 0, delay: 0 }, timeout: '10 minutes' };
        return await step.do('slow', config, async () => {
            await scheduler.wait(payload.ms);
            return 'took long';
        });
    }
}";

const SLEEPERS: usize = 1_000;
/// As many as a batch may have.
const BATCH: usize = 100;
const CLASSES: [&str; 1] = ["Sleeper"];

/// A Worker whose code says which it is.
fn sleeper(version: &str) -> String {
    format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';
export class Sleeper extends WorkflowEntrypoint {{
    async run(event, step) {{
        const before = await step.do('before', async () => '{version}');
        await step.sleep('long', '1 day');
        return [before, await step.do('after', async () => '{version}')];
    }}
}}
export default {{ fetch: () => Response.json('{version}') }};"
    )
}

/// How long the only attempt of the only step took, by the server's clock.
fn attempt_ms(detail: &Json) -> i64 {
    let attempt = &detail["steps"][0]["attempts"][0];
    let time = |name: &str| attempt[name].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    time("end").as_millisecond() - time("start").as_millisecond()
}

impl Server {
    async fn count(&self, status: &str) -> u64 {
        let answer = self.api(Method::GET, "workflows/Sleeper", "").await.ok();
        answer["result"]["instances"][status].as_u64().unwrap_or(0)
    }

    async fn until_all(&self, status: &str) {
        let told = || format!("all instances are {status}");
        eventually(told, || async { (self.count(status).await == SLEEPERS as u64).then_some(()) }).await;
    }
}

async fn serve(state: &std::path::Path, clock: &str) -> Server {
    let mut server = Launch::serve().state(state).arg("--test-clock").arg(clock).start().await;
    server.token = Some(operator_token(state));
    server
}

#[tokio::test]
async fn an_attempt_of_six_minutes_fits_into_its_timeout_of_ten() {
    let server = Launch::dev(&[&Project::worker("slow", &["Slow"], SLOW)]).arg("--test-clock").arg(FAST).start().await;
    let id = server.create("Slow", json!({ "ms": 1_200 })).await;
    assert_eq!(server.output("Slow", &id).await, "took long");
    let took_ms = attempt_ms(&server.instance("Slow", &id).await);
    assert!((360_000..600_000).contains(&took_ms), "{took_ms} ms");
}

#[tokio::test]
async fn an_attempt_of_more_than_its_ten_minutes_times_out() {
    let server = Launch::dev(&[&Project::worker("slow", &["Slow"], SLOW)]).arg("--test-clock").arg(FAST).start().await;
    let id = server.create("Slow", json!({ "ms": 60_000 })).await;
    let error = server.error("Slow", &id).await;
    assert_eq!(error, "WorkflowTimeoutError: Execution timed out after 600000ms");
}

#[tokio::test]
async fn a_thousand_sleepers_wake_on_their_own_code_after_a_deploy() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = serve(state.path(), "2026-11-21T10:00:00Z").await;
    server.deploy("app", &CLASSES, &sleeper("old")).await.ok();
    for batch in 0..SLEEPERS / BATCH {
        let ids: Vec<Json> = (0..BATCH).map(|n| json!({ "instance_id": format!("i{}", batch * BATCH + n) })).collect();
        server.api(Method::POST, "workflows/Sleeper/instances/batch", json!(ids).to_string()).await.ok();
    }
    server.until_all("waiting").await;
    server.deploy("app", &CLASSES, &sleeper("new")).await.ok();
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.count("waiting").await, SLEEPERS as u64, "a deploy wakes nobody");
    server.stop();

    let server = serve(state.path(), "2026-11-22T10:30:00Z").await;
    server.until_all("complete").await;
    for number in 0..SLEEPERS {
        let id = format!("i{number}");
        assert_eq!(server.output("Sleeper", &id).await, json!(["old", "old"]), "{id}");
    }
}
