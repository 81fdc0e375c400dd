//! The API against its own description: schemathesis makes requests of all kinds out of `/openapi.json` and a real server
//! answers them. A server error, or an answer that the description does not allow, fails.
//!
//! schemathesis is a Python program, installed from PyPI into the target directory as `tests/openapi/requirements.txt` pins it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::project;
use crate::tools::{self, Tools};

const DIRECTORY: &str = "tests/openapi";
const EXAMPLE: &str = "examples/starter";
const WORKFLOW: &str = "workflows-starter";
const INSTANCE: &str = "one";
const DATABASE: &str = "database";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// How long a start may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of schemathesis.
struct Round {
    configuration: &'static str,
    phases: &'static str,
    examples_max: &'static str,
    seconds_max: &'static str,
}

/// The first reaches what is there; the second tries names of all kinds.
const ROUNDS: [Round; 2] = [
    Round { configuration: "known.toml", phases: "coverage,fuzzing", examples_max: "8", seconds_max: "45" },
    Round { configuration: "any.toml", phases: "fuzzing", examples_max: "5", seconds_max: "20" },
];

/// Tries the API.
///
/// # Errors
/// Python is missing, or the API did not keep to its description.
pub fn check(tools: &Tools) -> Result<()> {
    let Some(schemathesis) = install()? else { return Ok(()) };
    let server = Server::start(tools)?;
    server.cli(&["deploy", EXAMPLE])?;
    server.cli(&["workflows", "trigger", WORKFLOW, "--id", INSTANCE])?;
    server.cli(&["d1", "create", DATABASE])?;
    for round in ROUNDS {
        let configuration = format!("{DIRECTORY}/{}", round.configuration);
        let mut command = project::command(&schemathesis);
        command.args(["--config-file", &configuration, "run", &format!("{}/openapi.json", server.api)]);
        command.args(["--header", &format!("Authorization: Bearer {}", server.token)]);
        command.args(["--checks", CHECKS, "--phases", round.phases, "--max-examples", round.examples_max]);
        command.args(["--max-time", round.seconds_max, "--seed", "1", "--continue-on-failure", "--no-color"]);
        project::succeed(&mut command)?;
    }
    server.check_alive()
}

/// Installs schemathesis where it is not there yet, and answers its path. Without Python there is none on a developer's
/// machine; the continuous integration has to have it.
fn install() -> Result<Option<PathBuf>> {
    let environment = project::target_directory()?.join("schemathesis");
    let requirements = project::root().join(DIRECTORY).join("requirements.txt");
    let (wanted, installed) = (fs::read_to_string(&requirements)?, environment.join("requirements.txt"));
    let program = environment.join("bin/schemathesis");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(program));
    }
    let made = project::command("python3").args(["-m", "venv", "--clear"]).arg(&environment).status();
    if !made.is_ok_and(|status| status.success()) {
        ensure!(std::env::var_os("CI").is_none(), "python3 with its module venv is missing: install python3-venv");
        println!("left out: python3 with its module venv is not there (Debian: python3-venv)");
        return Ok(None);
    }
    let pip = environment.join("bin/pip");
    project::succeed(project::command(pip).args(["install", "--quiet", "--requirement"]).arg(&requirements))?;
    fs::write(installed, wanted)?;
    Ok(Some(program))
}

/// `stepwell serve` on a fresh data directory. It is killed when this is dropped.
struct Server {
    stepwell: PathBuf,
    child: Child,
    api: String,
    token: String,
    _data: TempDir,
}

impl Server {
    fn start(tools: &Tools) -> Result<Self> {
        let (stepwell, data) = (tools::build()?, tempfile::Builder::new().prefix("openapi-").tempdir()?);
        let mut command = project::command(&stepwell);
        command.args(["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data"]).arg(data.path());
        // The example asks the network, and is refused: nothing of interest here.
        command.env("STEPWELL_LOG", "error");
        let mut child = tools.set(&mut command).stdout(Stdio::piped()).spawn().context("starting the server")?;
        let (told, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().context("the server's output")?);
        // It ends with the server's output.
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        let api = loop {
            let line = lines.recv_timeout(PATIENCE).context("the server does not start")?;
            if let Some(address) = line.strip_prefix("API ").and_then(|rest| rest.trim().strip_suffix("/client/v4")) {
                break address.to_owned();
            }
        };
        let token = fs::read_to_string(data.path().join("operator-token"))?.trim().to_owned();
        Ok(Self { stepwell, child, api, token, _data: data })
    }

    fn cli(&self, arguments: &[&str]) -> Result<()> {
        let mut command = command_of(&self.stepwell, &self.api, &self.token);
        project::succeed(command.args(arguments).stdout(Stdio::null()))
    }

    fn check_alive(mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the server ended while it was asked: {ended:?}");
        Ok(())
    }
}

fn command_of(stepwell: &Path, api: &str, token: &str) -> Command {
    let mut command = project::command(stepwell);
    command.env("STEPWELL_API", api).env("STEPWELL_TOKEN", token);
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
