//! What goes wrong on the command line, told by what the caller does about it, each with its exit code.

use std::io;

use serde_json::json;
use stepwell_engine::names::INSTANCE_ID_CHARS_MAX;

use super::ExitCode;
use super::text::{cut, one_line};

/// Cloudflare's codes, whose texts name no instance.
pub const INSTANCE_NOT_FOUND: u32 = 10_400;
const INSTANCE_ID_INVALID: u32 = 10_404;
const INSTANCE_EXISTS: u32 = 10_405;
/// More than any id that is valid has.
const ID_CHARS_SHOWN: usize = 110;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense, in a way that clap cannot see.
    #[error("{0}")]
    Usage(String),
    /// What was named does not exist, as this side found out.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things are, as this side found out.
    #[error("{0}")]
    Refused(String),
    /// The user was asked and said no.
    #[error("nothing has been done")]
    Declined,
    /// Nothing answers.
    #[error("cannot reach a server at {url}: {detail}\n{advice}")]
    Unreachable { url: String, detail: String, advice: String },
    /// The server answered with an error. `advice` is what this side knows beyond it.
    #[error("{message} [code {code}]{}", advice.as_deref().map(|advice| format!("\n{advice}")).unwrap_or_default())]
    Api { status: u16, code: u32, message: String, advice: Option<String> },
    /// The server does not let the caller do it.
    #[error("{message} [code {code}]\n{advice}")]
    Unauthorized { status: u16, code: u32, message: String, advice: String },
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

impl CliError {
    /// The same, naming the instance that was asked for.
    #[must_use]
    pub fn about_instance(self, workflow: &str, id: &str) -> Self {
        let Self::Api { status, code, message, .. } = self else { return self };
        let (workflow, id) = (one_line(workflow), cut(&one_line(id), ID_CHARS_SHOWN));
        let advice = match code {
            INSTANCE_NOT_FOUND => Some(format!(
                "Workflow {workflow} has no instance {id:?}; `stepwell workflows instances list {workflow}` shows which there are."
            )),
            INSTANCE_EXISTS => Some(format!(
                "Workflow {workflow} has an instance {id:?} already. Choose another id, or give none and get a random one."
            )),
            INSTANCE_ID_INVALID => Some(format!(
                "{id:?} is no id of an instance: 1 to {INSTANCE_ID_CHARS_MAX} ASCII letters, digits, \"_\" and \"-\" make one; it \
                 does not begin with \"-\", and is not one of the server's own words and ids."
            )),
            _ => None,
        };
        Self::Api { status, code, message, advice }
    }

    /// For the shell.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::NotFound(_) => ExitCode::NotFound,
            Self::Unreachable { .. } => ExitCode::Unreachable,
            Self::Api { status, .. } => ExitCode::of_status(*status),
            Self::Unauthorized { .. } => ExitCode::Unauthorized,
            Self::Refused(_) => ExitCode::Refused,
            Self::Malformed { .. } | Self::Declined | Self::Other(_) => ExitCode::Failure,
            Self::OutputClosed => ExitCode::Ok,
        }
    }

    /// For programs: `{"error":{"kind","exit_code","message","status"?,"code"?}}`.
    #[must_use]
    pub fn json(&self) -> String {
        let exit_code = self.exit_code();
        let mut error = json!({ "kind": exit_code.word(), "exit_code": exit_code as u8, "message": self.to_string() });
        if let Self::Api { status, code, message, .. } | Self::Unauthorized { status, code, message, .. } = self {
            error["message"] = message.as_str().into();
            error["status"] = (*status).into();
            error["code"] = (*code).into();
        }
        json!({ "error": error }).to_string()
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
