//! Clients that create instances and send them events while servers come and go, and remember what was acknowledged.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::sync::{RwLock, RwLockReadGuard, Semaphore};
use tokio::task::JoinSet;

use crate::support::{Project, Server};

/// Until a client whose server is gone tries again.
const AGAIN: Duration = Duration::from_millis(50);
/// Until all instances must be complete once the storm is over.
const CALM: Duration = Duration::from_secs(180);
/// Clients at work at the same time.
const CLIENTS: u64 = 8;
/// The id of an instance is taken: an earlier try was done and its answer lost.
const TAKEN: u64 = 10_405;

/// The present server and its clients.
pub struct Load {
    server: Arc<RwLock<Server>>,
    clients: JoinSet<()>,
    /// One for each instance that may be created.
    permits: Arc<Semaphore>,
    instances: u64,
}

impl Load {
    /// Starts the clients of `instances` instances.
    pub fn start(server: Server, instances: u64) -> Self {
        let server = Arc::new(RwLock::new(server));
        let permits = Arc::new(Semaphore::new(0));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (server, permits) = (Arc::clone(&server), Arc::clone(&permits));
            clients.spawn(async move {
                for n in (client..instances).step_by(CLIENTS as usize) {
                    permits.acquire().await.expect("permits that are never closed").forget();
                    create(&server, n).await;
                    check_is_there(&server, n).await;
                    send(&server, n).await;
                }
            });
        }
        Self { server, clients, permits, instances }
    }

    /// Lets the clients create so many more instances.
    pub fn release(&self, instances: u64) {
        self.permits.add_permits(usize::try_from(instances).expect("a small number"));
    }

    /// The present server.
    pub async fn server(&self) -> RwLockReadGuard<'_, Server> {
        self.server.read().await
    }

    /// Kills the server, while requests are under way, and starts another on the same state.
    pub async fn replace(&self, project: &Project) {
        self.server.read().await.kill_in_place();
        let mut place = self.server.write().await;
        place.wait_killed();
        *place = Server::start(project).await;
    }

    /// Waits until the clients are done and every instance has ended, and returns the instances.
    pub async fn finish(mut self) -> Vec<Json> {
        self.release(self.instances);
        let ended = async {
            while let Some(client) = self.clients.join_next().await {
                client.expect("a client that got its answers");
            }
            let mut details = Vec::new();
            for n in 0..self.instances {
                details.push(self.server.read().await.until_final(&id(n)).await);
            }
            details
        };
        tokio::time::timeout(CALM, ended).await.unwrap_or_else(|_| panic!("not everything ends within {CALM:?}"))
    }
}

/// The id of the instance with that number.
pub fn id(n: u64) -> String {
    format!("storm-{n}")
}

/// Tries until a server has answered.
async fn answered(server: &RwLock<Server>, method: Method, path: &str, body: Option<Json>) -> (u16, Json) {
    loop {
        if let Some(answer) = server.read().await.try_request(method.clone(), path, body.clone()).await {
            return answer;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn create(server: &RwLock<Server>, n: u64) {
    let body = json!({ "instance_id": id(n), "params": { "n": n } });
    loop {
        let (status, answer) = answered(server, Method::POST, "instances", Some(body.clone())).await;
        match status {
            200 => return,
            400 if answer["errors"][0]["code"] == TAKEN => return,
            503 => tokio::time::sleep(AGAIN).await,
            _ => panic!("{} is not created: {status} {answer}", id(n)),
        }
    }
}

async fn check_is_there(server: &RwLock<Server>, n: u64) {
    let (status, answer) = answered(server, Method::GET, &format!("instances/{}", id(n)), None).await;
    assert!(matches!(status, 200 | 503), "{} was acknowledged: {status} {answer}", id(n));
}

async fn send(server: &RwLock<Server>, n: u64) {
    let path = format!("instances/{}/events/go", id(n));
    while answered(server, Method::POST, &path, Some(json!({ "event": n }))).await.0 != 200 {
        tokio::time::sleep(AGAIN).await;
    }
}
