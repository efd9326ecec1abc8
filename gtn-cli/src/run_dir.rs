//! The run folder: what lies where, and how it is written.
//!
//! Every file is written beside its place and renamed into it, so that it is
//! there whole or not at all; only `metrics.jsonl` grows line by line.

use crate::error::Usage;
use crate::folder_lock::LOCK;
use crate::records::{Eval, MetricsLine};
use crate::report::words::word;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::{fs, io};

const SHEETS: &str = "sheets";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// A folder for a new run. It is created with the first file in it.
    ///
    /// # Errors
    /// [`Usage`] when something is in it already.
    pub fn new(path: &Path) -> Result<Self> {
        vacant(path)?;
        Ok(Self(path.to_owned()))
    }

    /// A folder in which a run may have begun.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder of a run that has begun, or for a new one.
    ///
    /// # Errors
    /// [`Usage`] when there is no run in it and something else is.
    pub fn begun_or_new(path: &Path) -> Result<Self> {
        let run = Self::at(path);
        if !run.config().is_file() {
            free(path, "config.toml")?;
        }
        Ok(run)
    }

    /// The folder of a run that has begun.
    ///
    /// # Errors
    /// [`Usage`] when there is no `config.toml` in it.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self(path.to_owned());
        if !run.config().is_file() {
            return Err(Usage::error(format!(
                "{} is no run folder: there is no config.toml in it; give the folder that `gtn train --out` wrote",
                path.display()
            )));
        }
        Ok(run)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The complete configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The digest of the data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.0.join("data.digest")
    }

    /// One line for each meta-iteration.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// The trainer's state after the last meta-iteration saved.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.safetensors")
    }

    /// The synthetic batches as they were after a meta-iteration.
    #[must_use]
    pub fn sheet(&self, iteration: usize) -> PathBuf {
        self.0.join(SHEETS).join(format!("{iteration:06}.png"))
    }

    /// What `gtn eval` found.
    #[must_use]
    pub fn eval(&self) -> PathBuf {
        self.0.join("eval.json")
    }

    /// The page that `gtn report` writes.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// Removes what a run begins with, so that another may begin here.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take_back(&self) -> Result<()> {
        for file in [self.config(), self.data(), self.metrics()] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let place = || format!("cannot remove {}", file.display());
                    return Err(error).with_context(place);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every sheet with its meta-iteration, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all_sheets(&self) -> Result<Vec<(usize, PathBuf)>> {
        let folder = self.0.join(SHEETS);
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
        let sheets = entries.iter().map(fs::DirEntry::path).filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_suffix(".png")?.parse().ok()?;
            Some((number, path))
        });
        let mut sheets: Vec<_> = sheets.collect();
        sheets.sort_unstable();
        Ok(sheets)
    }

    /// The digest of the data that the run began with, if it is told.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_data(&self) -> Result<Option<String>> {
        let path = self.data();
        path.exists().then(|| Ok(read(&path)?.trim().to_owned())).transpose()
    }

    /// Fails where the run began with other images than those of the data set at `path`, which have this digest.
    /// `remedy` ends the sentence.
    ///
    /// # Errors
    /// [`Usage`] when they are others.
    pub fn expect_images(&self, digest: &str, path: &str, remedy: &str) -> Result<()> {
        if self.read_data()?.is_none_or(|own| own == digest) {
            return Ok(());
        }
        Err(Usage::error(format!(
            "{} holds a run on other images than those of {path}; name the same data set with --data, wherever it lies now{remedy}",
            self.path().display()
        )))
    }

    /// What `gtn eval` found, if it has run.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read_eval(&self) -> Result<Option<Eval>> {
        let path = self.eval();
        if !path.exists() {
            return Ok(None);
        }
        let text = read(&path)?;
        let eval = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; write it anew with: gtn eval {}",
                path.display(),
                word(self.0.display())
            )
        })?;
        Ok(Some(eval))
    }

    /// The lines of `metrics.jsonl`; a last line torn by a sudden end is left out.
    ///
    /// # Errors
    /// When the file cannot be read, or another line is damaged.
    pub fn read_metrics(&self) -> Result<Vec<MetricsLine>> {
        self.read_first_metrics(usize::MAX)
    }

    /// The first `count` lines of `metrics.jsonl`, or as many as there are.
    ///
    /// # Errors
    /// When the file cannot be read, or one of them is damaged.
    pub fn read_first_metrics(&self, count: usize) -> Result<Vec<MetricsLine>> {
        let path = self.metrics();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole =
            text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let lines = whole.take(count).enumerate().map(|(number, line)| {
            serde_json::from_slice(line).with_context(|| {
                format!(
                    "{}, line {}: damaged; put a copy back, or train again in another folder",
                    path.display(),
                    number + 1
                )
            })
        });
        lines.collect()
    }
}

/// Fails where something is in a folder already; half-written files and the lock of a process that was killed are nothing.
///
/// # Errors
/// [`Usage`] then, other errors when it cannot be read.
pub fn vacant(path: &Path) -> Result<()> {
    if holds_nothing(path)? {
        return Ok(());
    }
    Err(Usage::error(format!(
        "{} is not empty; go on with what is in it with --resume, or choose another folder with --out",
        path.display()
    )))
}

/// Fails where a folder, in which nothing of this was begun, has something else in it; `config` is the file that would
/// tell that it was begun.
///
/// # Errors
/// As [`vacant`].
pub fn free(path: &Path, config: &str) -> Result<()> {
    if holds_nothing(path)? {
        return Ok(());
    }
    Err(Usage::error(format!(
        "{} holds nothing to go on with (there is no {config} in it), but other files; choose another folder with --out",
        path.display()
    )))
}

/// As [`vacant`] sees it.
fn holds_nothing(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(entries.flatten().all(|entry| {
            let name = entry.file_name();
            name == LOCK || Path::new(&name).extension().is_some_and(|end| end == "partial")
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file whole or not at all. The folder that it lies in is created if need be.
///
/// # Errors
/// When the system refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    Ok(gtn_core::trainer::write_beside(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_folder_is_refused_for_a_new_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/run");
        let run = RunDir::new(&path).unwrap();
        fs::create_dir_all(&path).unwrap();
        RunDir::new(&path).unwrap();
        assert!(RunDir::open(&path).unwrap_err().is::<Usage>());
        write_whole(&run.config(), b"seed = 1\n").unwrap();
        RunDir::open(&path).unwrap();
        assert!(RunDir::new(&path).unwrap_err().is::<Usage>());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing is left beside");
    }
}
