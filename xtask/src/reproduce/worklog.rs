//! Who worked on a part, and for how long: all the processes that it took.

use super::origin::Origin;
use anyhow::{Context, Result};
use gtn_cli::run_dir::write_whole;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How much time of a process that is killed may be missing.
const BEAT: Duration = Duration::from_secs(5);

/// The work of a process on a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shift {
    #[serde(flatten)]
    origin: Origin,
    seconds: f64,
}

/// The shifts of a part, kept in a file while the present one goes on.
pub(super) struct Worklog {
    file: PathBuf,
    earlier: Vec<Shift>,
    origin: Origin,
    start: Instant,
}

impl Worklog {
    /// Goes on with what is kept in `file`, if there is something.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn open(file: &Path, origin: &Origin) -> Result<Self> {
        let text = super::folder::read(file)?;
        let earlier = text.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Self {
            earlier: earlier
                .with_context(|| format!("{} is damaged; remove it", file.display()))?
                .unwrap_or_default(),
            file: file.to_owned(),
            origin: origin.clone(),
            start: Instant::now(),
        })
    }

    /// Does a part's work, and keeps the time while it does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn during<R>(&self, work: impl FnOnce() -> R) -> Result<R> {
        self.write()?;
        let done = std::thread::scope(|scope| {
            let (working, at_work) = channel::<()>();
            scope.spawn(move || {
                while at_work.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                    // What cannot be written now is written later, or is told at the end.
                    let _ = self.write();
                }
            });
            let done = work();
            drop(working);
            done
        });
        self.write()?;
        Ok(done)
    }

    /// Wall time of all shifts so far.
    pub(super) fn seconds(&self) -> f64 {
        self.shifts().iter().map(|shift| shift.seconds).sum()
    }

    /// The code and the machines of all shifts.
    pub(super) fn origin(&self) -> Origin {
        let earlier = self.earlier.iter().map(|shift| &shift.origin);
        Origin::of_all(earlier.chain([&self.origin]))
    }

    fn shifts(&self) -> Vec<Shift> {
        let seconds = self.start.elapsed().as_secs_f64();
        let present = Shift { origin: self.origin.clone(), seconds };
        self.earlier.iter().cloned().chain([present]).collect()
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.shifts())?;
        write_whole(&self.file, &text).context("how long a part takes")
    }
}

/// A time in words, as exactly as anybody cares.
pub(super) fn words(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 99.5 => format!("{s:.0} s"),
        _ if minutes < 60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_told_and_timed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs/a.work.json");
        let origin = |commit: &str| Origin { commit: commit.into(), machine: "m".into() };
        let first = Worklog::open(&file, &origin("a")).unwrap();
        let pause = Duration::from_millis(20);
        assert_eq!(first.during(|| std::thread::sleep(pause)).unwrap(), ());
        // What is killed leaves what it wrote when it began.
        Worklog::open(&file, &origin("b")).unwrap().write().unwrap();
        let last = Worklog::open(&file, &origin("b")).unwrap();
        assert_eq!(last.origin(), origin("a, then b"));
        assert!(last.seconds() >= pause.as_secs_f64() && last.earlier.len() == 2);
        std::fs::write(&file, "[").unwrap();
        let message = Worklog::open(&file, &origin("c")).err().unwrap().to_string();
        assert!(message.contains("a.work.json is damaged; remove it"), "{message}");
    }

    #[test]
    fn times_are_short() {
        let told = [3.21, 42.4, 100.0, 3599.0, 7260.0].map(words);
        assert_eq!(told, ["3.2 s", "42 s", "2 min", "1 h 00 min", "2 h 01 min"]);
    }
}
