//! Every way the program ends, with its number. Scripts rely on these: a number never changes its meaning.

use clap::Args;
use serde_json::json;

use super::CliError;
use super::screen::Screen;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// It did what it was asked to do.
    Ok = 0,
    /// Something failed; the message says what.
    Failure = 1,
    /// The command line makes no sense. clap uses the same number.
    Usage = 2,
    /// The workflow, instance or script does not exist.
    NotFound = 3,
    /// The server refused: the value is not valid, or not in this state of the instance.
    Refused = 4,
    /// Nothing answers where the server should be.
    Unreachable = 5,
    /// The instance that was watched ended errored or terminated.
    InstanceFailed = 6,
    /// The server wants a token, or another one.
    Unauthorized = 7,
    /// The server stopped because its disk failed to confirm a write, or its database was gone; a restart reads what is durable.
    StorageFailed = 8,
    /// Ctrl-C ended it; a shell says the same of what the signal kills.
    Interrupted = 130,
}

/// For `--help`.
pub const AFTER_HELP: &str = "\
Exit codes:
    0  done
    1  failed; the message says what
    2  the command line makes no sense
    3  no such workflow, instance, script, version, secret, database or profile
    4  refused by the server: not valid, or not in this state
    5  cannot reach the server
    6  the watched instance ended errored or terminated
    7  the server wants a token, or another one
    8  the server stopped because its disk did not confirm a write, or its database was gone
  130  ended by Ctrl-C";

impl ExitCode {
    /// All, in their order.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Refused,
        Self::Unreachable,
        Self::InstanceFailed,
        Self::Unauthorized,
        Self::StorageFailed,
        Self::Interrupted,
    ];

    /// For an answer of the API with the HTTP status `status`.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound,
            400..=499 => Self::Refused,
            _ => Self::Failure,
        }
    }

    /// One word, for programs that read errors as JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::InstanceFailed => "instance_failed",
            Self::Unauthorized => "unauthorized",
            Self::StorageFailed => "storage_failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Print the exit codes and what they mean
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExitCodesArgs {}

impl ExitCodesArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let codes: Vec<_> =
            ExitCode::ALL.iter().map(|code| json!({ "exit_code": *code as u8, "kind": code.word() })).collect();
        screen.show(&codes, || format!("{AFTER_HELP}\n"))?;
        Ok(ExitCode::Ok)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code_once_and_in_order() {
        let told: Vec<&str> =
            AFTER_HELP.lines().skip(1).map(|line| line.trim_start().split(' ').next().unwrap()).collect();
        let expected: Vec<String> = ExitCode::ALL.iter().map(|code| (*code as u8).to_string()).collect();
        assert_eq!(told, expected);
    }
}
