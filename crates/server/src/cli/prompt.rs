//! Questions to whoever sits at the terminal, and what comes on standard input where nobody does.
//!
//! Questions go to standard error, so that standard output stays the answer of the command.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use super::CliError;

/// Larger than any value that the server takes.
pub const INPUT_BYTES_MAX: u64 = 64 << 20;

/// A value that is not shown while it is typed; none where nobody is there to type it. Ctrl-C ends the process.
///
/// # Errors
/// Where the terminal cannot be read.
pub fn hidden(question: &str) -> Result<Option<String>, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    Ok(Some(rpassword::prompt_password(format!("{question}: "))?))
}

/// All of standard input.
///
/// # Errors
/// Where it cannot be read, is no text, or is too long.
pub fn input() -> Result<String, CliError> {
    let mut text = String::new();
    io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(CliError::Usage(format!("standard input has more than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Lets the user think again. Where nobody is there to ask, or `is_sure`, the command line was meant.
///
/// # Errors
/// Where the user does not mean it, or the terminal cannot be read.
pub fn confirm(question: &str, is_sure: bool) -> Result<(), CliError> {
    if is_sure || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::Declined),
    }
}
