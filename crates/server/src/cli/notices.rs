//! What is told on standard error: errors and warnings, for people or, with `--json`, as lines of JSON.
//!
//! Which of the two holds for the whole process, because standard error is one. What a server logs is not told here.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::styling::Style;
use serde_json::json;

use super::CliError;
use super::screen::{Tone, no_colour, style};

static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Has all that is told from now on be JSON.
pub(super) fn speak_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Says what went wrong.
pub fn complain(error: &CliError) {
    match is_json() {
        true => line(&error.json()),
        false => labelled("error:", Tone::Bad, &error.to_string()),
    }
}

/// Says what is to be known. For programs: `{"warning":{"message"}}`.
pub fn warn(message: &str) {
    match is_json() {
        true => line(&json!({ "warning": { "message": message } }).to_string()),
        false => labelled("warning:", Tone::Waiting, message),
    }
}

fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

fn labelled(label: &str, tone: Tone, message: &str) {
    let is_coloured = io::stderr().is_terminal() && !no_colour();
    let style = if is_coloured { style(tone) } else { Style::new() };
    line(&format!("{style}{label}{style:#} {message}"));
}

fn line(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
