//! `stepwell doctor`: whether this machine can run a server, and what to do where it cannot. Nothing is installed or changed.

mod machine;
mod tools;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::client::{Ask, Client};
use super::screen::{Screen, Tone};
use super::text::pad;
use super::{CliError, ExitCode};

/// Where `dev` keeps its state unless told.
const DEV_DATA: &str = ".stepwell";
/// The longest name of a check, and a gap.
const CHECK_WIDTH: usize = 18;

/// Check tools, ports, disk and data directory, and say what to do
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The data directory to check [default: .stepwell, as in `dev`]
    #[arg(long, env = "STEPWELL_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port for requests to Workers
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Port for the API
    #[arg(long, default_value_t = 8788)]
    api_port: u16,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    Warn,
    Fail,
}

/// What was found of one thing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub health: Health,
    pub found: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, health: Health::Ok, found: found.into(), advice: None }
    }

    pub fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, health: Health::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    pub fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, health: Health::Fail, found: found.into(), advice: Some(advice.into()) }
    }
}

impl DoctorArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let data = self.data.clone().unwrap_or_else(|| DEV_DATA.into());
        let runs = stepwell_answers(self.api_port).await;
        let mut findings = tools::check();
        findings.push(machine::port("port", self.port, "--port (dev) or --listen (serve)", runs));
        findings.push(machine::port("api port", self.api_port, "--api-port (dev) or --api (serve)", runs));
        findings.push(machine::data_dir(&data));
        findings.push(machine::disk(&data));
        screen.show(&findings, || findings.iter().map(|finding| line(finding, screen)).collect())?;
        let has_failed = findings.iter().any(|finding| finding.health == Health::Fail);
        Ok(if has_failed { ExitCode::Failure } else { ExitCode::Ok })
    }
}

/// Whether what listens on that port is a server of ours; it may well refuse us.
async fn stepwell_answers(api_port: u16) -> bool {
    let Ok(client) = Client::new(&format!("http://127.0.0.1:{api_port}"), None) else { return false };
    let ask = Ask::new(hyper::Method::GET, &["workflows"]).query("per_page", "1");
    let answered = client.ask(ask.within_ms(machine::PROBE_TIMEOUT_MS)).await;
    matches!(answered, Ok(_) | Err(CliError::Api { .. } | CliError::Unauthorized { .. }))
}

fn line(finding: &Finding, screen: &Screen) -> String {
    let (word, tone) = match finding.health {
        Health::Ok => ("ok", Tone::Good),
        Health::Warn => ("warn", Tone::Waiting),
        Health::Fail => ("fail", Tone::Bad),
    };
    let mut text =
        format!("{}  {}{}\n", screen.paint(tone, &pad(word, 4)), pad(finding.check, CHECK_WIDTH), finding.found);
    for line in finding.advice.iter().flat_map(|advice| advice.lines()) {
        text += &format!("{}{line}\n", pad("", 6 + CHECK_WIDTH));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_was_found() {
        let screen = Screen::plain(None, jiff::Timestamp::UNIX_EPOCH);
        let text = line(&Finding::fail("disk", "full", "make room\nor move"), &screen);
        assert_eq!(
            text,
            "fail  disk              full\n                        make room\n                        or move\n"
        );
    }
}
