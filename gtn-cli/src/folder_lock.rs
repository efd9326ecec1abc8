//! One process at a time writes into a folder.

use anyhow::{Context, Result, bail};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The file that is locked; it is gone once nobody writes into the folder.
pub const LOCK: &str = ".lock";

/// A folder into which no other process writes as long as this is alive. The system takes the lock from a process
/// that dies, however it dies.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    /// Folders that were made for it, the innermost last.
    made: Vec<PathBuf>,
}

impl FolderLock {
    /// Locks a folder, which is made if need be. If nothing has been written into it in the end, it is removed again.
    ///
    /// # Errors
    /// When another process has it, or the system refuses.
    pub fn take(folder: &Path) -> Result<Self> {
        Self::lock(folder, File::try_lock)
    }

    /// The same, but waits until no other process has it: for what takes no longer than writing a file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(folder: &Path) -> Result<Self> {
        Self::lock(folder, |file| file.lock().map_err(TryLockError::Error))
    }

    fn lock(folder: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Self> {
        let missing = folder.ancestors().take_while(|above| {
            !above.as_os_str().is_empty() && !above.exists() // The empty path is where we are.
        });
        let mut made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        made.reverse();
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let path = folder.join(LOCK);
        let place = || format!("cannot lock {}", path.display());
        loop {
            let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = open.with_context(place)?;
            match lock(&file) {
                Ok(()) if is_at(&file, &path) => return Ok(Self { file, path, made }),
                // Whoever had it removed it, after it was opened here.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => bail!(
                    "{} is in use by another gtn; wait until that has ended, or choose another folder",
                    folder.display()
                ),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(
                        "{}: this file system has no locks; see to it that no other gtn writes there",
                        folder.display()
                    );
                    return Ok(Self { file, path, made });
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(place),
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Only where it can be told whether a file is still the one at its path.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
        for folder in self.made.iter().rev() {
            // Fails, as it should, where something is in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether an open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: io::Result<fs::Metadata>| found.ok().map(|m| (m.dev(), m.ino()));
    identity(file.metadata()) == identity(fs::metadata(path))
}

/// Whether an open file is the one at `path`: always, since it is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit_code;
    use crate::run_dir::vacant;
    use std::process::ExitCode;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_folder_belongs_to_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("runs/search");
        let lock = FolderLock::take(&folder).unwrap();
        vacant(&folder).unwrap();
        let error = FolderLock::take(&folder).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("runs/search is in use by another gtn"), "{message}");
        assert_eq!(format!("{:?}", exit_code(&error)), format!("{:?}", ExitCode::from(1)));
        fs::write(folder.join("search.toml"), "seed = 1").unwrap();
        drop(lock);
        drop(FolderLock::take(&folder).unwrap());
        let names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["search.toml"]);
    }

    #[test]
    fn who_waits_gets_it_after_the_others() {
        let place = tempfile::tempdir().unwrap();
        let held = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = FolderLock::wait(place.path()).unwrap();
                        assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0);
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn what_was_made_for_nothing_is_removed() {
        let place = tempfile::tempdir().unwrap();
        drop(FolderLock::take(&place.path().join("runs/of/today")).unwrap());
        assert!(!place.path().join("runs").exists() && place.path().exists());
    }

    #[test]
    fn a_lock_that_its_holder_removes_is_no_lock() {
        let place = tempfile::tempdir().unwrap();
        let holders = AtomicUsize::new(0);
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 200 {
                        let Ok(lock) = FolderLock::take(place.path()) else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
