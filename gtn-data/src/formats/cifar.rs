//! CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009) in the two
//! versions its author offers: binary records, and pickled Python dictionaries.

use std::path::{Path, PathBuf};

use super::{Parts, malformed, pickle, read};
use crate::{Error, ImageShape, LabeledImages, Result};

pub(crate) const BINARY_LOOKED_FOR: &str =
    "data_batch_1.bin … data_batch_5.bin and test_batch.bin (also in cifar-10-batches-bin)";
pub(crate) const PYTHON_LOOKED_FOR: &str =
    "data_batch_1 … data_batch_5 and test_batch (also in cifar-10-batches-py)";

pub(crate) const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

pub(crate) const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

const IMAGE: usize = 3 * 32 * 32;
/// A label and an image.
const RECORD: usize = 1 + IMAGE;

const TRAIN: [&str; 5] =
    ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"];
const TEST: [&str; 1] = ["test_batch"];

/// One of the two versions on offer.
struct Version {
    folder: &'static str,
    extension: &'static str,
    read: fn(&Path, &mut Batches) -> Result<()>,
}

const BINARY: Version =
    Version { folder: "cifar-10-batches-bin", extension: ".bin", read: read_binary };
const PYTHON: Version = Version { folder: "cifar-10-batches-py", extension: "", read: read_python };

pub(crate) fn binary_is_in(dir: &Path) -> bool {
    BINARY.find(dir).is_some()
}

pub(crate) fn python_is_in(dir: &Path) -> bool {
    PYTHON.find(dir).is_some()
}

pub(crate) fn load_binary(dir: &Path) -> Result<Parts> {
    BINARY.load(dir)
}

pub(crate) fn load_python(dir: &Path) -> Result<Parts> {
    PYTHON.load(dir)
}

impl Version {
    /// The folder with at least one batch: `dir` itself or the one that the archive unpacks to.
    fn find(&self, dir: &Path) -> Option<PathBuf> {
        let has_batch =
            |dir: &PathBuf| TRAIN.iter().chain(&TEST).any(|batch| self.path(dir, batch).is_file());
        [dir.to_owned(), dir.join(self.folder)].into_iter().find(has_batch)
    }

    fn path(&self, dir: &Path, batch: &str) -> PathBuf {
        dir.join(format!("{batch}{}", self.extension))
    }

    fn load(&self, dir: &Path) -> Result<Parts> {
        let dir = self.find(dir).unwrap_or_else(|| dir.to_owned());
        Ok(Parts {
            classes: CLASSES.map(str::to_owned).to_vec(),
            train: self.load_batches(&dir, &TRAIN)?,
            test: self.load_batches(&dir, &TEST)?,
            jpeg: false,
        })
    }

    fn load_batches(&self, dir: &Path, names: &[&str]) -> Result<LabeledImages> {
        let mut batches = Batches::default();
        for name in names {
            let path = self.path(dir, name);
            if !path.is_file() {
                return Err(Error::Missing {
                    path,
                    expected: "it beside the other batches".to_owned(),
                    hint: "CIFAR-10 needs all six batches, so unpack the archive again",
                });
            }
            (self.read)(&path, &mut batches)?;
        }
        LabeledImages::new(SHAPE, batches.pixels, batches.labels)
    }
}

/// The images read so far.
#[derive(Default)]
struct Batches {
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

fn read_binary(path: &Path, batches: &mut Batches) -> Result<()> {
    let bytes = read(path)?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        let expected = format!("one or more records of {RECORD} bytes");
        let whole = bytes.len() / RECORD * RECORD;
        let found = format!("{} bytes after the last whole one", bytes.len() - whole);
        return Err(malformed(path, format!("offset {whole}"), expected, found));
    }
    for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
        let place = || format!("label of image {i} (offset {})", i * RECORD);
        batches.labels.push(label(record[0].into(), path, place)?);
        batches.pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}

fn read_python(path: &Path, batches: &mut Batches) -> Result<()> {
    let bytes = read(path)?;
    let batch = pickle::parse(&bytes).map_err(|fault| {
        malformed(path, format!("offset {}", fault.offset), fault.expected, fault.found)
    })?;
    let matrix = batch.get("data").and_then(pickle::Value::byte_matrix);
    let Some(matrix) = matrix.filter(|matrix| matrix.columns == IMAGE && matrix.rows > 0) else {
        let expected = format!("a NumPy array of uint8 with rows of {IMAGE}");
        return Err(malformed(path, "entry \"data\"", expected, "something else or nothing"));
    };
    let Some(labels) = batch.get("labels").and_then(pickle::Value::integers) else {
        return Err(malformed(
            path,
            "entry \"labels\"",
            "a list of integers",
            "something else or nothing",
        ));
    };
    if labels.len() != matrix.rows {
        let expected = format!("{} labels, one for each row of \"data\"", matrix.rows);
        return Err(malformed(path, "entry \"labels\"", expected, labels.len()));
    }
    for (i, found) in labels.into_iter().enumerate() {
        batches.labels.push(label(found, path, || format!("label of image {i}"))?);
    }
    batches.pixels.extend_from_slice(&matrix.bytes);
    Ok(())
}

