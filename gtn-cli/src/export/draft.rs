//! A folder that appears complete or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Usage;
use anyhow::{Context, Result};
use tempfile::TempDir;

/// Files written beside their destination until they are all there.
pub(crate) struct Draft {
    folder: TempDir,
    files: Vec<PathBuf>,
    out: PathBuf,
}

impl Draft {
    /// Refuses `out` ([`Usage`]) unless it is an empty folder or does not exist.
    pub(crate) fn begin(out: &Path) -> Result<Self> {
        if let Ok(found) = fs::symlink_metadata(out) {
            if !found.is_dir() {
                let sentence = format!("{} is not a folder: choose another one", out.display());
                return Err(Usage::error(sentence));
            }
            let mut entries =
                fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
            if entries.next().is_some() {
                return Err(Usage::error(format!(
                    "the folder {} is not empty: choose another one, or remove it first",
                    out.display()
                )));
            }
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix(".gtn-export-").tempdir_in(parent))
            .with_context(|| format!("cannot write to {}", parent.display()))?;
        Ok(Self { folder, files: Vec::new(), out: out.to_path_buf() })
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

    /// Moves the folder to its destination and returns the files there.
    pub(crate) fn publish(self) -> Result<Vec<PathBuf>> {
        let Self { folder, files, out } = self;
        // An empty folder in the way is replaced by renaming on some systems only.
        if out.is_dir() {
            fs::remove_dir(&out).with_context(|| format!("cannot replace {}", out.display()))?;
        }
        fs::rename(folder.path(), &out)
            .with_context(|| format!("cannot rename the finished export to {}", out.display()))?;
        let _ = folder.keep();
        Ok(files.into_iter().map(|file| out.join(file)).collect())
    }
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
    fn only_an_empty_folder_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        fs::create_dir(&out).unwrap();
        let mut draft = Draft::begin(&out).unwrap();
        draft.write("a.txt", b"1").unwrap();
        draft.publish().unwrap();
        let error = Draft::begin(&out).err().unwrap().to_string();
        assert!(error.contains("is not empty"), "{error}");
        let error = Draft::begin(&out.join("a.txt")).err().unwrap().to_string();
        assert!(error.contains("is not a folder"), "{error}");
    }
}
