//! The life of a session: opened, read, watched, recycled, and its end explained to the driver.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use stepwell_engine::engine::Fault;
use stepwell_engine::instance::{Failure, Report};
use stepwell_engine::{DeploymentId, ErrorRecord, RunId, SessionId};
use stepwell_runtime::Exit;
use stepwell_runtime::protocol::{PROTOCOL, ToShim};
use stepwell_runtime::session::{SessionReceiver, SessionSender};
use stepwell_runtime::translate::{Frame, Message, read_frame};

use super::worker::Worker;
use super::{Place, Shared};
use crate::driver::{SessionCatalog, SessionEvent, SessionLoad, StartInfo, now_ms};
use crate::locks::lock;
use crate::script::ScriptWorkflow;

/// Silence after which a sign of life is asked for.
const PING_AFTER: Duration = Duration::from_secs(2);
/// How often a worker is probed while a request waits for its answer.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// What the watchdog grants beyond the script's own bound.
const PONG_EXTRA: Duration = Duration::from_secs(5);
/// How long an exit status may follow the end of a session.
const EXIT_STATUS: Duration = Duration::from_secs(2);
/// Runs after which a session is replaced, so that what its request context gathers is given back.
const RUNS_MAX: usize = 200_000;
const SIGKILL: i32 = 9;

/// Opens a session and leaves it to a task of its own.
pub(super) async fn open(
    shared: &Arc<Shared>,
    worker: &Arc<Worker>,
    id: SessionId,
    place: Place,
) -> Result<(), String> {
    let patience = PONG_EXTRA + worker.cpu_bound();
    let Ok(greeted) = tokio::time::timeout(patience, greet(shared, worker)).await else {
        worker.kill();
        return Err(format!("the worker of {:?} says nothing for {patience:?}: it is stopped", worker.script().name));
    };
    let (sender, receiver) = greeted?;
    let catalog = Arc::new(catalog(shared, worker, place.pool.deployment).await?);
    let (sender, load) = (Arc::new(sender), Arc::new(SessionLoad::default()));
    worker.add_session(id, Arc::clone(&sender), Arc::clone(&load));
    // Before the driver knows: if the session ends at once, the next one may be wanted at once.
    lock(&shared.opening).remove(&place);
    let up = SessionEvent::Up(id, place.pool, Arc::clone(&sender), catalog, Arc::clone(&load));
    shared.events.send(up).await.map_err(|_| "the server stops".to_owned())?;
    let session = Session { shared: Arc::clone(shared), worker: Arc::clone(worker), id, place, sender, load };
    tokio::spawn(session.run(receiver));
    Ok(())
}

/// Whether a worker that owes an answer is alive, found out by opening a session and hearing its hello. One that is silent
/// for as long as its code may compute is killed.
pub(super) async fn is_alive(shared: &Shared, worker: &Worker) -> bool {
    let mut answered_at = worker.answered_at().await;
    if worker.is_gone() {
        return !worker.is_killed();
    }
    if answered_at.elapsed() < PROBE_EVERY {
        return true;
    }
    // A process that ends meanwhile breaks the connections of those who wait, which tells them more.
    let answered = tokio::time::timeout(PONG_EXTRA + worker.cpu_bound(), greet(shared, worker)).await.is_ok();
    *answered_at = Instant::now();
    if answered {
        worker.touch();
    } else {
        tracing::warn!(script = %worker.script(), "a worker does not answer requests: it is stopped");
        worker.kill();
    }
    answered
}

/// Connects and hears the worker's hello.
async fn greet(shared: &Shared, worker: &Worker) -> Result<(SessionSender, SessionReceiver), String> {
    let (sender, mut receiver) = worker.connect_session().await.map_err(|error| error.to_string())?;
    let hello = receiver.recv().await.ok_or_else(|| format!("the worker of {:?} hangs up", worker.script().name))?;
    match read_frame(&hello, &shared.config.defaults).map_err(|error| error.to_string())?.first() {
        Some(Message::Hello(PROTOCOL, _)) => Ok((sender, receiver)),
        other => Err(format!("the worker of {:?} says {other:?} instead of hello", worker.script().name)),
    }
}

/// The workflows that the worker's code implements. The class is the code's own; the limits are those of today.
async fn catalog(shared: &Shared, worker: &Worker, deployment: DeploymentId) -> Result<SessionCatalog, String> {
    let settings = worker.settings();
    let rows = shared.store.workflows().await.map_err(|error| error.to_string())?;
    let mut workflows = HashMap::new();
    for row in rows.into_iter().filter(|row| row.script == settings.script) {
        let own = settings.workflows.iter().find(|workflow| workflow.name == row.name.name);
        let class = own.map_or(row.class_name, |workflow| workflow.class_name.clone());
        let limits: Option<ScriptWorkflow> = serde_json::from_str(&row.settings).ok();
        let steps_max = limits.and_then(|limits| limits.steps_max);
        let start = settings.start_settings(steps_max, &shared.config.defaults);
        let settings = RawValue::from_string(start).map_err(|error| error.to_string())?;
        workflows.insert(row.id, StartInfo { workflow: row.name.name, class, settings });
    }
    Ok(SessionCatalog { script: settings.script.clone(), deployment, workflows, token: worker.token().to_owned() })
}

