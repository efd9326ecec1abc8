//! How long a part took, over all the processes that worked on it.

use anyhow::{Context, Result};
use gtn_cli::run_dir::write_whole;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Times a part that may be killed at any moment.
pub(super) struct Clock {
    before: f64,
    start: Instant,
}

/// What a process writes down when it begins, for the next one.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// Seconds that earlier processes took.
    before: f64,
    /// When it began, in seconds since 1970.
    at: f64,
}

impl Clock {
    /// Starts the clock that is kept in `file`. How far an earlier process came, the last change of a file in
    /// `folder` tells: there the part leaves what it goes on from.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn start(file: &Path, folder: &Path) -> Result<Self> {
        let earlier = fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let before = earlier.map_or(0.0, |earlier: Begun| {
            let last = last_change(folder);
            earlier.before + last.map_or(0.0, |last| (seconds(last) - earlier.at).max(0.0))
        });
        let begun = Begun { before, at: seconds(SystemTime::now()) };
        write_whole(file, &serde_json::to_vec(&begun)?).context("the clock of a part")?;
        Ok(Self { before, start: Instant::now() })
    }

    /// Seconds so far.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

/// When a file in a folder was last changed.
fn last_change(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let changes = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        if about.is_dir() { last_change(&entry.path()) } else { about.modified().ok() }
    });
    changes.max()
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
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
    use std::time::Duration;

    #[test]
    fn time_before_a_kill_counts_up_to_the_last_change() {
        let folder = tempfile::tempdir().unwrap();
        let (file, run) = (folder.path().join("clock.json"), folder.path().join("run"));
        let killed = Clock::start(&file, &run).unwrap();
        assert!(killed.seconds() < 30.0);
        // Nothing was done before the kill.
        assert_eq!(Clock::start(&file, &run).unwrap().before, 0.0);
        let later = SystemTime::now() + Duration::from_secs(100);
        fs::create_dir_all(run.join("deep")).unwrap();
        fs::write(run.join("older"), "").unwrap();
        fs::File::create(run.join("deep/latest")).unwrap().set_modified(later).unwrap();
        let before = Clock::start(&file, &run).unwrap().before;
        assert!((70.0..=101.0).contains(&before), "{before}");
    }

    #[test]
    fn times_are_short() {
        let told = [3.21, 42.4, 100.0, 3599.0, 7260.0].map(words);
        assert_eq!(told, ["3.2 s", "42 s", "2 min", "1 h 00 min", "2 h 01 min"]);
    }
}
