//! Plays the server for one instance: acknowledges at once, keeps what is recorded, and can start a new run from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepwell_runtime::protocol::parse_frame;
use stepwell_runtime::session::{SessionReceiver, SessionSender};

use crate::worker::{TOKEN, Worker};

/// Longest that a message is waited for before a test fails.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

pub struct Server {
    sender: SessionSender,
    receiver: SessionReceiver,
    waiting: std::collections::VecDeque<Value>,
    pub run: u64,
    pub instance: Instance,
    /// Sleeps end at once.
    pub ends_sleeps: bool,
    /// Results are recorded and acknowledged at once.
    pub acknowledges: bool,
    /// Every message of the shim, in order.
    pub seen: Vec<Value>,
    pub careful: bool,
    pub paused: bool,
    pub rolls_back: bool,
    pub settings: Value,
}

/// What is durable of an instance.
#[derive(Default)]
pub struct Instance {
    pub calls: BTreeMap<u64, Value>,
    pub settled: Vec<Value>,
}

impl Server {
    pub async fn connect(worker: &Worker) -> Self {
        let (sender, receiver) = worker.connect(TOKEN).await.unwrap();
        let mut server = Self {
            sender,
            receiver,
            waiting: std::collections::VecDeque::new(),
            run: 0,
            instance: Instance::default(),
            ends_sleeps: true,
            acknowledges: true,
            seen: Vec::new(),
            careful: false,
            paused: false,
            rolls_back: false,
            settings: json!({
                "steps_max": 100,
                "defaults": {"limit": 2, "delay_ms": 10, "backoff": "constant", "timeout_ms": 600_000},
                "preserve_non_retryable": true,
                "diverged_ms": 50,
            }),
        };
        let hello = server.next().await;
        assert_eq!(hello["hello"]["protocol"], stepwell_runtime::protocol::PROTOCOL);
        server
    }

    pub async fn send(&mut self, messages: Value) {
        assert!(self.sender.send(messages.to_string()).await, "the session is over");
    }

    /// The next message of the shim.
    pub async fn next(&mut self) -> Value {
        while self.waiting.is_empty() {
            let frame = tokio::time::timeout(PATIENCE, self.receiver.recv())
                .await
                .unwrap_or_else(|_| panic!("nothing came; seen so far: {:#?}", self.seen))
                .expect("the session is over");
            parse_frame(&frame).unwrap();
            self.waiting.extend(serde_json::from_str::<Vec<Value>>(&frame).unwrap());
        }
        let message = self.waiting.pop_front().unwrap();
        self.seen.push(message.clone());
        message
    }

    /// Starts a run of the instance from what is recorded.
    pub async fn start(&mut self, class: &str, params: Value) {
        self.run += 1;
        let calls: Vec<Value> = self.instance.calls.values().map(|call| self.past(call)).collect();
        let start = json!({"start": {
            "run": self.run, "class": class, "workflow": "flow", "instance": "one", "at": 1000,
            "params": {"v": params}, "settings": self.settings, "calls": calls.len(),
            "paused": self.paused, "careful": self.careful, "rolls_back": self.rolls_back,
        }});
        let mut messages = vec![start];
        if !calls.is_empty() {
            messages.push(json!({"history": {
                "run": self.run, "calls": calls, "settled": self.instance.settled, "last": true,
            }}));
        }
        self.send(Value::Array(messages)).await;
    }

    /// A recorded call as the history tells it; attempts of open ones may start.
    fn past(&self, call: &Value) -> Value {
        let mut past = call.clone();
        let settled = self.instance.settled.iter().any(|settlement| settlement["call"] == call["call"]);
        if past["kind"] == "do" && !settled {
            past["attempt"] = json!(1);
        }
        past
    }