struct Session {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    id: SessionId,
    place: Place,
    sender: Arc<SessionSender>,
    load: Arc<SessionLoad>,
}

/// How reading came to its end.
enum End {
    Closed,
    Hung,
}

impl Session {
    async fn run(self, mut receiver: SessionReceiver) {
        let mut alive_at = now_ms();
        let end = self.read(&mut receiver, &mut alive_at).await;
        self.worker.remove_session(self.id);
        let fault = match end {
            End::Hung => Fault::Hung { alive_at },
            End::Closed => self.explain(alive_at).await,
        };
        if self.shared.config.replicas > 1 && self.place.pool.quarantine.is_free() && fault != Fault::None {
            // The driver wants a session only where it has none left.
            self.shared.want_session(self.place);
        }
        // A driver that is gone needs no explanation.
        let _ = self.shared.events.send(SessionEvent::Down(self.id, fault)).await;
    }

    /// Reads until the session ends.
    async fn read(&self, receiver: &mut SessionReceiver, alive_at: &mut i64) -> End {
        let mut watch = Watch::new(PONG_EXTRA + self.worker.cpu_bound());
        let mut draining = false;
        loop {
            let frame = match tokio::time::timeout(PING_AFTER, receiver.recv()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return End::Closed,
                Err(_) => {
                    if self.load.live() == 0 {
                        watch.reset();
                        if draining {
                            self.sender.say_bye();
                        }
                    } else if watch.silent(|n| self.ping(n)) {
                        tracing::warn!(script = %self.worker.script(), "a worker does not answer: it is stopped");
                        self.worker.kill();
                        return End::Hung;
                    }
                    continue;
                }
            };
            watch.reset();
            *alive_at = now_ms();
            if !self.forward(&frame).await {
                return End::Closed;
            }
            if !draining && self.load.started() >= RUNS_MAX {
                draining = true;
                let _ = self.shared.events.send(SessionEvent::Draining(self.id)).await;
            }
        }
    }

    fn ping(&self, n: u64) {
        let mut frame = Frame::default();
        frame.push(&ToShim::Ping { n });
        self.sender.post(frame.take());
    }

    /// Hands a frame to the driver. False where the session must end.
    async fn forward(&self, frame: &str) -> bool {
        let messages = match read_frame(frame, &self.shared.config.defaults) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(%error, script = %self.worker.script(), "a worker is stopped");
                self.worker.kill();
                return false;
            }
        };
        let mut reports: Vec<(RunId, _)> = Vec::with_capacity(messages.len());
        for message in messages {
            let event = match message {
                Message::Report(run, mut report) => {
                    match &mut report {
                        Report::Failed { error, .. }
                        | Report::Threw(error)
                        | Report::Undone { failure: Some(Failure { error, .. }), .. } => self.locate(error).await,
                        Report::Undoing { error, cause } => {
                            self.locate(error).await;
                            if let Some(cause) = cause {
                                self.locate(cause).await;
                            }
                        }
                        _ => {}
                    }
                    reports.push((run, report));
                    continue;
                }
                Message::Want(run, call) => SessionEvent::Want(self.id, run, call),
                Message::Log(run, line) => {
                    tracing::info!(target: "console", script = %self.worker.script(), level = line.level, "{}", line.text());
                    SessionEvent::Log(run, line)
                }
                Message::Pong(_) | Message::Hello(..) => continue,
            };
            let sent = SessionEvent::Reports(self.id, std::mem::take(&mut reports));
            if self.shared.events.send(sent).await.is_err() || self.shared.events.send(event).await.is_err() {
                return false;
            }
        }
        reports.is_empty() || self.shared.events.send(SessionEvent::Reports(self.id, reports)).await.is_ok()
    }

    /// Has the frames of an error's stack lead to source files.
    async fn locate(&self, error: &mut ErrorRecord) {
        self.shared.locate(&self.worker, self.place.pool.deployment, error).await;
    }

    /// Why the session ended that nobody ended here.
    async fn explain(&self, alive_at: i64) -> Fault {
        match tokio::time::timeout(EXIT_STATUS, self.worker.exited()).await {
            // Whoever kills a process from outside (an operator, the kernel short of memory) may not mean the code in it.
            Ok(Exit::Signal(SIGKILL)) if !self.worker.is_killed() => Fault::Killed { alive_at },
            Ok(Exit::Code(0)) | Err(_) => Fault::None,
            Ok(_) => Fault::Crashed { alive_at },
        }
    }
}

/// How long a worker has been silent.
struct Watch {
    bound: Duration,
    asked_at: Option<Instant>,
    pings: u64,
}

impl Watch {
    fn new(bound: Duration) -> Self {
        Self { bound, asked_at: None, pings: 0 }
    }

    fn reset(&mut self) {
        self.asked_at = None;
    }

    /// Silence goes on: asks for a sign of life the first time; true when it has lasted too long since.
    fn silent(&mut self, ping: impl FnOnce(u64)) -> bool {
        match self.asked_at {
            Some(asked_at) => asked_at.elapsed() >= self.bound,
            None => {
                self.asked_at = Some(Instant::now());
                self.pings += 1;
                ping(self.pings);
                false
            }
        }
    }
}
