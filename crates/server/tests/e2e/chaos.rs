//! `stepwell dev --chaos replay`: right code does not notice, wrong code is told.

use serde_json::{Value as Json, json};

use crate::support::{Launch, Project};

const RIGHT: &str = r"
import { WorkflowEntrypoint } from 'cloudflare:workers';

let runs = 0;
let callbacks = 0;

export class Right extends WorkflowEntrypoint {
  async run(event, step) {
    runs += 1;
    const did = (name, value) => step.do(name, async () => (callbacks++, value));
    const first = await did('first', { at: new Date(0) });
    await step.sleep('nap', 10);
    const once = await step.do('once', { retries: { limit: 0, delay: 0 } }, async () => (callbacks++, 'once'));
    const pair = await Promise.all([did('a', 'a'), did('b', 'b')]);
    const caught = await step
      .do('fails', { retries: { limit: 1, delay: 1 } }, async () => { throw new RangeError('no'); })
      .catch((error) => error.message);
    return { first: first.at instanceof Date, once, pair, caught, runs, callbacks };
  }
}";

const WRONG: &str = r"
import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Wrong extends WorkflowEntrypoint {
  async run(event, step) {
    const number = crypto.randomUUID();
    await step.do(`step ${number}`, async () => number);
    return 'never twice the same';
  }
}";

#[tokio::test]
async fn code_that_replays_does_not_notice_that_its_runs_are_dropped() {
    let server = Launch::dev(&[&Project::worker("right", &["Right"], RIGHT)]).arg("--chaos=replay").start().await;
    let mut output = server.run("Right", Json::Null).await;
    let runs = output.as_object_mut().and_then(|output| output.remove("runs")).and_then(|runs| runs.as_u64());
    // One for each call that settled with no other in flight, and one to end in.
    assert!(runs.is_some_and(|runs| (6..=7).contains(&runs)), "{runs:?} runs");
    let expected = json!({ "first": true, "once": "once", "pair": ["a", "b"], "caught": "no", "callbacks": 4 });
    assert_eq!(output, expected);
}

#[tokio::test]
async fn code_that_does_not_replay_is_reported() {
    let server = Launch::dev(&[&Project::worker("wrong", &["Wrong"], WRONG)]).arg("--chaos=replay").start().await;
    let id = server.create("Wrong", Json::Null).await;
    let detail = server.until("Wrong", &id, |detail| !detail["diverged"].is_null()).await;
    let diverged = detail["diverged"].as_str().expect("a sentence");
    assert!(diverged.contains("step "), "{diverged}");
}
