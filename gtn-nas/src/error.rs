//! What can go wrong in this crate, each with the sentence a user sees.

use std::path::PathBuf;

/// Errors of `gtn-nas`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network could not be built, taught or judged.
    #[error(transparent)]
    Core(#[from] gtn_core::Error),

    /// A text that stands for no architecture, space, strategy, ….
    #[error("`{text}` is no {what}: {message}")]
    Parse {
        /// What was to be read, for example `cell`.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it, or what was expected.
        message: String,
    },

    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),

    /// A journal of trials that is damaged, or of another search.
    #[error("{path}, line {line}: {message}")]
    Journal {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        message: String,
    },

    /// The system has no more threads.
    #[error("cannot start {threads} threads, one for each worker: {source}; ask for fewer workers")]
    Threads {
        /// How many there were to be, the one that could not be started included.
        threads: usize,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file could not be read or written.
    #[error(
        "cannot read or write {path}: {source}; check that the path is right and that the disk has room"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn parse(what: &'static str, text: &str, message: impl Into<String>) -> Self {
        Self::Parse { what, text: text.to_owned(), message: message.into() }
    }
}