    /// Answers until a message of this kind comes, which is returned.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            self.answer(&message).await;
            if let Some(body) = message.get(kind) {
                return body.clone();
            }
        }
    }

    /// Starts a run and answers until it ends: the output, or the error.
    pub async fn finish(&mut self, class: &str, params: Value) -> Value {
        self.start(class, params).await;
        self.end().await
    }

    /// Answers until the run ends.
    pub async fn end(&mut self) -> Value {
        loop {
            let message = self.next().await;
            self.answer(&message).await;
            if let Some(done) = message.get("done") {
                assert_eq!(done["run"], self.run);
                return done["value"].get("v").cloned().unwrap_or(json!("undefined"));
            }
            if let Some(threw) = message.get("threw") {
                return json!([threw["error"]["name"], threw["error"]["message"]]);
            }
        }
    }

    /// Forgets the run, and everything that came of it later.
    pub async fn forget(&mut self, force: bool) -> bool {
        self.send(json!([{"forget": {"run": self.run, "force": force}}])).await;
        loop {
            let message = self.next().await;
            if message.get("busy").is_some() {
                return false;
            }
            if message.get("forgotten").is_some() {
                return true;
            }
            self.record(&message);
        }
    }

    /// All that came before the answer to a ping.
    pub async fn until_quiet(&mut self) {
        self.send(json!([{"ping": {"n": 7}}])).await;
        self.until("pong").await;
    }

    pub async fn settle(&mut self, settlement: Value) {
        self.instance.settled.push(settlement.clone());
        let run = self.run;
        self.send(json!([{"settle": {"run": run, "with": settlement}}])).await;
    }

    /// Settles a call with the result that the shim holds.
    pub async fn hold(&mut self, call: &Value) {
        let run = self.run;
        self.send(json!([{"held": {"run": run, "call": call}}])).await;
    }

    fn record(&mut self, message: &Value) {
        let (kind, body) = message.as_object().unwrap().iter().next().unwrap();
        if kind == "begin" || kind == "did" {
            let kind = if kind == "did" { "do" } else { body["kind"].as_object().unwrap().keys().next().unwrap() };
            let mut call = json!({"call": body["call"], "kind": kind, "name": body["name"], "count": body["count"]});
            if let Some(parent) = body.get("parent") {
                call["parent"] = parent.clone();
            }
            self.instance.calls.insert(body["call"].as_u64().unwrap(), call);
        }
    }

    async fn answer(&mut self, message: &Value) {
        self.record(message);
        let (kind, body) = message.as_object().unwrap().iter().next().unwrap();
        let (run, call) = (self.run, body["call"].clone());
        match kind.as_str() {
            "begin" if is_sleep(body) && self.ends_sleeps => {
                self.settle(json!({"call": call, "slept": true})).await;
            }
            "begin" if body["kind"].get("do").is_some() && body.get("started").is_none() && !self.paused => {
                self.send(json!([{"attempt": {"run": run, "call": call, "attempt": 1}}])).await;
            }
            "did" | "ended" if body.get("error").is_none() && self.acknowledges => self.acknowledge(body).await,
            "ended" if body.get("error").is_none() => {}
            "ended" => self.fail(body).await,
            _ => {}
        }
    }

    /// Records a result and lets the shim settle with it.
    pub async fn acknowledge(&mut self, body: &Value) {
        self.instance.settled.push(json!({"call": body["call"], "value": body["value"]}));
        self.hold(&body["call"]).await;
    }

    /// Retries twice, then fails the step.
    async fn fail(&mut self, body: &Value) {
        let (run, call, error) = (self.run, &body["call"], &body["error"]);
        let attempt = body["attempt"].as_u64().unwrap();
        if error["kind"] == "fatal" {
            return;
        }
        if attempt > 2 || error["kind"] == "non_retryable" {
            let mut recorded = json!({"name": error["name"], "message": error["message"]});
            if let Some(cause) = error.get("cause") {
                recorded["cause"] = cause.clone();
            }
            self.settle(json!({"call": call, "error": recorded})).await;
        } else {
            self.send(json!([{"attempt": {"run": run, "call": call, "attempt": attempt + 1}}])).await;
        }
    }
}

fn is_sleep(begun: &Value) -> bool {
    ["sleep", "sleep_until"].iter().any(|kind| begun["kind"].get(kind).is_some())
}
