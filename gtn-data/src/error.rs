use std::{io, path::PathBuf};

/// What can go wrong between a folder of files and a batch of tensors.
///
/// Every message says in one sentence where the fault lies, what was expected there and what was found
/// instead; those about files also say what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write a file or folder.
    #[error(
        "cannot {action} {path}: {source}; check that the path is right and that you may read it"
    )]
    Io {
        /// What was tried, as a verb: "read", "list".
        action: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// A folder holds none of the known formats.
    #[error(
        "{dir} holds no known data set: looked for {looked_for}; point to the folder that holds the files themselves"
    )]
    NotRecognized {
        /// The folder that was searched.
        dir: PathBuf,
        /// The formats and the file names that would have given them away.
        looked_for: String,
    },

    /// A file or folder that the format needs is not there.
    #[error("{path} is missing: expected {expected}; {hint}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What to do.
        hint: &'static str,
    },

    /// A file is not what its format demands: truncated, too long, mislabelled, damaged, of another
    /// kind.
    #[error("{path}: {place}: expected {expected}, found {found}; {hint}")]
    Malformed {
        /// The damaged file.
        path: PathBuf,
        /// The byte offset or the field.
        place: String,
        /// What the format demands there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        hint: &'static str,
    },

    /// The images and the labels of a set do not pair up.
    #[error(
        "{images} holds {image_count} images but {labels} holds {label_count} labels; take both files from the same download"
    )]
    CountMismatch {
        /// The file of images.
        images: PathBuf,
        /// How many images it holds.
        image_count: usize,
        /// The file of labels.
        labels: PathBuf,
        /// How many labels it holds.
        label_count: usize,
    },

    /// A value given by the caller is out of its range.
    #[error("{what}: expected {expected}, found {found}")]
    Invalid {
        /// The name of the value.
        what: &'static str,
        /// The values that are allowed.
        expected: String,
        /// The value that was given.
        found: String,
    },

    /// The tensor library or the device failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// A download failed.
    #[cfg(feature = "hub")]
    #[error(
        "cannot download {name}: {source}; check the network, or download the files yourself and open their folder"
    )]
    Download {
        /// The data set.
        name: &'static str,
        /// The reason.
        source: candle_core::Error,
    },
}

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(
        what: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self::Invalid { what, expected: expected.into(), found: found.to_string() }
    }
}
