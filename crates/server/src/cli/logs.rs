//! `stepwell workflows instances logs`: what an instance's code printed, page after page, and on while it runs.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::Ask;
use super::desk::Desk;
use super::detail::Detail;
use super::latest::{LATEST, resolve};
use super::screen::Tone;
use super::text::{one_line, printable};
use super::timeline::hanging;
use super::watch::{WAIT_MS, until_interrupted};
use super::workflows::check_name;
use super::{CliError, ExitCode};

/// Lines asked for at once: as many as the server gives.
const PAGE_LINES: usize = 1_000;
/// How often new lines are asked for.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Lines are kept a moment after the result that they came with.
const LAST_LINES: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name of the workflow
    name: String,
    /// Id of the instance, or `latest`
    #[arg(default_value = LATEST)]
    id: String,
    /// Only lines of this step: its name, or the name of one of several as `describe --json` has it, such as `charge-2`
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Go on until the instance has ended
    #[arg(long)]
    follow: bool,
}

#[derive(Deserialize)]
struct Page {
    lines: Vec<Line>,
    cursor: u64,
}

/// One line of output. With `--json`, each is printed as an object of its own.
#[derive(Debug, Deserialize, Serialize)]
pub struct Line {
    number: u64,
    timestamp: Timestamp,
    /// `<name>-<count>`; none outside of steps.
    step: Option<String>,
    level: String,
    text: String,
}

impl Line {
    fn is_of(&self, wanted: &str) -> bool {
        let Some(step) = self.step.as_deref() else { return false };
        step == wanted || step.rsplit_once('-').is_some_and(|(name, _)| name == wanted)
    }
}

/// Where reading an instance's lines has got to.
struct Reader<'a> {
    desk: &'a Desk<'a>,
    path: Vec<&'a str>,
    cursor: u64,
}

impl Reader<'_> {
    /// The next lines; none where there are no more yet.
    async fn next(&mut self) -> Result<Vec<Line>, CliError> {
        let ask = Ask::new(Method::GET, &[&self.path[..], &["logs"]].concat())
            .query("after", &self.cursor.to_string())
            .query("limit", &PAGE_LINES.to_string());
        let page: Page = self.desk.client.ask(ask).await?.parse()?;
        self.cursor = page.cursor;
        Ok(page.lines)
    }
}

impl Desk<'_> {
    pub async fn show_logs(&self, args: &LogsArgs) -> Result<ExitCode, CliError> {
        match args.follow {
            true => until_interrupted(self.follow_logs(args)).await,
            false => self.follow_logs(args).await,
        }
    }

    async fn follow_logs(&self, args: &LogsArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let id = resolve(&self.client, &args.name, &args.id).await?;
        let mut reader = Reader { desk: self, path: vec!["workflows", &args.name, "instances", &id], cursor: 0 };
        let shown = self.show_rest(&mut reader, args.step.as_deref()).await;
        let mut shown = shown.map_err(|error| error.about_instance(&args.name, &id))?;
        let path = reader.path.clone();
        let mut ended = pin!(self.until_ended(&path));
        let mut is_last = !args.follow;
        while !is_last {
            is_last = tokio::select! {
                ended = &mut ended => ended.map(|()| true)?,
                () = tokio::time::sleep(FOLLOW_EVERY) => false,
            };
            if is_last {
                tokio::time::sleep(LAST_LINES).await;
            }
            shown += self.show_rest(&mut reader, args.step.as_deref()).await?;
        }
        if shown == 0 && !self.screen.is_json {
            let of = args.step.as_deref().map_or_else(String::new, |step| format!(" in step {}", one_line(step)));
            self.screen.line(&format!("Instance {} has printed nothing{of}.", one_line(&id)))?;
        }
        Ok(ExitCode::Ok)
    }

    /// Returns when the instance has ended. The server waits for that, as it takes it a while to look at a long history.
    async fn until_ended(&self, path: &[&str]) -> Result<(), CliError> {
        let ask = Ask::new(Method::GET, path).query("simple", "true").waiting(WAIT_MS);
        while !self.client.ask(ask.clone()).await?.parse::<Detail>()?.has_ended() {}
        Ok(())
    }

    /// Prints what there is by now; says how many lines.
    async fn show_rest(&self, reader: &mut Reader<'_>, step: Option<&str>) -> Result<usize, CliError> {
        let mut shown = 0;
        loop {
            let lines = reader.next().await?;
            if lines.is_empty() {
                return Ok(shown);
            }
            for line in lines.iter().filter(|line| step.is_none_or(|step| line.is_of(step))) {
                shown += 1;
                match self.screen.is_json {
                    true => self.screen.line(&serde_json::to_string(line).map_err(anyhow::Error::from)?)?,
                    false => self.screen.print(&(self.log_line(line).join("\n") + "\n"))?,
                }
            }
        }
    }

    /// All lines of an instance, for reading below its timeline.
    pub async fn logs_below(&self, path: &[&str]) -> Result<Vec<String>, CliError> {
        let mut reader = Reader { desk: self, path: path.to_vec(), cursor: 0 };
        let mut told = Vec::new();
        loop {
            let lines = reader.next().await?;
            if lines.is_empty() {
                return Ok(told);
            }
            told.extend(lines.iter().flat_map(|line| self.log_line(line)));
        }
    }

    /// `12:00:01.500 charge-1 warn: text`, further lines of the text below its first.
    fn log_line(&self, line: &Line) -> Vec<String> {
        let time = line.timestamp.to_zoned(self.screen.zone.clone()).strftime("%H:%M:%S%.3f").to_string();
        let step = line.step.as_deref().map_or_else(String::new, |step| format!(" {}", one_line(step)));
        let tone = match line.level.as_str() {
            "error" => Tone::Bad,
            "warn" => Tone::Waiting,
            "debug" => Tone::Dim,
            _ => Tone::Plain,
        };
        let level = if line.level == "log" { String::new() } else { format!(" {}", one_line(&line.level)) };
        let label = format!("{}{level}: ", self.screen.paint(Tone::Dim, &format!("{time}{step}")));
        let text = line.text.split('\n').map(|line| self.screen.paint(tone, &printable(line))).collect();
        hanging(&label, 2, text)
    }
}
