//! `stepwell tail`: what a Worker does, live, with wrangler's words and flags. A connection that breaks is made again; whoever
//! stops looking leaves no tail behind.

mod filters;
mod pretty;
mod stream;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;
use serde::Deserialize;

use super::address::ServerAddress;
use super::client::{Ask, Body, Client};
use super::screen::{Screen, Tone};
use super::text::one_line;
use super::worker::WorkerArgs;
use super::{CliError, ExitCode};
use filters::FilterArgs;
use pretty::Event;
use stream::{End, Stream};

/// Waits before a connection is made again. A server that is not back after them is taken for gone.
const BACK_OFF: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// Show what a Worker does, live: requests, runs of workflows, console lines, errors
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Name of the Worker [default: that of the wrangler configuration]
    #[arg(value_name = "WORKER", conflicts_with = "name")]
    named: Option<String>,
    #[command(flatten)]
    worker: WorkerArgs,
    /// How events are shown: each as a line of JSON, or for reading [default: pretty on a terminal]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Pretty,
}

/// A tail as the server made it.
#[derive(Deserialize)]
struct Made {
    id: String,
    url: String,
}

impl TailArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let format = match self.format {
            _ if screen.is_json => Format::Json,
            Some(format) => format,
            None if std::io::stdout().is_terminal() => Format::Pretty,
            None => Format::Json,
        };
        let worker = match self.named {
            Some(name) => name,
            None => self.worker.name()?,
        };
        let filters = self.filters.body()?;
        Tail { client: self.server.client()?, screen, worker, filters, format }.follow().await
    }
}

struct Tail<'a> {
    client: Client,
    screen: &'a Screen,
    worker: String,
    /// Body of the request for a tail.
    filters: String,
    format: Format,
}

impl Tail<'_> {
    /// Shows events until the user or the server ends it.
    async fn follow(&self) -> Result<ExitCode, CliError> {
        let stopped = crate::app::stop_signal();
        tokio::pin!(stopped);
        let mut failures = 0;
        loop {
            let made = tokio::select! {
                made = self.make() => made,
                () = &mut stopped => return Ok(ExitCode::Ok),
            };
            let end = match made {
                Ok(made) => {
                    let end = tokio::select! {
                        end = self.show(&made, &mut failures) => end,
                        () = &mut stopped => Ok(End::Over),
                    };
                    self.unmake(&made).await;
                    end?
                }
                // What broke is made again; what never was is an error at once.
                Err(error @ CliError::Unreachable { .. }) if failures > 0 => End::Broken(error.to_string()),
                Err(error) => return Err(error),
            };
            let End::Broken(detail) = end else { return Ok(ExitCode::Ok) };
            let Some(wait) = BACK_OFF.get(failures) else {
                return Err(self.client.unreachable(detail));
            };
            failures += 1;
            self.say(&format!("The connection broke ({}); trying again in {} s …", one_line(&detail), wait.as_secs()));
            tokio::select! {
                () = tokio::time::sleep(*wait) => {}
                () = &mut stopped => return Ok(ExitCode::Ok),
            }
        }
    }

    fn path(&self) -> [&str; 4] {
        ["workers", "scripts", &self.worker, "tails"]
    }

    async fn make(&self) -> Result<Made, CliError> {
        let ask = Ask::new(Method::POST, &self.path()).body(Body::Json(self.filters.clone()));
        self.client.ask(ask).await?.parse()
    }

    /// A server that is gone has no tails.
    async fn unmake(&self, made: &Made) {
        let path = [&self.path()[..], &[&made.id]].concat();
        let _ = self.client.ask(Ask::new(Method::DELETE, &path).within_ms(stream::CLOSE_MS)).await;
    }

    async fn show(&self, made: &Made, failures: &mut usize) -> Result<End, CliError> {
        let mut stream = match Stream::open(&made.url).await {
            Ok(stream) => stream,
            Err(detail) => return Ok(End::Broken(detail)),
        };
        let word = if *failures == 0 { "Connected to" } else { "Connected again to" };
        *failures = 0;
        self.say(&format!("{word} {}, waiting for events; Ctrl-C ends this …", one_line(&self.worker)));
        loop {
            match stream.next().await {
                Ok(text) => self.print(&text)?,
                Err(end) => return Ok(end),
            }
        }
    }

    fn print(&self, text: &str) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.screen.line(text),
            Format::Pretty => match serde_json::from_str::<Event>(text) {
                Ok(event) => self.screen.print(&(event.lines(self.screen).join("\n") + "\n")),
                Err(_) => self.screen.line(&one_line(text)),
            },
        }
    }

    /// For people, on standard error: what is printed may be read by a program.
    fn say(&self, text: &str) {
        if self.format == Format::Pretty {
            eprintln!("{}", self.screen.paint(Tone::Dim, text));
        }
    }
}
