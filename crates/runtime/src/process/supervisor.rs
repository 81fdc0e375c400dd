//! Starts one workerd, waits until it listens, and then owns the child until its end. Signals are sent from here alone,
//! while the child is unreaped, so that none can hit a stranger with a used-up process id.

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::{fmt, io};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{INGRESS, SESSION, TRACED};
use crate::process::diagnosis::diagnose;
use crate::process::lines::{LINES_WAITING_MAX, Line, Stream, pump};
use crate::process::{SocketAddress, SpawnError, Workerd, socket, spawner};
use crate::spec::WorkerSpec;

/// How a worker process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Unknown: the runtime that watched it is gone.
    Lost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Lost => f.write_str("unknown"),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Lost,
        }
    }
}

/// What the owner of a process asks of it; the end of the channel asks for `Kill`.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Terminate,
    Kill,
}

/// Where a process listens.
#[derive(Debug)]
pub struct Sockets {
    pub ingress: SocketAddress,
    pub session: SocketAddress,
    pub traced: SocketAddress,
}

/// A process that listens.
pub struct Started {
    pub pid: u32,
    pub sockets: Sockets,
    pub lines: mpsc::Receiver<Line>,
    pub orders: mpsc::UnboundedSender<Order>,
    pub exit: watch::Receiver<Option<Exit>>,
}

/// Starts workerd with `config` and waits until all sockets listen.
pub async fn start(workerd: &Workerd, spec: &WorkerSpec, config: Vec<u8>) -> Result<Started, SpawnError> {
    let system = |source| SpawnError::System { script: spec.script.clone(), source };
    let (ingress_fd, ingress) = socket::listen().map_err(system)?;
    let (session_fd, session) = socket::listen().map_err(system)?;
    let (traced_fd, traced) = socket::listen().map_err(system)?;
    let (control_fd, control) = control_pipe().map_err(system)?;
    let command = command(workerd, [(INGRESS, &ingress_fd), (SESSION, &session_fd), (TRACED, &traced_fd)], &control_fd);
    let inherited = vec![ingress_fd, session_fd, traced_fd, control_fd];
    let mut child = spawner::spawn(command, inherited).await.map_err(system)?;
    let pid = child.id().ok_or_else(|| system(io::Error::other("the process ended at once")))?;

    let feeding = tokio::spawn(feed(child.stdin.take(), config));
    let (sink, mut lines) = mpsc::channel(LINES_WAITING_MAX);
    let pumps = pumps(&mut child, sink);
    let ready = tokio::time::timeout(workerd.load_timeout(), listening(control)).await;
    feeding.abort();
    match ready {
        Ok(true) => {}
        Ok(false) => return Err(failed(spec, child, pumps, &mut lines).await),
        Err(_) => {
            end(&mut child, pid, pumps).await;
            let waited_ms = workerd.load_timeout().as_millis() as u64;
            return Err(SpawnError::NotReady { script: spec.script.clone(), waited_ms });
        }
    }
    let (orders, incoming) = mpsc::unbounded_channel();
    let (ended, exit) = watch::channel(None);
    tokio::spawn(async move { ended.send_replace(Some(supervise(child, pid, incoming).await)) });
    let sockets = Sockets { ingress, session, traced };
    Ok(Started { pid, sockets, lines, orders, exit })
}

fn control_pipe() -> io::Result<(OwnedFd, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    Ok((writer.into(), pipe::Receiver::from_owned_fd(reader.into())?))
}

fn command(workerd: &Workerd, sockets: [(&str, &OwnedFd); 3], control: &OwnedFd) -> Command {
    let mut command = Command::new(workerd.path());
    command
        .args(["serve", "--binary", "-"])
        .args(sockets.map(|(name, fd)| format!("--socket-fd={name}={}", fd.as_raw_fd())))
        .arg(format!("--control-fd={}", control.as_raw_fd()))
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| ENVIRONMENT.iter().any(|kept| name == kept)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What workerd itself may need of the server's environment: everything else could hold the operator's secrets.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR"];

async fn feed(stdin: Option<tokio::process::ChildStdin>, config: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        // A process that ends early closes its input; why it ended is what it printed.
        let _ = stdin.write_all(&config).await;
    }
}

fn pumps(child: &mut Child, sink: mpsc::Sender<Line>) -> [Option<JoinHandle<()>>; 2] {
    let stdout = child.stdout.take().map(|out| tokio::spawn(pump(out, Stream::Stdout, sink.clone())));
    let stderr = child.stderr.take().map(|err| tokio::spawn(pump(err, Stream::Stderr, sink)));
    [stdout, stderr]
}

/// Whether all sockets came to listen before the process closed the pipe.
async fn listening(control: pipe::Receiver) -> bool {
    let mut messages = BufReader::new(control).lines();
    let mut waiting = vec![INGRESS, SESSION, TRACED];
    while let Ok(Some(message)) = messages.next_line().await {
        let message: serde_json::Value = serde_json::from_str(&message).unwrap_or_default();
        if message["event"] == "listen" {
            waiting.retain(|name| message["socket"] != *name);
        }
        if waiting.is_empty() {
            return true;
        }
    }
    false
}

async fn failed(
    spec: &WorkerSpec,
    mut child: Child,
    pumps: [Option<JoinHandle<()>>; 2],
    lines: &mut mpsc::Receiver<Line>,
) -> SpawnError {
    let status = child.wait().await;
    join(pumps).await;
    let mut stderr = String::new();
    while let Ok(line) = lines.try_recv() {
        if line.stream == Stream::Stderr {
            stderr.push_str(&line.text);
            stderr.push('\n');
        }
    }
    match status {
        Ok(status) if stderr.is_empty() => SpawnError::Load {
            script: spec.script.clone(),
            message: format!("workerd said nothing and ended: {status}"),
        },
        _ => diagnose(spec, &stderr),
    }
}

async fn end(child: &mut Child, pid: u32, pumps: [Option<JoinHandle<()>>; 2]) {
    signal(pid, Signal::KILL);
    let _ = child.wait().await;
    join(pumps).await;
}

async fn join(pumps: [Option<JoinHandle<()>>; 2]) {
    for pump in pumps.into_iter().flatten() {
        let _ = pump.await;
    }
}

async fn supervise(mut child: Child, pid: u32, mut orders: mpsc::UnboundedReceiver<Order>) -> Exit {
    loop {
        tokio::select! {
            status = child.wait() => return status.map_or(Exit::Lost, Exit::from),
            order = orders.recv() => match order {
                Some(Order::Terminate) => signal(pid, Signal::TERM),
                Some(Order::Kill) => signal(pid, Signal::KILL),
                None => {
                    signal(pid, Signal::KILL);
                    return child.wait().await.map_or(Exit::Lost, Exit::from);
                }
            },
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}
