//! `metrics.jsonl`: one line for each meta-iteration, written as it ends.

use crate::records::MetricsLine;
use crate::run_dir::{RunDir, write_whole};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// `metrics.jsonl`, open at its end.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
}

impl MetricsLog {
    /// Opens the log of a run of which the first `iterations` meta-iterations
    /// count; lines of later ones are cut off.
    ///
    /// # Errors
    /// When lines that count are missing or damaged, or the file cannot be written.
    pub fn open(run: &RunDir, iterations: usize) -> Result<Self> {
        let path = run.metrics();
        let lines = run.read_first_metrics(iterations)?;
        ensure!(
            lines.len() >= iterations,
            "{} ends at meta-iteration {} but the checkpoint is of {iterations}; remove the checkpoint to start over",
            path.display(),
            lines.len()
        );
        if let Some((index, line)) =
            lines.iter().enumerate().find(|(index, line)| line.iteration != index + 1)
        {
            bail!(
                "{}, line {}: expected iteration {}, found {}; remove the checkpoint to start over",
                path.display(),
                index + 1,
                index + 1,
                line.iteration
            );
        }
        // The lines that stay, stay byte for byte.
        let text = if path.exists() { fs::read(&path)? } else { Vec::new() };
        let kept: Vec<u8> = text
            .split_inclusive(|&byte| byte == b'\n')
            .take(iterations)
            .flatten()
            .copied()
            .collect();
        write_whole(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &MetricsLine) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Waits until all lines are on the disk: a checkpoint must not outlive the lines before it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(iteration: usize) -> MetricsLine {
        MetricsLine {
            diverged: 0,
            iteration,
            meta_loss: (iteration as f64).ln() / 3.0,
            inner_loss: 1.0 / 3.0,
            gradient_norm: 1e-7,
            outer_lr: 0.02,
            validation_accuracy: iteration.is_multiple_of(2).then_some(0.5),
        }
    }

    #[test]
    fn a_log_is_cut_to_the_checkpoint_and_continued_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::at(folder.path());
        let mut log = MetricsLog::open(&run, 0).unwrap();
        (1..=5).for_each(|i| log.append(&line(i)).unwrap());
        let whole = fs::read(run.metrics()).unwrap();

        // Killed in the middle of line 5, with a checkpoint of iteration 3.
        fs::write(run.metrics(), &whole[..whole.len() - 9]).unwrap();
        assert_eq!(run.read_metrics().unwrap().len(), 4);
        let mut log = MetricsLog::open(&run, 3).unwrap();
        (4..=5).for_each(|i| log.append(&line(i)).unwrap());
        log.sync().unwrap();
        assert_eq!(fs::read(run.metrics()).unwrap(), whole);
        assert_eq!(run.read_metrics().unwrap(), (1..=5).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn a_log_behind_its_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::at(folder.path());
        MetricsLog::open(&run, 0).unwrap().append(&line(1)).unwrap();
        let error = MetricsLog::open(&run, 2).unwrap_err().to_string();
        assert!(error.contains("ends at meta-iteration 1 "), "{error}");
        fs::write(run.metrics(), "nonsense\n").unwrap();
        MetricsLog::open(&run, 0).unwrap();
        assert_eq!(fs::read(run.metrics()).unwrap(), b"", "what is cut off may be damaged");
        fs::write(run.metrics(), "nonsense\n").unwrap();
        let error = MetricsLog::open(&run, 1).unwrap_err().to_string();
        assert!(error.contains("line 1: damaged"), "{error}");
    }
}
