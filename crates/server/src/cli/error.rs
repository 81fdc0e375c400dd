//! What goes wrong on the command line, told by what the caller does about it, each with its exit code.

use std::io;

use super::ExitCode;

/// Cloudflare's code; its text says no more than `instance.not_found`.
const INSTANCE_NOT_FOUND: u32 = 10_400;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense, in a way that clap cannot see.
    #[error("{0}")]
    Usage(String),
    /// What was named does not exist, as this side found out.
    #[error("{0}")]
    NotFound(String),
    /// Nothing answers.
    #[error(
        "cannot reach a server at {url}: {detail}\n\
         Is it running? Start one with `stepwell dev` or `stepwell serve --data DIR`, or say where it is with --api URL \
         (or STEPWELL_API)."
    )]
    Unreachable { url: String, detail: String },
    /// The server answered with an error.
    #[error("{message} [code {code}]{}", advice(*status, *code))]
    Api { status: u16, code: u32, message: String },
    /// Something answers, and not as a Stepwell server does.
    #[error(
        "{url} answered {detail}, which is not how a Stepwell server answers. Does --api name its API port (8788 unless \
         changed)?"
    )]
    Malformed { url: String, detail: String },
    /// Whoever read the output has gone, as `head` does. Nothing is wrong.
    #[error("nobody reads the output any more")]
    OutputClosed,
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

fn advice(status: u16, code: u32) -> &'static str {
    match (status, code) {
        (_, INSTANCE_NOT_FOUND) => "\n`stepwell workflows instances list NAME` shows which instances there are.",
        (401 | 403, _) => {
            "\nGive the server's data directory with --data DIR, or its token with STEPWELL_TOKEN or --token."
        }
        _ => "",
    }
}

impl CliError {
    /// For the shell.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::NotFound(_) => ExitCode::NotFound,
            Self::Unreachable { .. } => ExitCode::Unreachable,
            Self::Api { status, .. } => ExitCode::of_status(*status),
            Self::Malformed { .. } | Self::Other(_) => ExitCode::Failure,
            Self::OutputClosed => ExitCode::Ok,
        }
    }
}

/// An error whose own text already says everything that caused it.
pub fn told(error: impl std::error::Error) -> CliError {
    CliError::Other(anyhow::Error::msg(error.to_string()))
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Other(error.into()),
        }
    }
}
