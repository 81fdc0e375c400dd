//! A user's terminal in a project's directory: wrangler is run in it, and everything that is seen there is kept as a
//! transcript, with the requests that were made.
//!
//! Requests that are made at the same time are listed sorted: all that only ask, and `PUT`s that follow each other.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper::Method;
use rustix::process::Signal;
use stepwell::accounts::ACCOUNT_ID;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::proxy::{Exchange, Proxy};
use crate::redaction::Redaction;
use crate::release::Release;
use crate::support::{Project, Server};

/// How long a command may take: far above what it takes, on a machine that others use as well.
const COMMAND_MAX: Duration = Duration::from_secs(180);
/// How often something is done whose effect a command shows when it is ready to.
const ACT_EVERY: Duration = Duration::from_millis(100);

/// A terminal, with the environment that `stepwell env` prints.
pub struct Terminal {
    pub release: Release,
    directory: PathBuf,
    environment: Vec<(&'static str, String)>,
    proxy: Proxy,
    home: TempDir,
    redaction: Redaction,
    transcript: String,
    /// They are there as long as the terminal.
    _projects: Vec<Project>,
}

/// What a command showed, and what it asked.
struct Shown {
    stdout: String,
    stderr: String,
    code: Option<i32>,
    exchanges: Vec<Exchange>,
}

/// A command that goes on until it is interrupted.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// On its standard output.
    shown: String,
}

impl Following {
    /// Takes what it shows, up to the line with which `wanted` is there.
    async fn until(&mut self, wanted: &str) {
        let begin = self.shown.len();
        let found = tokio::time::timeout(COMMAND_MAX, async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                self.shown += &format!("{line}\n");
                if self.shown[begin..].contains(wanted) {
                    return;
                }
            }
            panic!("it ended without showing {wanted:?}, but: {}", self.shown);
        });
        found.await.unwrap_or_else(|_| panic!("it does not show {wanted:?}"));
    }

    /// Ends it as a user does. All that it has shown, also on its standard error.
    async fn interrupt(mut self) -> (String, String) {
        let pid = i32::try_from(self.child.id().expect("it runs")).expect("a process");
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).expect("a process"), Signal::INT)
            .expect("ours");
        let ending = tokio::time::timeout(COMMAND_MAX, async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                self.shown += &format!("{line}\n");
            }
            self.child.wait_with_output().await.expect("a child of ours").stderr
        });
        let stderr = ending.await.expect("it ends");
        (self.shown, String::from_utf8_lossy(&stderr).into_owned())
    }
}

impl Terminal {
    /// A terminal of somebody who holds the server's token.
    pub async fn open(release: Release, server: &Server) -> Self {
        let token = server.token.clone().expect("a server with tokens");
        Self::open_with(release, server, token).await
    }

    /// The same with a token of one's own.
    pub async fn open_with(release: Release, server: &Server, token: String) -> Self {
        Self::of(release, server, vec![("CLOUDFLARE_API_TOKEN", token)]).await
    }

    /// The same with the token as a global API key, which older projects have.
    pub async fn open_with_key(release: Release, server: &Server) -> Self {
        let key = server.token.clone().expect("a server with tokens");
        Self::of(release, server, vec![("CLOUDFLARE_API_KEY", key), ("CLOUDFLARE_EMAIL", "ada@example.com".to_owned())])
            .await
    }

