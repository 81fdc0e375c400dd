//! How the status of an instance looks.

use super::screen::{Screen, Tone};

/// The words that `--status` takes.
pub const WORDS: [&str; 9] =
    ["queued", "running", "paused", "errored", "terminated", "complete", "waiting", "waitingForPause", "rollingBack"];

/// What a status means for the eye.
pub fn tone(status: &str) -> Tone {
    match status {
        "complete" => Tone::Good,
        "errored" => Tone::Bad,
        "running" | "rollingBack" => Tone::Busy,
        "waiting" | "paused" | "waitingForPause" => Tone::Waiting,
        "queued" | "terminated" => Tone::Dim,
        _ => Tone::Plain,
    }
}

/// A sign and the word itself, as a person can search for it.
pub fn label(status: &str) -> String {
    let sign = match status {
        "complete" => '✓',
        "errored" => '✗',
        "running" => '●',
        "waiting" => '◷',
        "paused" | "waitingForPause" => '‖',
        "terminated" => '■',
        "rollingBack" => '↶',
        _ => '○',
    };
    format!("{sign} {}", super::text::one_line(status))
}

/// The label in its colour.
pub fn painted(status: &str, screen: &Screen) -> String {
    screen.paint(tone(status), &label(status))
}
