//! What user code did, told to this process while it did it: it outlives every server and worker that is killed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A callback began, or user code reached a place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    pub instance: String,
    /// Step or place.
    pub step: String,
    /// The worker's clock.
    pub at: i64,
}

/// An HTTP server that keeps lines.
pub struct Journal {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<Line>>>,
    server: JoinHandle<()>,
}

impl Journal {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let lines = Arc::<Mutex<Vec<Line>>>::default();
        let router = Router::new().route("/", post(append)).with_state(Arc::clone(&lines));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve the journal") });
        Self { address, lines, server }
    }

    /// Where user code posts to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// All lines so far, in the order of their arrival.
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.lines).clone()
    }

    /// How often an instance was at a place.
    pub fn count(&self, instance: &str, step: &str) -> usize {
        lock(&self.lines).iter().filter(|line| line.instance == instance && line.step == step).count()
    }

    /// Returns when an instance has been at a place `times` times.
    pub async fn until(&self, instance: &str, step: &str, times: usize) {
        let what = format!("{instance} is at {step:?} for the {times}. time");
        super::until(&what, async || (self.count(instance, step) >= times).then_some(())).await;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn append(State(lines): State<Arc<Mutex<Vec<Line>>>>, Query(line): Query<Line>) {
    lock(&lines).push(line);
}

fn lock(lines: &Mutex<Vec<Line>>) -> MutexGuard<'_, Vec<Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
