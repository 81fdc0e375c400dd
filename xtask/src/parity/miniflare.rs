//! Miniflare as the other host: installed from npm as its lock file says, with the Node.js that it wants, and run as a child that
//! ends with us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::case::Worker;
use super::host::Host;
use crate::{javascript, project};

const PACKAGE: &str = "tests/parity/miniflare";
/// Not `npm ci`, which refuses a lock file without the packages of platforms that a registry does not have.
const INSTALL: &[&str] = &["install", "--no-save"];
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// A Miniflare that runs. It ends when this is dropped.
pub struct Miniflare {
    /// Where it is asked.
    pub host: Host,
    child: Child,
    /// It ends with its standard input.
    input: ChildStdin,
}

impl Miniflare {
    /// Installs what is missing, bundles the Workers and starts it.
    ///
    /// # Errors
    /// npm, esbuild or the start fails.
    pub async fn start(esbuild: &Path, workers: &[Worker]) -> Result<Self> {
        javascript::install(PACKAGE, INSTALL)?;
        let bundled = workers.iter().map(|worker| bundled(esbuild, worker)).collect::<Result<Vec<_>>>()?;
        let package = project::root().join(PACKAGE);
        let mut command = Command::new(node(&package)?);
        command.arg(package.join("host.mjs")).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("starting Node.js")?;
        let mut input = child.stdin.take().context("Miniflare's input")?;
        input.write_all(format!("{}\n", json!({ "workers": bundled })).as_bytes()).await?;
        let mut lines = BufReader::new(child.stdout.take().context("Miniflare's output")?).lines();
        let ready = tokio::time::timeout(START_MAX, lines.next_line()).await.context("Miniflare does not start")??;
        let port = ready.as_deref().and_then(|line| line.strip_prefix("ready "));
        let port = port.with_context(|| format!("Miniflare did not say where it listens, but {ready:?}"))?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { host: Host::new("Miniflare", format!("127.0.0.1:{port}")), child, input })
    }

    /// Ends it.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.input);
        let ended = tokio::time::timeout(START_MAX, self.child.wait()).await.context("Miniflare does not end")??;
        ensure!(ended.success(), "Miniflare ended with {ended}");
        Ok(())
    }
}

/// A Worker as one module, with its configuration.
fn bundled(esbuild: &Path, worker: &Worker) -> Result<Json> {
    let directory = project::root().join(super::WORKERS).join(&worker.name);
    let config = fs::read_to_string(directory.join("wrangler.json")).with_context(|| worker.name.clone())?;
    let config: Json = serde_json::from_str(&config).with_context(|| worker.name.clone())?;
    let main = config["main"].as_str().context("a Worker's configuration names no main module")?;
    let arguments = ["--bundle", "--format=esm", "--target=esnext", "--keep-names", "--external:cloudflare:*"];
    let script = project::read(project::command(esbuild).arg(directory.join(main)).args(arguments))?;
    Ok(json!({ "script": script, "config": config }))
}

fn node(package: &Path) -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => anyhow::bail!("there is no Node.js for {other} among the suite's packages"),
    };
    Ok(package.join(format!("node_modules/node-linux-{architecture}/bin/node")))
}
