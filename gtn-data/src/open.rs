use std::{fs, path::Path};

use crate::{
    Dataset, Error, Format, Holdout, Result,
    formats::{Parts, cifar, folder, idx},
};

/// How one format is recognized and read.
struct Reader {
    format: Format,
    looked_for: &'static str,
    is_in: fn(&Path) -> bool,
    load: fn(&Path) -> Result<Parts>,
}

/// In the order in which they are tried.
const READERS: [Reader; 4] = [
    Reader { format: Format::Idx, looked_for: idx::LOOKED_FOR, is_in: idx::is_in, load: idx::load },
    Reader {
        format: Format::CifarBinary,
        looked_for: cifar::BINARY_LOOKED_FOR,
        is_in: cifar::binary_is_in,
        load: cifar::load_binary,
    },
    Reader {
        format: Format::CifarPython,
        looked_for: cifar::PYTHON_LOOKED_FOR,
        is_in: cifar::python_is_in,
        load: cifar::load_python,
    },
    Reader {
        format: Format::ImageFolder,
        looked_for: folder::LOOKED_FOR,
        is_in: folder::is_in,
        load: folder::load,
    },
];

/// Opens the data set in folder `dir`, whatever its format, and cuts off a validation split.
///
/// These are recognized by their file names, and tried in this order:
///
/// - MNIST and its kin: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
///   `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, plain or gzipped, also with a dot before
///   `idx`. Ten classes.
/// - CIFAR-10, binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`,
///   directly or in `cifar-10-batches-bin`.
/// - CIFAR-10, Python version: the same without `.bin`, directly or in `cifar-10-batches-py`.
/// - An image folder: `train/CLASS/*.png` and `test/CLASS/*.png`, also `.jpg` and `.jpeg`. Classes
///   are numbered by name. All images must have one size; they are gray if all are, else red,
///   green, blue; transparency is ignored. Hidden files and those of other kinds are passed over.
///
/// # Errors
///
/// [`Error::NotRecognized`] if none of these is there; [`Error::Missing`], [`Error::Malformed`],
/// [`Error::CountMismatch`] or [`Error::Io`] with the name of the file at fault; [`Error::Invalid`]
/// if `holdout` asks for more images than there are, or a split has 4 GiB of pixels or more.
///
/// ```no_run
/// let mnist = gtn_data::open("data/mnist", gtn_data::Holdout::default())?;
/// println!("{} images of {}", mnist.train().len(), mnist.shape());
/// # Ok::<(), gtn_data::Error>(())
/// ```
pub fn open(dir: impl AsRef<Path>, holdout: Holdout) -> Result<Dataset> {
    let dir = dir.as_ref();
    fs::read_dir(dir).map_err(|source| Error::Io {
        action: "list",
        path: dir.to_owned(),
        source,
    })?;
    let Some(reader) = READERS.iter().find(|reader| (reader.is_in)(dir)) else {
        let looked_for = READERS.map(|reader| format!("{} ({})", reader.looked_for, reader.format));
        return Err(Error::NotRecognized {
            dir: dir.to_owned(),
            looked_for: looked_for.join("; "),
        });
    };
    let parts = (reader.load)(dir)?;
    // `data/mnist/..` and `.` have names too.
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Dataset::cut(name, reader.format, parts, holdout)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn every_format_is_recognized() {
        for (dir, format) in [
            (idx::tests::valid(), Format::Idx),
            (cifar::tests::valid(false), Format::CifarBinary),
            (cifar::tests::valid(true), Format::CifarPython),
            (folder::tests::valid(), Format::ImageFolder),
        ] {
            let dataset = open(dir.path(), Holdout { images: Some(0), seed: 0 }).unwrap();
            assert_eq!(dataset.format(), format);
            assert_eq!(dataset.name(), dir.path().file_name().unwrap().to_str().unwrap());
        }
    }

    #[test]
    fn the_validation_split_is_cut_from_training_alone() {
        let dir = idx::tests::valid();
        let open = |images| open(dir.path(), Holdout { images, seed: 1 }).unwrap();
        let (whole, cut) = (open(Some(0)), open(Some(5)));
        assert_eq!((cut.train().len(), cut.validation().len()), (15, 5));
        assert_eq!(cut.test().pixels(), whole.test().pixels());
        assert_eq!(open(None).validation().len(), 2);
    }

    #[test]
    fn an_unknown_folder_tells_what_was_looked_for() {
        let dir = TempDir::new().unwrap();
        let message = open(dir.path(), Holdout::default()).unwrap_err().to_string();
        for name in ["train-images-idx3-ubyte", "data_batch_1.bin", "test_batch", "train/CLASS/*"] {
            assert!(message.contains(name), "{message}");
        }
        let error = open(dir.path().join("nowhere"), Holdout::default()).unwrap_err();
        assert!(matches!(error, Error::Io { action: "list", .. }), "{error}");
    }
}
