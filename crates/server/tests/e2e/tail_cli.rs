//! `stepwell tail`, as a person runs it.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::{AbortHandle, JoinHandle};

use crate::support::{PATIENCE, Project, Server};

const SOURCE: &str = include_str!("workers/tail.js");

/// A `stepwell tail` that runs.
struct Watcher {
    child: Child,
    shown: Lines<BufReader<ChildStdout>>,
    told: Lines<BufReader<ChildStderr>>,
}

impl Watcher {
    /// Starts one against this address of an API, and waits until it is connected where it says so.
    fn start(api: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.arg("tail").args(arguments).args(["--api", &format!("http://{api}")]);
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the binary can be run");
        let shown = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Self { child, shown, told }
    }

    /// The next line of its output.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.shown.next_line()).await.expect("it shows something");
        line.expect("a text").expect("a line")
    }

    /// Waits until it says this.
    async fn says(&mut self, text: &str) {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.told.next_line()).await.expect("it says something");
            if line.expect("a text").expect("a line").contains(text) {
                return;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    async fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        kill_process(pid, Signal::INT).expect("a child of ours");
        self.child.wait().await.expect("a child of ours")
    }
}

async fn tails(server: &Server) -> Json {
    server.api(Method::GET, "workers/scripts/tailed/tails", "").await.ok()["result"].take()
}

#[tokio::test]
async fn stepwell_tail_shows_events_for_reading_and_leaves_no_tail_behind() {
    let server = Server::dev(&[&Project::worker("tailed", &["Talks"], SOURCE)]).await;
    let mut watcher = Watcher::start(&server.api, &["tailed", "--format", "pretty", "--status", "error"]);
    watcher.says("Connected to tailed").await;
    server.fetch("tailed", Method::GET, "/fine", "").await;
    server.fetch("tailed", Method::GET, "/throw", "").await;
    let heading = watcher.line().await;
    assert!(heading.contains("GET http://tailed.localhost/throw  500  exception"), "{heading}");
    assert_eq!(watcher.line().await, "  error: about to fail");
    assert_eq!(watcher.line().await, "  TypeError: broken");
    let frame = watcher.line().await;
    assert!(frame.starts_with("    at ") && frame.contains("index.js:"), "{frame}");
    let id = server.create("Talks", json!({ "throws": true })).await;
    let heading = watcher.line().await;
    assert!(heading.contains(&format!("Talks.run  Talks  {id}  exception")), "{heading}");
    assert_eq!(watcher.line().await, r#"  begins {"throws":true}"#);
    assert_eq!(watcher.line().await, "  charge card-1 warn: charging 12");
    assert_eq!(tails(&server).await.as_array().map(Vec::len), Some(1));
    assert!(watcher.interrupt().await.success());
    assert_eq!(tails(&server).await, json!([]));
}

/// The way to a server, which can be cut.
struct Bridge {
    address: String,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    task: JoinHandle<()>,
}

impl Bridge {
    async fn to(api: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (own, api) = (Arc::clone(&connections), api.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&api).await.expect("the API listens");
                let crossing = async move { tokio::io::copy_bidirectional(&mut client, &mut server).await };
                own.lock().expect("no holder panics").push(tokio::spawn(crossing).abort_handle());
            }
        });
        Self { address, connections, task }
    }

    fn cut(&self) {
        self.connections.lock().expect("no holder panics").drain(..).for_each(|connection| connection.abort());
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

#[tokio::test]
async fn stepwell_tail_connects_again_where_the_connection_breaks() {
    let server = Server::dev(&[&Project::worker("tailed", &["Talks"], SOURCE)]).await;
    let bridge = Bridge::to(&server.api).await;
    let mut watcher = Watcher::start(&bridge.address, &["tailed", "--format", "pretty"]);
    watcher.says("Connected to tailed").await;
    bridge.cut();
    watcher.says("The connection broke").await;
    watcher.says("Connected again to tailed").await;
    server.fetch("tailed", Method::GET, "/again", "").await;
    let heading = watcher.line().await;
    assert!(heading.contains("GET http://tailed.localhost/again  201"), "{heading}");
    assert!(watcher.interrupt().await.success());
    assert_eq!(tails(&server).await, json!([]), "nor the one that broke");
}

#[tokio::test]
async fn stepwell_tail_gives_programs_a_line_of_json_for_each_event() {
    let server = Server::dev(&[&Project::worker("tailed", &["Talks"], SOURCE)]).await;
    let mut watcher = Watcher::start(&server.api, &["tailed", "--json"]);
    // It says nothing but events, so that what tells that it reads is that the server knows.
    crate::support::eventually(|| "a tail".to_owned(), || async { (tails(&server).await != json!([])).then_some(()) })
        .await;
    let line = loop {
        server.fetch("tailed", Method::GET, "/seen", "").await;
        match tokio::time::timeout(std::time::Duration::from_millis(200), watcher.shown.next_line()).await {
            Ok(line) => break line.expect("a text").expect("a line"),
            Err(_) => continue,
        }
    };
    let event: Json = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["event"]["request"]["method"], "GET");
    let status = Watcher::start(&server.api, &["nobody"]).child.wait().await.expect("it ends");
    assert_eq!(status.code(), Some(3), "no such Worker");
}
