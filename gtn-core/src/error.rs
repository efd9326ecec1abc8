//! What can go wrong in this crate, each with the sentence a user sees.

use std::path::PathBuf;

/// Errors of `gtn-core`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed: out of memory, a lost device, a wrong device.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// An operation met shapes that it cannot work with.
    #[error("{op}: {message}")]
    Shape {
        /// The operation's name, as in a network's description.
        op: &'static str,
        /// What was found and what was expected.
        message: String,
    },

    /// A description (of a learner, a generator, a recipe) that cannot be built.
    #[error("{0}")]
    Spec(String),

    /// A loss or a gradient became infinite or not-a-number.
    #[error(
        "{what} became non-finite at {place}; lower the learning rates, or set outer.clip to bound the meta-gradient"
    )]
    NonFinite {
        /// Which quantity, for example `inner loss`.
        what: &'static str,
        /// Where it was seen, for example `inner step 7 of 16`.
        place: String,
    },

    /// A checkpoint that does not fit what it is loaded into, or is damaged.
    #[error("checkpoint {path}: {message}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },

    /// A file could not be read or written.
    #[error("cannot read or write {path}: {source}")]
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
    pub(crate) fn shape(op: &'static str, message: impl Into<String>) -> Self {
        Self::Shape { op, message: message.into() }
    }

    pub(crate) fn spec(message: impl Into<String>) -> Self {
        Self::Spec(message.into())
    }
}
