//! A folder that appears complete or not at all, or is filled at once where it is there already.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::Usage;
use anyhow::{Context, Result};
use tempfile::TempDir;

/// Files written beside their destination, or in a folder of their own inside of it, until they are all there.
pub(crate) struct Draft {
    folder: TempDir,
    files: Vec<PathBuf>,
    out: PathBuf,
    /// Whether the destination was there, and empty.
    there: bool,
}

/// How the names of folders begin that hold a draft. One that was killed leaves its own behind.
const PREFIX: &str = ".gtn-export-";

impl Draft {
    /// Refuses `out` ([`Usage`]) unless it is an empty folder or does not exist.
    pub(crate) fn begin(out: &Path) -> Result<Self> {
        let there = out.exists();
        if there {
            if !out.is_dir() {
                let sentence = format!("{} is not a folder: choose another one", out.display());
                return Err(Usage::error(sentence));
            }
            let entries =
                fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
            let is_draft = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
            if entries.flatten().any(|entry| !is_draft(&entry.file_name())) {
                return Err(Usage::error(format!(
                    "the folder {} is not empty: choose another one, or remove it first",
                    out.display()
                )));
            }
        }
        let place = match out.parent() {
            // It may be where another disk begins, or nothing else beside it may be written.
            _ if there => out,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = fs::create_dir_all(place)
            .and_then(|()| tempfile::Builder::new().prefix(PREFIX).tempdir_in(place))
            .with_context(|| format!("cannot write to {}", place.display()))?;
        Ok(Self { folder, files: Vec::new(), out: out.to_path_buf(), there })
    }

    /// Writes a file; `name` is its path in the folder.
    pub(crate) fn write(&mut self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let path = self.folder.path().join(&name);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push(name.as_ref().to_path_buf());
        Ok(())
    }

    /// Moves all to its destination and returns the files there.
    pub(crate) fn publish(self) -> Result<Vec<PathBuf>> {
        let Self { folder, files, out, there } = self;
        let moved = if there { fill(&out, folder.path()) } else { fs::rename(folder.path(), &out) };
        moved.with_context(|| format!("cannot move the finished export to {}", out.display()))?;
        if !there {
            let _ = folder.keep();
        }
        Ok(files.into_iter().map(|file| out.join(file)).collect())
    }
}

/// Moves what is in a folder into another one.
fn fill(out: &Path, from: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), out.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn nothing_shows_before_everything_is_there() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("deep/out");
        let mut draft = Draft::begin(&out).unwrap();
        draft.write("a/b.txt", b"1").unwrap();
        assert!(!out.exists());
        assert_eq!(draft.publish().unwrap(), [out.join("a/b.txt")]);
        assert_eq!(fs::read(out.join("a/b.txt")).unwrap(), b"1");
        assert_eq!(names(out.parent().unwrap()), [out]);
    }

    #[test]
    fn an_abandoned_draft_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(&home.path().join("out")).unwrap();
        draft.write("a.txt", b"1").unwrap();
        drop(draft);
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn only_an_empty_folder_is_filled() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::create_dir(out.join(".gtn-export-killed")).unwrap();
        let mut draft = Draft::begin(&out).unwrap();
        draft.write("a.txt", b"1").unwrap();
        draft.write("b/c.txt", b"2").unwrap();
        assert!(!out.join("a.txt").exists());
        draft.publish().unwrap();
        assert_eq!(fs::read(out.join("b/c.txt")).unwrap(), b"2");
        assert_eq!(names(&out).len(), 3, "two of the export's, and what was there");
        let error = Draft::begin(&out).err().unwrap().to_string();
        assert!(error.contains("is not empty"), "{error}");
        let error = Draft::begin(&out.join("a.txt")).err().unwrap().to_string();
        assert!(error.contains("is not a folder"), "{error}");
    }
}
