//! `--watch`: shown again whenever it changes, in place on a terminal, until it ends or Ctrl-C does.
//!
//! Where nobody looks on, an instance is shown at its end only, and a list is written again below itself.

use std::time::{Duration, Instant};

use super::client::{Answer, Ask};
use super::desk::Desk;
use super::detail::Detail;
use super::drawing::Drawing;
use super::screen::Screen;
use super::timeline::Timeline;
use super::{CliError, ExitCode};

/// How long the server holds back its answer when a person looks on: often enough to see steps pass.
const REDRAW_MS: u64 = 300;
/// And when nobody does. The server waits a minute at most.
pub const WAIT_MS: u64 = 30_000;
/// A look at a long history takes the server and this side a while, and both have other work: they rest so many times as long.
const REST_FACTOR: u32 = 4;
/// Between two looks at a list, which the server does not wait for.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// Does it until Ctrl-C, which is no error. (What is drawn stays as it is.)
///
/// # Errors
/// Those of `command`.
pub async fn until_interrupted(
    command: impl Future<Output = Result<ExitCode, CliError>>,
) -> Result<ExitCode, CliError> {
    tokio::select! {
        done = command => done,
        signal = tokio::signal::ctrl_c() => signal.map(|()| ExitCode::Interrupted).map_err(CliError::from),
    }
}

/// Shows the instance until it has ended.
///
/// # Errors
/// When the server cannot be asked any more.
pub async fn watch(desk: &Desk<'_>, ask: &Ask, timeline: &Timeline<'_>) -> Result<ExitCode, CliError> {
    let draws = desk.screen.rows.is_some() && !desk.screen.is_json;
    let mut drawing = Drawing::default();
    let mut wait_ms = if draws { 0 } else { WAIT_MS };
    loop {
        let asked = Instant::now();
        let answer = desk.client.ask(ask.clone().waiting(wait_ms)).await?;
        let detail: Detail = answer.parse()?;
        let screen = desk.screen.measured();
        let timeline = Timeline { screen: &screen, ..timeline.clone() };
        if detail.has_ended() {
            match screen.is_json {
                true => screen.line(answer.result.get())?,
                false => screen.print(&drawing.over(timeline.render(&detail)))?,
            }
            return Ok(if detail.status == "complete" { ExitCode::Ok } else { ExitCode::InstanceFailed });
        }
        if draws {
            screen.print(&drawing.redrawn(timeline.render(&detail), &screen))?;
            wait_ms = rest_ms(asked.elapsed().saturating_sub(Duration::from_millis(wait_ms)));
        }
    }
}

/// How long the server holds back its next answer after a look that took so long.
fn rest_ms(took: Duration) -> u64 {
    let rest_ms = u64::try_from((took * REST_FACTOR).as_millis()).unwrap_or(WAIT_MS);
    rest_ms.clamp(REDRAW_MS, WAIT_MS)
}

/// Shows a list, or whatever else the server does not wait for, for as long as somebody looks on.
///
/// # Errors
/// When the server cannot be asked any more, or its answer is of another shape.
pub async fn watch_list(
    desk: &Desk<'_>,
    ask: &Ask,
    told: impl Fn(&Answer, &Screen) -> Result<String, CliError>,
) -> Result<ExitCode, CliError> {
    let draws = desk.screen.rows.is_some() && !desk.screen.is_json;
    let mut drawing = Drawing::default();
    let mut last = String::new();
    while desk.screen.is_read() {
        let answer = desk.client.ask(ask.clone()).await?;
        let screen = desk.screen.measured();
        if draws {
            let lines = told(&answer, &screen)?.lines().map(str::to_owned).collect();
            screen.print(&drawing.redrawn(lines, &screen))?;
        } else if last != answer.result.get() {
            let gap = if last.is_empty() || screen.is_json { "" } else { "\n" };
            let text = if screen.is_json { format!("{}\n", answer.result) } else { told(&answer, &screen)? };
            screen.print(&format!("{gap}{text}"))?;
            answer.result.get().clone_into(&mut last);
        }
        tokio::time::sleep(LIST_EVERY).await;
    }
    Err(CliError::OutputClosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_looked_at_less_often() {
        for (took_ms, rest) in [(0, REDRAW_MS), (20, REDRAW_MS), (500, 2_000), (100_000, WAIT_MS)] {
            assert_eq!(rest_ms(Duration::from_millis(took_ms)), rest, "{took_ms} ms");
        }
    }
}
