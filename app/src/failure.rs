//! Why a command ended without doing its work, and the exit code that says so to a script.

use std::io::Write;
use std::process::ExitCode;

use crate::client::job::Job;
use crate::client::refusal::Refusal;

/// How a command can end badly. Each has its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered with a problem.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The job that was waited for ended without its result.
    #[error("{}", .0.ending())]
    Job(Box<Job>),
    /// The command can't be meant like this.
    #[error("{0}")]
    Usage(String),
    #[error("can't reach the server at {server}: {cause}")]
    Unreachable { server: String, cause: String },
    /// Ctrl-C; the text says what goes on without us.
    #[error("{0}")]
    Interrupted(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::Usage(text.into())
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Refused(_) | Failure::Job(_) | Failure::Other(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreachable { .. } => 3,
            Failure::Interrupted(_) => 130,
        }
    }

    /// To standard error: as text, or, for a program, as one line of JSON (the server's own, where it
    /// spoke). Standard output carries answers only.
    pub fn print(&self, json: bool) {
        let text = match (json, self) {
            (true, failure) => failure.to_json(),
            (false, Failure::Interrupted(text)) => text.clone(),
            (false, failure) => format!("error: {failure}"),
        };
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    fn to_json(&self) -> String {
        match self {
            Failure::Refused(refusal) => refusal.body.to_string(),
            Failure::Job(job) => job.raw.to_string(),
            Failure::Usage(text) => coded("usage", text),
            Failure::Unreachable { .. } => coded("unreachable", &self.to_string()),
            Failure::Interrupted(text) => coded("interrupted", text),
            Failure::Other(_) => coded("failed", &self.to_string()),
        }
    }
}

fn coded(code: &str, detail: &str) -> String {
    serde_json::json!({ "code": code, "detail": detail }).to_string()
}

impl From<std::io::Error> for Failure {
    fn from(err: std::io::Error) -> Failure {
        Failure::Other(err.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_exit_code() {
        let unreachable = Failure::Unreachable { server: "http://h:1".into(), cause: "refused".into() };
        assert_eq!(unreachable.code(), 3);
        assert_eq!(
            unreachable.to_json(),
            r#"{"code":"unreachable","detail":"can't reach the server at http://h:1: refused"}"#
        );
        assert_eq!(Failure::usage("x").code(), 2);
        assert_eq!(Failure::from(anyhow::anyhow!("x")).code(), 1);
        assert_eq!(Failure::Interrupted("x".into()).code(), 130);
    }
}
