//! Programs that take long or make much: attempts of minutes, sleeps of a month, a thousand instances asleep, 12,000 steps, 200 MiB of results. Where
//! time matters, the server's clock is the test's.

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

const MUCH: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Much extends WorkflowEntrypoint {
    async run({ payload }, step) {
        let sum = 0;
        for (let index = 0; index < payload.steps; index += 1) {
            const part = await step.do('part', async () => String(index % 10).repeat(payload.length));
            if (part[0] !== String(index % 10)) throw new Error(`${index}: ${part[0]}`);
            sum += part.length;
        }
        await step.waitForEvent('wait', { type: 'go' });
        return sum;
    }
}";

const RESTS: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Rests extends WorkflowEntrypoint {
    async run({ payload }, step) {
        const before = await step.do('before', async () => 'rested');
        await step.sleep('rest', payload.nap);
        return `${before} ${payload.nap}`;
    }
}";

const SLEEPERS: u64 = 1_000;
/// As many as a batch may have.
const BATCH: u64 = 100;
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
    async fn count(&self, workflow: &str, status: &str) -> u64 {
        let answer = self.api(Method::GET, &format!("workflows/{workflow}"), "").await.ok();
        answer["result"]["instances"][status].as_u64().unwrap_or(0)
    }

    /// So many instances have this status. Their details, which are long here, are not looked at.
    async fn until_count(&self, workflow: &str, status: &str, count: u64) {
        let told = || format!("{count} instances are {status}");
        eventually(told, || async { (self.count(workflow, status).await == count).then_some(()) }).await;
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
    server.until_count("Sleeper", "waiting", SLEEPERS).await;
    server.deploy("app", &CLASSES, &sleeper("new")).await.ok();
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.count("Sleeper", "waiting").await, SLEEPERS, "a deploy wakes nobody");
    server.stop();

    let server = serve(state.path(), "2026-11-22T10:30:00Z").await;
    server.until_count("Sleeper", "complete", SLEEPERS).await;
    for number in 0..SLEEPERS {
        let id = format!("i{number}");
        assert_eq!(server.output("Sleeper", &id).await, json!(["old", "old"]), "{id}");
    }
}

#[tokio::test]
async fn a_sleep_of_seven_days_and_one_of_a_month_end_when_they_are_over() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = serve(state.path(), "2026-11-21T10:00:00Z").await;
    server.deploy("app", &["Rests"], RESTS).await.ok();
    let naps = [("week", "7 days", "2026-11-28T10:0"), ("month", "1 month", "2026-12-21T10:0")];
    for (id, nap, wakes) in naps {
        server.create_as("Rests", id, json!({ "nap": nap })).await;
        let detail = server.until_status("Rests", id, "waiting").await;
        let wake_at = detail["wake_at"].as_str().expect("a time");
        assert!(wake_at.starts_with(wakes), "{nap}: {wake_at}");
    }
    server.stop();

    // Before the first is over, between the two, and after both.
    for (clock, ended) in [("2026-11-28T09:59:00Z", 0), ("2026-12-21T09:59:00Z", 1), ("2026-12-21T10:30:00Z", 2)] {
        let server = serve(state.path(), clock).await;
        for (id, nap, _) in &naps[..ended] {
            assert_eq!(server.output("Rests", id).await, format!("rested {nap}"), "{clock}");
        }
        for (id, ..) in &naps[ended..] {
            assert_eq!(server.status("Rests", id).await, "waiting", "{clock}: {id}");
        }
        server.stop();
    }
}

/// An instance that makes so many results of this length, and reads them again in another run.
async fn check_much(steps: usize, length: usize) {
    let workflow = json!({ "name": "Much", "binding": "MUCH", "class_name": "Much", "limits": { "steps": steps } });
    let project = Project::configured("much", &[], json!({ "workflows": [workflow] }), MUCH);
    let server = Server::dev(&[&project]).await;
    let id = server.create("Much", json!({ "steps": steps, "length": length })).await;
    server.until_count("Much", "waiting", 1).await;
    server.changed("Much", &id, "pause").await;
    server.until_count("Much", "paused", 1).await;
    server.changed("Much", &id, "resume").await;
    server.send_event("Much", &id, "go", json!({})).await.ok();
    server.until_count("Much", "complete", 1).await;
    let simple = server.api(Method::GET, &format!("workflows/Much/instances/{id}?simple=true"), "").await.ok();
    assert_eq!(simple["result"]["step_count"], json!(steps + 1), "the wait counts as one");
    assert_eq!(simple["result"]["output"], json!((steps * length).to_string()));
}

#[tokio::test]
async fn twelve_thousand_steps_in_a_loop_come_back_after_a_replay() {
    check_much(12_000, 1).await;
}

#[tokio::test]
async fn results_of_200_mebibytes_come_back_after_a_replay() {
    check_much(400, 512 * 1024).await;
}
