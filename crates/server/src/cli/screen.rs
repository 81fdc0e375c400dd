//! Where output goes: whether it may be coloured, how wide it is, and what time people there read.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::CliError;

/// Narrower than this nothing is readable, so it is cut off by the terminal rather than by us.
const WIDTH_MIN: usize = 40;

/// How something is meant, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Waiting,
    Dim,
    Heading,
}

/// Standard output, as it is for this run.
#[derive(Debug, Clone)]
pub struct Screen {
    pub has_colour: bool,
    /// Columns; none where lines may be of any length.
    pub width: Option<usize>,
    /// Rows of a terminal that can be drawn over.
    pub rows: Option<usize>,
    pub zone: TimeZone,
    /// Whether a program reads the output (`--json`).
    pub is_json: bool,
    fixed_now: Option<Timestamp>,
}

impl Screen {
    /// The standard output of this process. `fixed_now` stands still, for tests.
    #[must_use]
    pub fn stdout(fixed_now: Option<Timestamp>, is_json: bool) -> Self {
        let has_colour = io::stdout().is_terminal() && !no_colour() && !is_json;
        let unmeasured = Self { has_colour, width: None, rows: None, zone: TimeZone::system(), is_json, fixed_now };
        unmeasured.measured()
    }

    /// The same, of the size that the terminal has now.
    #[must_use]
    pub fn measured(&self) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let size = is_terminal.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        Self {
            width: columns.or(size.map(|size| size.ws_col.into())).map(|width: usize| width.max(WIDTH_MIN)),
            rows: size.map(|size| size.ws_row.into()),
            ..self.clone()
        }
    }

    /// Nothing but text, in UTC: what a file gets.
    #[cfg(test)]
    pub fn plain(width: Option<usize>, now: Timestamp) -> Self {
        Self { has_colour: false, width, rows: None, zone: TimeZone::UTC, is_json: false, fixed_now: Some(now) }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.fixed_now.unwrap_or_else(Timestamp::now)
    }

    /// `text` in the colour of `tone`. Measure first: the colour takes no columns but does take characters.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.has_colour || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = style(tone);
        format!("{style}{text}{style:#}")
    }

    /// Writes the JSON of a value where a program reads, else what `told` makes of it.
    ///
    /// # Errors
    /// As [`Screen::print`].
    pub fn show(&self, value: &impl Serialize, told: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.is_json {
            true => self.line(&serde_json::to_string(value).map_err(anyhow::Error::from)?),
            false => self.print(&told()),
        }
    }

    /// Whether anybody reads standard output: a pipe may have been closed at its other end.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let out = io::stdout();
        let mut polled = [PollFd::new(&out, PollFlags::OUT)];
        let asked = poll(&mut polled, Some(&Timespec::default()));
        asked.is_err() || !polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// When nobody reads it, or it cannot be written.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    /// As [`Screen::print`].
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        self.print(&format!("{text}\n"))
    }
}

pub(super) fn no_colour() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|term| term == "dumb")
}

pub(super) fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Busy => AnsiColor::Cyan.on_default(),
        Tone::Waiting => AnsiColor::Yellow.on_default(),
        Tone::Dim => Style::new().dimmed(),
        Tone::Heading => Style::new().bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_taken_back_at_the_end_and_left_out_where_there_is_none() {
        let mut screen = Screen::plain(None, Timestamp::UNIX_EPOCH);
        assert_eq!(screen.paint(Tone::Bad, "no"), "no");
        screen.has_colour = true;
        assert_eq!(screen.paint(Tone::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
    }
}
