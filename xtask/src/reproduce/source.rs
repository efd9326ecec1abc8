//! The data sets that targets are about, and where they are found.

use super::profile::Profile;
use anyhow::{Context, Result, bail};
use gtn_cli::fingerprint;
use gtn_data::{Dataset, Format};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

/// A data set that a target is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Mnist,
    Cifar10,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::Cifar10 => "CIFAR-10",
        }
    }

    /// What its folder may be called.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &["mnist"],
            Self::Cifar10 => &[
                "cifar10",
                "cifar-10",
                "cifar10-images",
                "cifar-10-batches-bin",
                "cifar-10-batches-py",
            ],
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Mnist => "mnist/ with the four files train-images-idx3-ubyte.gz and so on",
            Self::Cifar10 => {
                "cifar10/ (or cifar-10-batches-bin/, cifar-10-batches-py/) with the binary batches, the Python batches, or images train/CLASS/*, test/CLASS/*"
            }
        }
    }
}

/// What stands in for every data set where none is given.
const STAND_IN: &str = "digits:1000";

/// All data sets, each opened when it is first asked for.
pub(super) struct Library {
    /// Where they are; the built-in digits stand in for all of them if not given.
    folder: Option<PathBuf>,
    mnist: OnceCell<Data>,
    cifar10: OnceCell<Data>,
}

/// A data set that is open.
pub(super) struct Data {
    pub(super) dataset: Dataset,
    pub(super) about: About,
}

/// What there is to know about a data set beside a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// Which images, and how many.
    pub(super) description: String,
    /// Why figures cannot be compared with published ones as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remark: Option<String>,
    /// By which the images are known again; parts that were measured before this was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
}

impl Library {
    /// The data sets in the folder that was given; without one, those in `data`, but for `smoke`.
    pub(super) fn new(given: Option<&Path>, profile: Profile) -> Self {
        let folder = match (given, profile) {
            (Some(folder), _) => Some(folder.to_owned()),
            (None, Profile::Smoke) => None,
            (None, Profile::Cpu | Profile::Cuda) => Some("data".into()),
        };
        Self { folder, mnist: OnceCell::new(), cifar10: OnceCell::new() }
    }

    /// Whether the built-in digits stand in for all data sets.
    pub(super) fn is_stand_in(&self) -> bool {
        self.folder.is_none()
    }

    /// What configurations call a data set, wherever on this machine it lies.
    pub(super) fn label(&self, source: Source) -> String {
        match self.folder {
            None => STAND_IN.into(),
            Some(_) => format!("data/{}", source.folders()[0]),
        }
    }

    /// Opens a data set.
    ///
    /// # Errors
    /// When it is not there, with what was expected; or when it is damaged.
    pub(super) fn open(&self, source: Source) -> Result<&Data> {
        let cell = match source {
            Source::Mnist => &self.mnist,
            Source::Cifar10 => &self.cifar10,
        };
        if cell.get().is_none() {
            let opened = self.read(source)?;
            return Ok(cell.get_or_init(|| opened));
        }
        cell.get().context("the data set was opened just now")
    }

    fn read(&self, source: Source) -> Result<Data> {
        let path = match &self.folder {
            None => PathBuf::from(STAND_IN),
            Some(folder) => find(folder, source)?,
        };
        let dataset = gtn_cli::data::open(&path.display().to_string(), None)?;
        let remark = match &self.folder {
            None => Some(stand_in(source)),
            Some(_) => dataset.holds_jpeg().then(|| re_encoded(source)),
        };
        let [train, validation, test] = [dataset.train(), dataset.validation(), dataset.test()]
            .map(|split| thousands(split.len()));
        let name = match dataset.format() {
            Format::Digits => "the built-in digits".to_owned(),
            format => format!("{} ({format})", source.name()),
        };
        let description = format!(
            "{name}: {train} images to train, {validation} to choose by, {test} to test on, {} each",
            dataset.shape()
        );
        let digest = Some(fingerprint::of_dataset(&dataset));
        Ok(Data { dataset, about: About { description, remark, digest } })
    }
}

fn stand_in(source: Source) -> String {
    format!(
        "The built-in digits stand in for {}, because no data was given (`--data`): nothing here can be compared with a published figure.",
        source.name()
    )
}

fn re_encoded(source: Source) -> String {
    format!(
        "The images of {} were re-encoded as JPEG: accuracies lie a little under those on the original pixels.",
        source.name()
    )
}

/// The folder of a data set in the folder of all.
fn find(folder: &Path, source: Source) -> Result<PathBuf> {
    let places = source.folders().iter().map(|name| folder.join(name));
    if let Some(found) = places.into_iter().find(|place| place.is_dir()) {
        return Ok(found);
    }
    let entries = fs::read_dir(folder).map(|entries| {
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect::<Vec<_>>()
    });
    let found = match entries {
        Err(_) => "there is no such folder".to_owned(),
        Ok(names) if names.is_empty() => "it is empty".to_owned(),
        Ok(mut names) => {
            names.sort_unstable();
            format!("found {}", names.join(", "))
        }
    };
    bail!(
        "{} is not in {}: expected {}, {found}; give the folder that holds it with --data DIR, archives extracted",
        source.name(),
        folder.display(),
        source.expected()
    )
}

/// A number with commas between its thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_is_told_with_what_was_expected_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |folder: &Path, source| {
            let library = Library::new(Some(folder), Profile::Cpu);
            library.open(source).err().expect("there is no data").to_string()
        };
        let message = refusal(folder.path(), Source::Mnist);
        assert!(message.contains("train-images-idx3-ubyte.gz") && message.contains("it is empty"));
        fs::write(folder.path().join("cifar10-images.tar.xz"), "").unwrap();
        let message = refusal(folder.path(), Source::Cifar10);
        assert!(message.contains("found cifar10-images.tar.xz"), "{message}");
        let message = refusal(&folder.path().join("nowhere"), Source::Cifar10);
        assert!(message.contains("there is no such folder"), "{message}");
    }

    #[test]
    fn smoke_needs_no_data_and_says_so() {
        let library = Library::new(None, Profile::Smoke);
        assert_eq!(library.label(Source::Cifar10), "digits:1000");
        let data = library.open(Source::Cifar10).unwrap();
        assert!(data.about.description.starts_with("the built-in digits: 1,000 images"));
        assert!(data.about.remark.as_ref().unwrap().contains("stand in for CIFAR-10"));
        assert_eq!(Library::new(None, Profile::Cpu).label(Source::Cifar10), "data/cifar10");
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!([7, 1000, 1234567].map(thousands), ["7", "1,000", "1,234,567"]);
    }
}
