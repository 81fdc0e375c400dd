//! A release server with the benchmark's Worker on a fresh data directory, and what the kernel knows of its processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::client::Client;
use crate::project;

const EXAMPLE: &str = "examples/bench";
const DATABASE: &str = "stepwell.db";
/// How long a start or an end may take before something is wrong. The first start of all installs workerd and esbuild.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(5);

/// What is needed to start servers.
pub struct Setup {
    /// The release binary.
    pub stepwell: PathBuf,
    /// Where data directories are made: on the disk that the project is on, not on a file system in memory.
    pub directory: PathBuf,
}

/// A server that runs. It is killed when this is dropped.
pub struct Server {
    child: Child,
    addresses: Addresses,
    data: TempDir,
}

/// Where a server listens, as `host:port`.
struct Addresses {
    api: String,
    ingress: String,
}

impl Server {
    /// Starts on a fresh data directory.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn start(setup: &Setup) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(&setup.directory)?;
        Self::start_on(setup, data).await
    }

    /// Starts on a data directory that is there.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn start_on(setup: &Setup, data: TempDir) -> Result<Self> {
        let mut command = std::process::Command::new(&setup.stepwell);
        command.current_dir(project::root()).args(["dev", EXAMPLE, "--port", "0", "--api-port", "0", "--persist-to"]);
        command.arg(data.path()).stdout(Stdio::piped());
        let mut child = Command::from(command).kill_on_drop(true).spawn().context("starting the server")?;
        let output = child.stdout.take().context("the server's output")?;
        let addresses =
            tokio::time::timeout(PATIENCE, read_addresses(output)).await.context("the server does not start")??;
        Ok(Self { child, addresses, data })
    }

    /// Stops it in order, answers the size of the database file, into which everything has been copied then, and starts
    /// it again; answers how long that took until the first answer, too.
    ///
    /// # Errors
    /// It does not stop or start.
    pub async fn restart(self, setup: &Setup, workflow: &str) -> Result<(Self, u64, Duration)> {
        let (data, database_bytes) = self.stop().await?;
        let begun = Instant::now();
        let server = Self::start_on(setup, data).await?;
        server.client().await?.count(workflow, "waiting").await?;
        Ok((server, database_bytes, begun.elapsed()))
    }

    /// Stops it in order. Answers its data directory and the size of the database file in it.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(mut self) -> Result<(TempDir, u64)> {
        kill_process(self.pid()?, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        ensure!(status.success(), "the server ended with {status}");
        let bytes = fs::metadata(self.data.path().join(DATABASE))?.len();
        Ok((self.data, bytes))
    }

    /// A new connection to its API.
    ///
    /// # Errors
    /// It does not listen any more.
    pub async fn client(&self) -> Result<Client> {
        Client::connect(&self.addresses.api).await
    }

    /// A new connection to its Workers.
    ///
    /// # Errors
    /// It does not listen any more.
    pub async fn ingress(&self) -> Result<Client> {
        Client::connect(&self.addresses.ingress).await
    }

    /// Resident bytes of the server, without its children.
    ///
    /// # Errors
    /// It is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.pid()?)
    }

    /// Resident bytes of its worker processes.
    ///
    /// # Errors
    /// It is gone.
    pub fn workers_resident_bytes(&self) -> Result<u64> {
        self.workers()?.into_iter().map(resident_bytes).sum()
    }

    /// Starts the peaks of memory of the server and its workers anew.
    ///
    /// # Errors
    /// It is gone, or the kernel does not let us.
    pub fn forget_peaks(&self) -> Result<()> {
        for pid in self.workers()?.into_iter().chain([self.pid()?]) {
            fs::write(process_path(pid).join("clear_refs"), "5").context("starting a process's peak of memory anew")?;
        }
        Ok(())
    }

    /// Resident bytes of the server at their peak.
    ///
    /// # Errors
    /// It is gone.
    pub fn peak_bytes(&self) -> Result<u64> {
        memory_bytes(self.pid()?, "VmHWM")
    }

    /// Resident bytes of its worker processes, each at its peak.
    ///
    /// # Errors
    /// It is gone.
    pub fn workers_peak_bytes(&self) -> Result<u64> {
        self.workers()?.into_iter().map(|pid| memory_bytes(pid, "VmHWM")).sum()
    }

    /// Time that its threads have computed.
    ///
    /// # Errors
    /// It is gone, or the kernel keeps no such statistics.
    pub fn cpu_time(&self) -> Result<Duration> {
        let mut total_ns = 0;
        for thread in fs::read_dir(process_path(self.pid()?).join("task"))? {
            let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran_ns = statistics.split_whitespace().next().context("an empty schedstat")?;
            total_ns += ran_ns.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total_ns))
    }

    /// Kills its worker processes and waits until they are gone.
    ///
    /// # Errors
    /// They cannot be killed.
    pub async fn kill_workers(&self) -> Result<()> {
        let workers = self.workers()?;
        ensure!(!workers.is_empty(), "there is no worker process to kill");
        for worker in &workers {
            kill_process(*worker, Signal::KILL)?;
        }
        while workers.iter().any(|worker| process_path(*worker).exists()) {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn pid(&self) -> Result<Pid> {
        let id = self.child.id().context("the server has ended")?;
        Pid::from_raw(id.cast_signed()).context("a process has a positive number")
    }

    fn workers(&self) -> Result<Vec<Pid>> {
        let pid = self.pid()?;
        let mut children = Vec::new();
        for thread in fs::read_dir(process_path(pid).join("task"))? {
            let listed = fs::read_to_string(thread?.path().join("children"))?;
            let numbers = listed.split_whitespace().map(str::parse::<i32>).collect::<Result<Vec<_>, _>>()?;
            children.extend(numbers.into_iter().filter_map(Pid::from_raw));
        }
        Ok(children)
    }
}

async fn read_addresses(output: ChildStdout) -> Result<Addresses> {
    let mut lines = BufReader::new(output).lines();
    let (mut api, mut ingress) = (None, None);
    while let Some(line) = lines.next_line().await? {
        let host = line.split_once("http://").and_then(|(_, url)| url.split('/').next());
        if line.starts_with("API ") {
            api = host.map(str::to_owned);
        } else if let Some((_, port)) = host.and_then(|host| host.rsplit_once(".localhost:")) {
            ingress = Some(format!("127.0.0.1:{port}"));
        }
        if line == "ready" {
            let (api, ingress) = api.zip(ingress).context("the server did not say where it listens")?;
            return Ok(Addresses { api, ingress });
        }
    }
    anyhow::bail!("the server ended before it was ready")
}

fn process_path(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

fn resident_bytes(pid: Pid) -> Result<u64> {
    memory_bytes(pid, "VmRSS")
}

/// A line of `/proc/PID/status`, in bytes.
fn memory_bytes(pid: Pid, name: &str) -> Result<u64> {
    let status = fs::read_to_string(process_path(pid).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let line = line.with_context(|| format!("no {name} in /proc/PID/status"))?;
    let kib = line.trim().strip_suffix(" kB").with_context(|| format!("{name} is not in kB"))?;
    Ok(kib.parse::<u64>()? * 1024)
}
