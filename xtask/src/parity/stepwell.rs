//! Stepwell as the host under test: the real binary's `dev` with all Workers of the suite, on a state directory that outlives a
//! kill.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::Observed;
use super::case::Worker;
use super::host::Host;
use crate::project;
use crate::tools::Tools;

/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is needed to start servers.
pub struct Setup<'a> {
    /// The binary.
    pub stepwell: PathBuf,
    /// workerd and esbuild.
    pub tools: &'a Tools,
    /// The Workers.
    pub workers: &'a [Worker],
    /// Where they are.
    pub directory: &'a Path,
}

/// A server that runs. It is killed when this is dropped.
pub struct Stepwell {
    /// Where it is asked.
    pub host: Host,
    child: Child,
    state: TempDir,
    log: Arc<Mutex<String>>,
}

impl Stepwell {
    /// Starts one on a fresh state directory, with these arguments beside the usual ones.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(setup: &Setup<'_>, name: &'static str, arguments: &[&str]) -> Result<Self> {
        let state = tempfile::Builder::new().prefix("parity-").tempdir()?;
        let log = Arc::default();
        let (child, address) = spawn(setup, &state, arguments, &log).await?;
        Ok(Self { host: Host::new(name, address), child, state, log })
    }

    /// Kills it without warning.
    ///
    /// # Errors
    /// It is gone already.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("killing the server")
    }

    /// Starts it again on its state.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self, setup: &Setup<'_>, arguments: &[&str]) -> Result<()> {
        let (child, address) = spawn(setup, &self.state, arguments, &self.log).await?;
        self.child = child;
        self.host.moved_to(address);
        Ok(())
    }

    /// Stops it in order, and prints its log where a case could not be played on it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(mut self, observed: &Observed) -> Result<()> {
        if observed.iter().any(Result::is_err) {
            eprintln!("the log of {}:\n{}", self.host.name(), self.log());
        }
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the server has ended")?;
        kill_process(pid, Signal::TERM)?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        if !ended.success() {
            bail!("the server ended with {ended}\n{}", self.log());
        }
        Ok(())
    }

    fn log(&self) -> MutexGuard<'_, String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `stepwell dev` knows an option.
///
/// # Errors
/// The binary cannot be run.
pub fn dev_knows(setup: &Setup<'_>, option: &str) -> Result<bool> {
    Ok(project::read(project::command(&setup.stepwell).args(["dev", "--help"]))?.contains(option))
}

async fn spawn(
    setup: &Setup<'_>,
    state: &TempDir,
    arguments: &[&str],
    log: &Arc<Mutex<String>>,
) -> Result<(Child, String)> {
    let mut command = std::process::Command::new(&setup.stepwell);
    command.current_dir(project::root()).arg("dev");
    command.args(setup.workers.iter().map(|worker| setup.directory.join(&worker.name)));
    command.args(["--port", "0", "--api-port", "0", "--persist-to"]).arg(state.path()).args(arguments);
    setup.tools.set(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Command::from(command).kill_on_drop(true).spawn().context("starting the server")?;
    // Its log is long, and wanted only where something is wrong with the server itself.
    tokio::spawn(gather(child.stderr.take().context("the server's log")?, Arc::clone(log)));
    let output = child.stdout.take().context("the server's output")?;
    let address = tokio::time::timeout(PATIENCE, ingress(output)).await.context("the server does not start")?;
    let told = || format!("starting the server\n{}", log.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((child, address.with_context(told)?))
}

async fn gather(stream: impl AsyncRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
    }
}

/// Where Workers are asked, read from what a server prints until it is ready.
async fn ingress(output: impl AsyncRead + Unpin + Send + 'static) -> Result<String> {
    let mut lines = BufReader::new(output).lines();
    let mut port = None;
    while let Some(line) = lines.next_line().await? {
        if let Some((_, rest)) = line.split_once(".localhost:") {
            port = Some(rest.trim().to_owned());
        }
        if line == "ready" {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(format!("127.0.0.1:{}", port.context("the server did not say where its Workers are")?));
        }
    }
    bail!("the server ended before it was ready")
}
