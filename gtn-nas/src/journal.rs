//! Results kept line by line, each written before anything else happens.

use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a [`Journal`] keeps: a result with a key.
pub trait Entry: Clone + Serialize + DeserializeOwned {
    /// What it is called in messages.
    const WHAT: &str;

    /// What tells results apart, and puts them in order.
    type Key: Clone + Debug + Display + Ord;

    /// Its key; no two of a journal have the same.
    fn key(&self) -> Self::Key;
}

/// Results by key, in a file of JSON lines or in memory.
///
/// The file is in the order in which results came. It loses nothing that was [appended](Journal::append), whenever
/// the process ends.
#[derive(Debug)]
pub struct Journal<T: Entry> {
    file: Option<(File, PathBuf)>,
    /// With the line of each.
    entries: BTreeMap<T::Key, (usize, T)>,
    /// Lines of the file, empty ones, too.
    lines: usize,
}

impl<T: Entry> Journal<T> {
    /// A journal without a file.
    pub fn in_memory() -> Self {
        Self { file: None, entries: BTreeMap::new(), lines: 0 }
    }

    /// Opens a journal, or begins one. A last line that was torn by a sudden end is cut off; the
    /// sentence that says so comes with the journal.
    ///
    /// # Errors
    /// [`Error::Journal`] when another line is damaged or a key is there twice, [`Error::Io`] when
    /// the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Option<String>)> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        let Found { entries, text, sound, mended } = Found::<T>::at(path)?;
        let text = &text[..sound];
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.set_len(sound as u64).map_err(failed)?;
        let lines = text.split_inclusive(|&byte| byte == b'\n').count();
        let mut journal = Self { file: Some((file, path.to_owned())), entries, lines };
        if text.last().is_some_and(|&byte| byte != b'\n') {
            // Torn between a line and its end: the line is whole.
            journal.write(b"\n")?;
        }
        Ok((journal, mended))
    }

    /// Reads a journal and leaves it as it is; a torn last line does not count.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(path: &Path) -> Result<Vec<T>> {
        Ok(Found::at(path)?.entries.into_values().map(|(_, entry)| entry).collect())
    }

    /// The result with this key.
    pub fn entry(&self, key: &T::Key) -> Option<&T> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    /// All results, by key.
    pub fn entries(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|(_, entry)| entry)
    }

    /// Adds a result, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Journal`] when one with its key is there already, [`Error::Io`] when it cannot be written.
    pub fn append(&mut self, entry: &T) -> Result<()> {
        let key = entry.key();
        if let Some((_, there)) = self.entries.get(&key) {
            let message = format!("{} {key} is there already; it comes once", T::WHAT);
            return Err(self.wrong(there, message));
        }
        let mut line = serde_json::to_vec(entry).map_err(|error| self.failed(error.into()))?;
        line.push(b'\n');
        self.write(&line)?;
        self.lines += 1;
        self.entries.insert(key, (self.lines, entry.clone()));
        Ok(())
    }

    /// An error about one of the results, which names its line.
    pub fn wrong(&self, entry: &T, message: String) -> Error {
        let line = self.entries.get(&entry.key()).map_or(0, |(line, _)| *line);
        Error::Journal { path: self.path(), line, message }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some((file, _)) = &mut self.file else { return Ok(()) };
        let written = file.metadata().and_then(|before| {
            let written = file.write_all(bytes).and_then(|()| file.sync_data());
            // A part of a line would spoil the next one.
            written.inspect_err(|_| drop(file.set_len(before.len())))
        });
        written.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path(), source }
    }

    fn path(&self) -> PathBuf {
        self.file.as_ref().map(|(_, path)| path.clone()).unwrap_or_default()
    }
}

/// What is in a journal's file.
struct Found<T: Entry> {
    entries: BTreeMap<T::Key, (usize, T)>,
    text: Vec<u8>,
    /// Bytes up to the end of the last sound line.
    sound: usize,
    /// What is wrong with the last line, if it is not sound.
    mended: Option<String>,
}

