//! The real binary as a process of its own: started on ports of the system's choice, stopped on drop.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use stepwell::tools::Tools;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Http, PATIENCE, Project, eventually};

/// Servers at once: each is two or three processes, and machines may have two cores.
static SERVERS: Semaphore = Semaphore::const_new(4);
/// How long a server may take to stop when it is asked to.
const STOP: Duration = Duration::from_secs(10);

/// A server to start.
pub struct Launch {
    command: Command,
    state: State,
    projects: Vec<Project>,
}

/// Where a server keeps its state.
enum State {
    Own(TempDir),
    Given(PathBuf),
}

impl State {
    fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

/// How a server ended that was not to start.
pub struct Refused {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Launch {
    /// `stepwell dev` of some projects.
    pub fn dev(projects: &[&Project]) -> Self {
        let mut launch = Self::new();
        launch.command.arg("dev").args(projects.iter().map(|project| project.path()));
        launch.command.args(["--port", "0", "--api-port", "0"]);
        launch.projects = projects.iter().map(|project| (*project).clone()).collect();
        launch
    }

    /// `stepwell serve`.
    pub fn serve() -> Self {
        let mut launch = Self::new();
        launch.command.args(["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        launch
    }

    fn new() -> Self {
        let found = Tools::locate();
        assert!(
            found.is_some(),
            "no workerd and esbuild: run `stepwell setup`, or set STEPWELL_WORKERD and STEPWELL_ESBUILD"
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.env("NO_COLOR", "1").env_remove("STEPWELL_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let state = State::Own(tempfile::tempdir().expect("a temporary directory"));
        Self { command, state, projects: Vec::new() }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// With a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With its state in this directory.
    #[must_use]
    pub fn state(mut self, directory: &Path) -> Self {
        self.state = State::Given(directory.to_owned());
        self
    }

    fn spawn(&mut self) -> Child {
        let is_serve = self.command.get_args().next().is_some_and(|command| command == "serve");
        self.command.arg(if is_serve { "--data" } else { "--persist-to" }).arg(self.state.path());
        self.command.spawn().expect("the server can be started")
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(mut self) -> Server {
        let permit = SERVERS.acquire().await.expect("the semaphore is never closed");
        let mut child = self.spawn();
        let output = Arc::new(Output::default());
        follow(child.stdout.take().expect("a pipe"), Arc::clone(&output), false);
        follow(child.stderr.take().expect("a pipe"), Arc::clone(&output), true);
        let mut server = Server {
            child,
            output,
            ingress: String::new(),
            api: String::new(),
            token: None,
            http: Http::new(),
            state: self.state,
            _projects: self.projects,
            _permit: permit,
        };
        server.await_addresses().await;
        server
    }

    /// Starts a server that must refuse to.
    pub async fn refused(mut self) -> Refused {
        let _permit = SERVERS.acquire().await.expect("the semaphore is never closed");
        let mut child = self.spawn();
        let begun = Instant::now();
        while child.try_wait().expect("a child of ours").is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().expect("a child of ours");
                panic!("the server did not refuse to start");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let output = child.wait_with_output().expect("a child of ours");
        Refused { status: output.status, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

impl Refused {
    /// What it said, with `from` replaced, after checking that it ended as errors end.
    pub fn message(&self, redactions: &[(&Path, &str)]) -> String {
        assert_eq!(self.status.code(), Some(1), "{}", self.stderr);
        let mut text = self.stderr.clone();
        for (path, name) in redactions {
            text = text.replace(&path.display().to_string(), name);
        }
        text
    }
}

/// What a server has written so far.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    errors: Mutex<Vec<String>>,
}

impl Output {
    fn of(&self, is_error: bool) -> &Mutex<Vec<String>> {
        if is_error { &self.errors } else { &self.lines }
    }

    fn text(&self, is_error: bool) -> String {
        self.of(is_error).lock().expect("no holder panics").join("\n")
    }
}

fn follow(pipe: impl Read + Send + 'static, output: Arc<Output>, is_error: bool) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            output.of(is_error).lock().expect("no holder panics").push(line);
        }
    });
}

/// A server that is ready.
pub struct Server {
    child: Child,
    output: Arc<Output>,
    /// `127.0.0.1:port`.
    pub ingress: String,
    /// `127.0.0.1:port`.
    pub api: String,
    /// What `serve` printed.
    pub token: Option<String>,
    pub http: Http,
    state: State,
    _projects: Vec<Project>,
    _permit: SemaphorePermit<'static>,
}

impl Server {
    /// `stepwell dev` of some projects, ready.
    pub async fn dev(projects: &[&Project]) -> Self {
        Launch::dev(projects).start().await
    }

    /// `stepwell serve`, ready.
    pub async fn serve() -> Self {
        Launch::serve().start().await
    }

    async fn await_addresses(&mut self) {
        let begun = Instant::now();
        loop {
            let text = self.output.text(false);
            if text.lines().any(|line| line == "ready" || line.starts_with("Data ") || line.starts_with('{')) {
                break;
            }
            let ended = self.child.try_wait().expect("a child of ours");
            let waits = ended.is_none() && begun.elapsed() < PATIENCE;
            assert!(waits, "ended: {ended:?}, not ready\n{text}\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let text = self.output.text(false);
        if let Some(Ok(ready)) = text.lines().last().map(serde_json::from_str::<Json>) {
            let address = |name: &str| {
                format!("127.0.0.1:{}", port_of(ready[name].as_str().expect("a URL").trim_start_matches("http://")))
            };
            (self.ingress, self.api) = (address("ingress"), address("api"));
            return;
        }
        for line in text.lines() {
            let Some((before, url)) = line.split_once("http://") else { continue };
            let address = format!("127.0.0.1:{}", port_of(url));
            if before.starts_with("API") {
                self.api = address;
            } else {
                self.ingress = address;
            }
        }
        self.token = text.lines().find_map(|line| line.strip_prefix("API token (shown once): ").map(str::to_owned));
        assert!(!self.api.is_empty(), "no address of the API in {text}");
    }

    /// Where it keeps its state.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log, and what user code prints.
    pub fn stderr(&self) -> String {
        self.output.text(true)
    }

    /// What the command line prints when it is asked about this server; it must succeed.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        let output = self.run_cli(arguments).await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    /// What the command line says when it is asked about this server in vain.
    pub async fn cli_fails(&self, arguments: &[&str]) -> String {
        let output = self.run_cli(arguments).await;
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn run_cli(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.args(arguments).args(["--api", &format!("http://{}", self.api)]).stdin(Stdio::null());
        if let Some(token) = &self.token {
            command.env("STEPWELL_TOKEN", token);
        }
        command.output().await.expect("the command line runs")
    }

    /// Waits until it has said `text` on standard error.
    pub async fn says(&self, text: &str) {
        self.output_has(true, text).await;
    }

    /// Waits until it has said `text` on standard output.
    pub async fn prints(&self, text: &str) {
        self.output_has(false, text).await;
    }

    async fn output_has(&self, is_error: bool, text: &str) {
        let told = || format!("{text:?} in\n{}", self.output.text(is_error));
        eventually(told, || async { self.output.text(is_error).contains(text).then_some(()) }).await;
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it has not ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it as an operator does; it must end in order.
    pub fn stop(mut self) {
        let status = self.terminate();
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", self.stderr());
    }

    /// Asks it to end, and makes it where it does not.
    fn terminate(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        let pid = Pid::from_child(&self.child);
        // One that has ended already needs no signal.
        let _ = kill_process(pid, Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.terminate();
        if std::thread::panicking() {
            eprintln!("the server's standard error:\n{}", self.stderr());
        }
    }
}

/// The port in `host:port/…`.
fn port_of(url: &str) -> &str {
    let port = url.split_once(':').map_or("", |(_, rest)| rest);
    port.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}
