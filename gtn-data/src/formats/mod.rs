//! One reader a format. Each turns a folder into [`Parts`] or an error that names the file at
//! fault.

pub(crate) mod cifar;
pub(crate) mod folder;
pub(crate) mod idx;
mod pickle;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, LabeledImages, Result};

/// What every format holds: the classes, and images to learn from and to test on.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) classes: Vec<String>,
    pub(crate) train: LabeledImages,
    pub(crate) test: LabeledImages,
    /// Whether an image was stored as JPEG.
    pub(crate) jpeg: bool,
}

/// What to do about a file that a download has damaged or cut short.
const REFETCH: &str = "the file may be damaged or incomplete, so fetch it again";

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

/// The entries of a folder that are not hidden, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let error = |source| Error::Io { action: "list", path: dir.to_owned(), source };
    let mut paths = vec![];
    for entry in fs::read_dir(dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// A fault in the file `path` at `place`; the hint is to fetch the file again.
fn malformed(
    path: &Path,
    place: impl Into<String>,
    expected: impl Into<String>,
    found: impl ToString,
) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        place: place.into(),
        expected: expected.into(),
        found: found.to_string(),
        hint: REFETCH,
    }
}