impl<T: Entry> Found<T> {
    fn at(path: &Path) -> Result<Self> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut entries = BTreeMap::new();
        let (mut sound, mut mended) = (0, None);
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        for (index, line) in lines.iter().enumerate() {
            let number = index + 1;
            let damaged = |message| Error::Journal { path: path.to_owned(), line: number, message };
            if line.trim_ascii().is_empty() {
                sound += line.len();
                continue;
            }
            match serde_json::from_slice::<T>(line) {
                Ok(entry) => {
                    let key = entry.key();
                    if entries.contains_key(&key) {
                        return Err(damaged(format!(
                            "{} {key} is there a second time; remove one of the lines",
                            T::WHAT
                        )));
                    }
                    entries.insert(key, (number, entry));
                    sound += line.len();
                }
                // What was torn is no JSON any more: anything else was written on purpose.
                Err(error) if number == lines.len() && !error.is_data() => {
                    mended = Some(format!(
                        "{}, line {number}: cut off, since it is damaged or was torn by a sudden end; its {} is done again",
                        path.display(),
                        T::WHAT
                    ));
                }
                Err(error) => {
                    return Err(damaged(format!(
                        "expected the JSON of one {}, but {error}; mend or remove the line, or choose another folder",
                        T::WHAT
                    )));
                }
            }
        }
        Ok(Self { entries, text, sound, mended })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Measurement, Outcome, Trial};

    fn trial(trial: usize) -> Trial<String> {
        let outcome = Outcome::Score(trial as f64 / 3.0);
        let measured = Measurement { steps: 4, outcome, seconds: 1.0, seed: 7 };
        Trial { trial, arch: format!("arch {trial}"), measured, elapsed: trial as f64 }
    }

    fn written(path: &Path, count: usize) -> Vec<u8> {
        let (mut journal, _) = Journal::open(path).unwrap();
        (0..count).for_each(|number| journal.append(&trial(number)).unwrap());
        fs::read(path).unwrap()
    }

    #[test]
    fn a_damaged_last_line_is_cut_off_with_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let whole = written(&path, 3);
        let start = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        // Torn anywhere in the last line, or overwritten.
        let torn = (start + 1..whole.len() - 1).map(|end| whole[..end].to_vec());
        for text in torn.chain([[&whole[..start], b"\0\0\0\n"].concat()]) {
            fs::write(&path, &text).unwrap();
            let (mut journal, mended) = Journal::open(&path).unwrap();
            let mended = mended.expect("a message");
            assert!(mended.contains("trials.jsonl, line 3: cut off"), "{mended}");
            assert_eq!(journal.entries().cloned().collect::<Vec<_>>(), [trial(0), trial(1)]);
            journal.append(&trial(2)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_line_without_its_end_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let whole = written(&path, 2);
        fs::write(&path, [&whole, b"\n".as_slice()].concat()).unwrap();
        let (mut journal, mended) = Journal::<Trial<String>>::open(&path).unwrap();
        assert_eq!((journal.entries().count(), mended), (2, None), "an empty line is no harm");
        journal.append(&trial(2)).unwrap();
        let error = journal.wrong(&trial(2), "odd".into()).to_string();
        assert!(error.contains("line 4: odd"), "{error}");
        let error = journal.append(&trial(2)).unwrap_err().to_string();
        assert!(error.contains("line 4: trial 2 is there already"), "{error}");
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let (journal, mended) = Journal::<Trial<String>>::open(&path).unwrap();
        assert_eq!((journal.entries().count(), mended), (2, None));
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn other_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let whole = written(&path, 2);
        for (text, why) in [
            ([b"nonsense\n", whole.as_slice()].concat(), "line 1: expected the JSON of one trial"),
            (
                [whole.as_slice(), b"{\"trial\": 2}\n"].concat(),
                "line 3: expected the JSON of one trial",
            ),
            ([whole.as_slice(), &whole].concat(), "line 3: trial 0 is there a second time"),
        ] {
            fs::write(&path, &text).unwrap();
            let message = Journal::<Trial<String>>::open(&path).unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
            assert_eq!(fs::read(&path).unwrap(), text, "what is refused is left as it is");
        }
    }
}