    async fn of(release: Release, server: &Server, mut environment: Vec<(&'static str, String)>) -> Self {
        let proxy = Proxy::start(&server.api).await;
        let home = tempfile::tempdir().expect("a temporary directory");
        environment.push(("CLOUDFLARE_API_BASE_URL", format!("http://{}/client/v4", proxy.address)));
        environment.push(("CLOUDFLARE_ACCOUNT_ID", ACCOUNT_ID.to_owned()));
        let mut redaction = Redaction::default();
        redaction.name(ACCOUNT_ID, "ACCOUNT");
        redaction.name(home.path().display().to_string(), "HOME");
        let directory = home.path().to_owned();
        Self {
            release,
            directory,
            environment,
            proxy,
            home,
            redaction,
            transcript: String::new(),
            _projects: Vec::new(),
        }
    }

    /// Goes to a project's directory.
    pub fn enter(&mut self, project: &Project, name: &'static str) {
        project.path().clone_into(&mut self.directory);
        self._projects.push(project.clone());
        self.redaction.name(project.path().display().to_string(), name);
        self.note(&format!("# in {name}"));
    }

    /// Calls a text of this test by a name in the transcript.
    pub fn call(&mut self, text: &str, name: &'static str) {
        self.redaction.name(text, name);
    }

    /// Writes a line into the transcript.
    pub fn note(&mut self, text: &str) {
        let text = self.redaction.apply(text);
        self.transcript += &format!("{text}\n\n");
    }

    /// Runs a command.
    pub async fn wrangler(&mut self, arguments: &[&str]) {
        self.wrangler_given(arguments, "").await;
    }

    /// Runs a command with something on its standard input.
    pub async fn wrangler_given(&mut self, arguments: &[&str], input: &str) {
        let Shown { stdout, stderr, code, exchanges } = self.run(arguments, input).await;
        self.tell(arguments, &stdout, &stderr, code, &exchanges);
        self.check(arguments, &exchanges);
    }

    /// Runs a command whose output is not for the transcript, but given.
    pub async fn wrangler_quietly(&self, arguments: &[&str]) -> String {
        let Shown { stdout, stderr, code, exchanges } = self.run(arguments, "").await;
        self.check(arguments, &exchanges);
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    }

    /// Runs a command that goes on: does something once it has shown `ready`, and interrupts it when it has shown `wanted`
    /// after it.
    pub async fn wrangler_during(&mut self, arguments: &[&str], ready: &str, act: impl AsyncFnOnce(), wanted: &str) {
        let mut following = self.follow(arguments);
        following.until(ready).await;
        act().await;
        following.until(wanted).await;
        let (stdout, stderr) = following.interrupt().await;
        self.tell_interrupted(arguments, &stdout, &stderr);
    }

    /// Runs a command that goes on and does not say when it is ready: does something again and again until it has shown
    /// `wanted`, and interrupts it. What was shown up to there goes into the transcript.
    pub async fn wrangler_until(&mut self, arguments: &[&str], act: impl AsyncFn(), wanted: &str) {
        let mut following = self.follow(arguments);
        let acting = async {
            loop {
                act().await;
                tokio::time::sleep(ACT_EVERY).await;
            }
        };
        tokio::select! {
            () = following.until(wanted) => (),
            () = acting => unreachable!("it never ends"),
        }
        let shown = std::mem::take(&mut following.shown);
        following.interrupt().await;
        self.tell_interrupted(arguments, &shown, "");
    }

    /// Some releases clean up when they are interrupted, and wait for no answer: that is not told.
    fn tell_interrupted(&mut self, arguments: &[&str], stdout: &str, stderr: &str) {
        let mut exchanges = self.proxy.take();
        self.check(arguments, &exchanges);
        exchanges.retain(|exchange| exchange.method != "DELETE");
        self.tell(arguments, stdout, stderr, Some(0), &exchanges);
    }

    fn follow(&self, arguments: &[&str]) -> Following {
        let mut child = self.start(arguments, Stdio::null());
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Following { child, lines, shown: String::new() }
    }

    fn start(&self, arguments: &[&str], stdin: Stdio) -> Child {
        let mut command = self.release.command(self.home.path());
        command.args(arguments).current_dir(&self.directory).envs(self.environment.iter().cloned());
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("Node.js can be started")
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Shown {
        let mut child = self.start(arguments, Stdio::piped());
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that wants no input may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let ended = tokio::time::timeout(COMMAND_MAX, child.wait_with_output()).await;
        let output = ended.unwrap_or_else(|_| panic!("{arguments:?} does not end")).expect("a child of ours");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Shown { stdout, stderr, code: output.status.code(), exchanges: self.proxy.take() }
    }

    /// Nothing may have been asked that the server does not know, or fails at.
    fn check(&self, arguments: &[&str], exchanges: &[Exchange]) {
        for exchange in exchanges {
            let (line, answer) = (exchange.line(), &exchange.answer);
            assert!(
                !exchange.is_fault(),
                "wrangler {arguments:?} asked what the server does not know:\n{line}\n{answer:#}"
            );
        }
    }

    /// Asks a Worker, and writes what it answers into the transcript.
    pub async fn fetch(&mut self, server: &Server, script: &str, path: &str) {
        let answer = server.fetch(script, Method::GET, path, "").await;
        self.note(&format!("GET {script}{path} -> {}\n{}", answer.status, answer.text()));
    }

    /// The id of a workflow's newest instance.
    pub async fn newest_instance(&self, server: &Server, workflow: &str) -> String {
        let path = format!("workflows/{workflow}/instances?per_page=1");
        let listed = server.api(Method::GET, &path, "").await.ok();
        listed["result"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// The id of a Worker's newest version.
    pub async fn newest_version(&self, server: &Server, script: &str) -> String {
        let listed = server.api(Method::GET, &format!("workers/scripts/{script}/versions"), "").await.ok();
        listed["result"]["items"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// The user's home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Compares all that was seen with the snapshot of this story and release.
    pub fn assert(mut self, story: &str) {
        let transcript = std::mem::take(&mut self.transcript);
        insta::assert_snapshot!(format!("{story}_{}", self.release.name()), transcript);
    }

    fn tell(&mut self, arguments: &[&str], stdout: &str, stderr: &str, code: Option<i32>, exchanges: &[Exchange]) {
        let code = code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let code = if code == "0" { String::new() } else { format!("[exit {code}]\n") };
        let requests: String = lines(exchanges).map(|line| format!("  {line}\n")).collect();
        let text =
            format!("$ wrangler {}\n{}\n{}\n{code}{requests}", arguments.join(" "), stdout.trim(), stderr.trim());
        self.transcript += self.redaction.apply(&text).trim_end();
        self.transcript += "\n\n";
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.transcript);
        }
    }
}

/// First what only asks; then what changes something, in its order, but for neighbours that are made at the same time: what
/// only asks, and what follows an upload.
fn lines(exchanges: &[Exchange]) -> impl Iterator<Item = String> {
    let (asks, changes): (Vec<_>, Vec<_>) = exchanges.iter().partition(|exchange| exchange.method == "GET");
    let all: Vec<_> = asks.into_iter().chain(changes).collect();
    let word = |exchange: &Exchange| match exchange.method.as_str() {
        "POST" if exchange.path.ends_with("/subdomain") => "PUT".to_owned(),
        other => other.to_owned(),
    };
    let neighbours = all.chunk_by(|one, other| word(one) == word(other)).map(|chunk| {
        let mut chunk = chunk.to_vec();
        if matches!(word(chunk[0]).as_str(), "GET" | "PUT") {
            chunk.sort_by_key(|exchange| (!exchange.is_upload(), exchange.line()));
        }
        chunk.into_iter().map(Exchange::line)
    });
    neighbours.collect::<Vec<_>>().into_iter().flatten()
}
