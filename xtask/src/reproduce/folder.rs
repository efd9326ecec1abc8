//! The folder of one target in one profile: what lies where.

use super::profile::Profile;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one target in one profile.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(out: &Path, target: &str, profile: Profile) -> Self {
        Self(out.join(target).join(profile.name()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A file by its name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What a part measures, in full.
    pub(super) fn config(&self, part: &str) -> PathBuf {
        self.0.join("configs").join(format!("{part}.toml"))
    }

    /// What it found.
    pub(super) fn result(&self, part: &str) -> PathBuf {
        self.0.join("parts").join(format!("{part}.json"))
    }

    /// Where it works, and leaves what the next process goes on from.
    pub(crate) fn run(&self, part: &str) -> PathBuf {
        self.0.join("runs").join(part)
    }

    /// Its synthetic images.
    pub(crate) fn sheet(&self, part: &str) -> PathBuf {
        self.0.join("sheets").join(format!("{part}.png"))
    }

    /// Which processes worked on it, and for how long.
    pub(super) fn worklog(&self, part: &str) -> PathBuf {
        self.0.join("runs").join(format!("{part}.work.json"))
    }
}

/// The text of a file, or nothing where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read.with_context(|| format!("{} could not be read", path.display()))?)),
    }
}
