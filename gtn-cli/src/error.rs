//! Which errors are the user's to mend on the command line or in the
//! configuration, and the exit codes that tell them apart.

use std::fmt;
use std::process::ExitCode;

/// A wrong command line or configuration: exit code 2.
///
/// Every other error is a failure at run time: exit code 1.
#[derive(Debug)]
pub struct Usage(String);

impl Usage {
    /// An error with this sentence.
    #[must_use]
    pub fn error(sentence: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(sentence.into()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The exit code of a command that ended with `error`.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(if is_usage(error) { 2 } else { 1 })
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        // A description that cannot be built came from the configuration.
        cause.is::<Usage>()
            || matches!(cause.downcast_ref::<gtn_core::Error>(), Some(gtn_core::Error::Spec(_)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn usage_is_recognized_beneath_its_context() {
        assert!(is_usage(&Usage::error("no such key")));
        assert!(is_usage(
            &Err::<(), _>(Usage::error("no such key")).context("config.toml").unwrap_err()
        ));
        assert!(is_usage(&gtn_core::Error::Spec("x".into()).into()));
        assert!(!is_usage(&anyhow::anyhow!("disk full")));
    }
}