fn label(found: i64, path: &Path, place: impl Fn() -> String) -> Result<u32> {
    u32::try_from(found)
        .ok()
        .filter(|&label| (label as usize) < CLASSES.len())
        .ok_or_else(|| malformed(path, place(), format!("0 to {}", CLASSES.len() - 1), found))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// The pixels of image `i`.
    fn image(i: usize) -> Vec<u8> {
        (0..IMAGE).map(|at| (at * 7 + i * 31) as u8).collect()
    }

    /// Names and contents of six batches of two images each; image `i` has the label `i % 10`.
    fn files(python: bool) -> Vec<(String, Vec<u8>)> {
        let names = TRAIN.iter().chain(&TEST).enumerate();
        names
            .map(|(batch, name)| {
                let two = [2 * batch, 2 * batch + 1];
                if python {
                    let data = two.map(image).concat();
                    let labels = two.map(|i| (i % 10) as u8);
                    return (name.to_string(), pickle::tests::batch(&labels, 2, &data));
                }
                let records = two.map(|i| [vec![(i % 10) as u8], image(i)].concat());
                (format!("{name}.bin"), records.concat())
            })
            .collect()
    }

    /// A folder with a small, valid CIFAR-10.
    pub(crate) fn valid(python: bool) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, bytes) in files(python) {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn load(python: bool, dir: &Path) -> Result<Parts> {
        if python { load_python(dir) } else { load_binary(dir) }
    }

    fn error_after(python: bool, name: &str, bytes: &[u8]) -> String {
        let dir = valid(python);
        fs::write(dir.path().join(name), bytes).unwrap();
        let message = load(python, dir.path()).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        message
    }

    #[test]
    fn both_versions_give_the_same_images() {
        let parts = load_binary(valid(false).path()).unwrap();
        assert_eq!(parts.train.shape(), SHAPE);
        assert_eq!(parts.train.labels(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(parts.test.labels(), [0, 1]);
        assert_eq!(parts.train.image(7), Some(&image(7)[..]));
        assert_eq!(parts.test.image(1), Some(&image(11)[..]));
        assert_eq!(parts, load_python(valid(true).path()).unwrap());
    }

    #[test]
    fn the_folder_that_the_archive_unpacks_to_will_do() {
        for (python, folder) in [(false, BINARY.folder), (true, PYTHON.folder)] {
            let (outer, inner) = (TempDir::new().unwrap(), valid(python));
            fs::rename(inner.path(), outer.path().join(folder)).unwrap();
            assert!(load(python, outer.path()).is_ok());
        }
    }

    #[test]
    fn a_missing_batch_is_named() {
        for python in [false, true] {
            for (name, _) in files(python) {
                let dir = valid(python);
                fs::remove_file(dir.path().join(&name)).unwrap();
                let error = load(python, dir.path()).unwrap_err();
                assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with(&name)));
            }
        }
    }

    #[test]
    fn faults_are_described() {
        let record = [vec![10], image(0)].concat();
        for (bytes, expected) in [
            (vec![], "offset 0: expected one or more records of 3073 bytes"),
            (record[..3000].to_vec(), "found 3000 bytes after"),
            ([&record[..], &[1]].concat(), "offset 3073: expected"),
            (record, "label of image 0 (offset 0): expected 0 to 9, found 10"),
        ] {
            let message = error_after(false, "data_batch_3.bin", &bytes);
            assert!(message.contains(expected), "{message}");
        }
        let data = [image(0), image(1)].concat();
        for (bytes, expected) in [
            (vec![], "offset 0: expected more bytes"),
            (
                pickle::tests::batch(&[1, 10], 2, &data),
                "label of image 1: expected 0 to 9, found 10",
            ),
            (pickle::tests::batch(&[1], 2, &data), "expected 2 labels, one for each row"),
            (
                pickle::tests::batch(&[1, 2], 2, &data[2..]),
                "entry \"data\": expected a NumPy array",
            ),
            (b"\x80\x02}.".to_vec(), "entry \"data\""),
        ] {
            let message = error_after(true, "data_batch_3", &bytes);
            assert!(message.contains(expected), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_shorter_batch_is_never_taken(python: bool, file in 0usize..6, keep in 0.0..1.0) {
            let (name, bytes) = &files(python)[file];
            let keep = (keep * bytes.len() as f64) as usize;
            // A binary batch has no length of its own: whole records are a batch.
            prop_assume!(python || !keep.is_multiple_of(RECORD) || keep == 0);
            error_after(python, name, &bytes[..keep]);
        }

        #[test]
        fn a_changed_byte_never_panics(
            python: bool,
            file in 0usize..6,
            at in 0usize..400,
            change in 1u8..,
        ) {
            let (name, bytes) = &files(python)[file];
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let dir = valid(python);
            fs::write(dir.path().join(name), bytes)?;
            if let Ok(parts) = load(python, dir.path()) {
                prop_assert!(parts.train.labels().iter().all(|&label| label < 10));
            }
        }
    }
}
