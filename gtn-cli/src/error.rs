//! Which errors are the user's to mend on the command line or in the
//! configuration, and the exit codes that tell them apart.

use std::fmt;
use std::io::Write as _;
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

/// Stopped by Ctrl-C before the end, with all that was done on the disk: exit code 130.
#[derive(Debug)]
pub struct Stopped {
    go_on: String,
}

impl Stopped {
    /// What this command line goes on with.
    #[must_use]
    pub fn error(go_on: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { go_on: go_on.into() })
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped; go on with: {}", self.go_on)
    }
}

impl std::error::Error for Stopped {}

/// Tells the user what a command ended with; returns the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let what = if error.is::<Stopped>() { "" } else { "error: " };
    // Where no one reads it any more, the exit code still tells.
    let _ = writeln!(std::io::stderr(), "{what}{}", sentence(error));
    exit_code(error)
}

/// The exit code of a command that ended with `error`.
#[must_use]
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match error {
        stopped if stopped.is::<Stopped>() => 130,
        usage if is_usage(usage) => 2,
        _ => 1,
    })
}

/// The sentence of an error and its causes. A cause that the sentence has named already is not named again.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
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
    fn causes_are_told_once() {
        let full = || std::io::Error::other("disk full");
        let named = gtn_core::Error::Io { path: "a".into(), source: full() };
        assert_eq!(sentence(&named.into()), "cannot read or write a: disk full");
        let context = Err::<(), _>(full()).context("cannot write b").unwrap_err();
        assert_eq!(sentence(&context), "cannot write b: disk full");
    }

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
