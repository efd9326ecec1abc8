//! MNIST and its kin: four files in the idx format, of LeCun, Cortes & Burges,
//! "The MNIST database of handwritten digits".

use std::{
    borrow::Cow,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::bufread::GzDecoder;

use super::{Parts, malformed, read};
use crate::{Error, ImageShape, LabeledImages, Result};

pub(crate) const LOOKED_FOR: &str =
    "train-images-idx3-ubyte and its three companions (also .gz, also .idx3-ubyte)";

/// MNIST, Fashion-MNIST, KMNIST: ten classes each, which the files do not name.
const CLASSES: u8 = 10;

/// One of the four files.
#[derive(Clone, Copy)]
struct Role {
    stem: &'static str,
    dims: usize,
}

const TRAIN_IMAGES: Role = Role { stem: "train-images", dims: 3 };
const TRAIN_LABELS: Role = Role { stem: "train-labels", dims: 1 };
const TEST_IMAGES: Role = Role { stem: "t10k-images", dims: 3 };
const TEST_LABELS: Role = Role { stem: "t10k-labels", dims: 1 };

impl Role {
    fn usual_name(self) -> String {
        format!("{}-idx{}-ubyte", self.stem, self.dims)
    }

    fn find(self, dir: &Path) -> Option<PathBuf> {
        let Self { stem, dims } = self;
        let names = ["-", "."]
            .into_iter()
            .flat_map(|dash| ["", ".gz"].map(|gz| format!("{stem}{dash}idx{dims}-ubyte{gz}")));
        names.map(|name| dir.join(name)).find(|path| path.is_file())
    }

    fn locate(self, dir: &Path) -> Result<PathBuf> {
        self.find(dir).ok_or_else(|| Error::Missing {
            path: dir.join(self.usual_name()),
            expected: format!("it, or its .gz or .idx{}-ubyte form, beside the others", self.dims),
            hint: "a data set needs all four files, so fetch the one that is missing",
        })
    }
}

pub(crate) fn is_in(dir: &Path) -> bool {
    [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS]
        .iter()
        .any(|role| role.find(dir).is_some())
}

pub(crate) fn load(dir: &Path) -> Result<Parts> {
    let train = load_part(dir, TRAIN_IMAGES, TRAIN_LABELS)?;
    let test = load_part(dir, TEST_IMAGES, TEST_LABELS)?;
    if test.shape() != train.shape() {
        let path = TEST_IMAGES.locate(dir)?;
        let expected = format!("{} as in training", train.shape());
        return Err(malformed(&path, "image shape", expected, test.shape()));
    }
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    Ok(Parts { classes, train, test, jpeg: false })
}

fn load_part(dir: &Path, images: Role, labels: Role) -> Result<LabeledImages> {
    let (images, labels) = (images.locate(dir)?, labels.locate(dir)?);
    let ([count, height, width], pixels) = read_idx(&images)?;
    let ([label_count], classes) = read_idx(&labels)?;
    if count != label_count {
        return Err(Error::CountMismatch { images, image_count: count, labels, label_count });
    }
    if let Some(i) = classes.iter().position(|&class| class >= CLASSES) {
        let place = format!("label {i} (offset {})", header_len(1) + i);
        return Err(malformed(&labels, place, format!("less than {CLASSES}"), classes[i]));
    }
    let shape = ImageShape { channels: 1, height, width };
    LabeledImages::new(shape, pixels, classes.into_iter().map(u32::from).collect())
}

const fn header_len(dims: usize) -> usize {
    4 + 4 * dims
}

/// The sizes and the bytes of an idx file of `DIMS` dimensions, plain or gzipped.
fn read_idx<const DIMS: usize>(path: &Path) -> Result<([usize; DIMS], Vec<u8>)> {
    let raw = read(path)?;
    let header = header_len(DIMS);
    let bytes = unzip(path, &raw, header)?;
    if bytes.len() < header {
        let expected = format!("a header of {header} bytes");
        return Err(malformed(path, "offset 0", expected, format!("{} bytes in all", bytes.len())));
    }
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    // Two zeros, 8 for unsigned bytes, the number of dimensions.
    let magic = 0x800 + DIMS as u32;
    if number(0) != magic {
        let expected = format!("the magic number {magic:#010x} of bytes in {DIMS} dimensions");
        return Err(malformed(path, "offset 0", expected, format!("{:#010x}", number(0))));
    }
    let sizes: [usize; DIMS] = std::array::from_fn(|dim| number(4 + 4 * dim) as usize);
    if let Some(dim) = sizes.iter().position(|&size| size == 0) {
        let place = format!("size of dimension {dim} (offset {})", 4 + 4 * dim);
        return Err(malformed(path, place, "at least 1", 0));
    }
    let total = sizes.iter().try_fold(1usize, |total, &size| total.checked_mul(size));
    let expected = || {
        let sizes = sizes.map(|size| size.to_string()).join("×");
        format!("{sizes} bytes up to the end, as its header says")
    };
    let place = format!("offset {header}");
    let Some(total) = total.filter(|&total| total <= MOST) else {
        return Err(malformed(path, place, "at most 4 GiB", expected()));
    };
    // One more than there should be, so as to see whether there is.
    let bytes = unzip(path, &raw, header + total + 1)?;
    let body = &bytes[header..];
    if body.len() != total {
        // A packed file is not unpacked beyond.
        let cut = body.len() > total && matches!(bytes, Cow::Owned(_));
        let found = format!("{}{}", if cut { "at least " } else { "" }, body.len());
        return Err(malformed(path, place, expected(), found));
    }
    Ok((sizes, body.to_vec()))
}

/// Bytes that no data set needs more of.
const MOST: usize = 1 << 32;

/// The first `most` bytes of what a gzip file holds; other files as they are. The name does not matter, as downloads
/// often change it.
fn unzip<'a>(path: &Path, raw: &'a [u8], most: usize) -> Result<Cow<'a, [u8]>> {
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw.into());
    }
    let mut decoder = GzDecoder::new(raw);
    let mut bytes = vec![];
    if let Err(error) = decoder.by_ref().take(most as u64).read_to_end(&mut bytes) {
        let place = format!("gzip stream, after {} unpacked bytes", bytes.len());
        return Err(malformed(path, place, "intact data", error));
    }
    if bytes.len() == most {
        return Ok(bytes.into());
    }
    let rest = decoder.into_inner();
    if !rest.is_empty() {
        let place = format!("offset {}", raw.len() - rest.len());
        return Err(malformed(
            path,
            place,
            "the end of the file",
            format!("{} more bytes", rest.len()),
        ));
    }
    Ok(bytes.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{fs, io::Write};

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn idx(sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(body);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The four files of 20 training and 10 test images of 2×3 pixels.
    fn files() -> [(&'static str, Vec<u8>); 4] {
        let pixels: Vec<u8> = (0..120).collect();
        let labels: Vec<u8> = (0..20).map(|i| i % 10).collect();
        [
            ("train-images-idx3-ubyte", idx(&[20, 2, 3], &pixels)),
            ("train-labels-idx1-ubyte", idx(&[20], &labels)),
            ("t10k-images-idx3-ubyte", idx(&[10, 2, 3], &pixels[60..])),
            ("t10k-labels-idx1-ubyte", idx(&[10], &labels[10..])),
        ]
    }

    /// A folder with a small, valid set of idx files.
    pub(crate) fn valid() -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, bytes) in files() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn error_after(name: &str, bytes: &[u8]) -> String {
        let dir = valid();
        fs::write(dir.path().join(name), bytes).unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        message
    }

    #[test]
    fn images_and_labels_come_out_as_written() {
        let parts = load(valid().path()).unwrap();
        assert_eq!(parts.train.shape(), ImageShape { channels: 1, height: 2, width: 3 });
        assert_eq!((parts.train.len(), parts.test.len()), (20, 10));
        assert_eq!(parts.train.image(3), Some(&[18, 19, 20, 21, 22, 23][..]));
        assert_eq!(parts.test.image(0), Some(&[60, 61, 62, 63, 64, 65][..]));
        assert_eq!(parts.train.labels()[18..], [8, 9]);
        assert_eq!(parts.classes[9], "9");
    }

    #[test]
    fn names_and_compression_make_no_difference() {
        let plain = load(valid().path()).unwrap();
        for (dash, gz) in [("-", ".gz"), (".", ""), (".", ".gz")] {
            let dir = TempDir::new().unwrap();
            for (name, bytes) in files() {
                let name = name.replace("-idx", &format!("{dash}idx")) + gz;
                let bytes = if gz.is_empty() { bytes } else { gzip(&bytes) };
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            assert_eq!(load(dir.path()).unwrap(), plain);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        for (name, _) in files() {
            let dir = valid();
            fs::remove_file(dir.path().join(name)).unwrap();
            assert!(is_in(dir.path()));
            let error = load(dir.path()).unwrap_err();
            assert!(
                matches!(&error, Error::Missing { path, .. } if path.ends_with(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn faults_are_described() {
        let images = "train-images-idx3-ubyte";
        let labels = "train-labels-idx1-ubyte";
        let bytes = &files()[0].1;
        for (name, bytes, expected) in [
            (images, vec![], "found 0 bytes in all"),
            (images, bytes[..40].to_vec(), "offset 16: expected 20×2×3 bytes"),
            (images, [bytes, &[0][..]].concat(), "found 121"),
            (images, files()[1].1.clone(), "magic number 0x00000803"),
            (images, idx(&[20, 0, 3], &[]), "size of dimension 1 (offset 8): expected at least 1"),
            (images, idx(&[u32::MAX; 3], &[]), "4294967295×4294967295×4294967295 bytes"),
            (images, idx(&[70_000, 300, 300], &[]), "at most 4 GiB, found 70000×300×300 bytes"),
            (images, gzip(&[bytes, &[0; 99][..]].concat()), "found at least 121"),
            (labels, idx(&[20], &[10; 20]), "label 0 (offset 8): expected less than 10, found 10"),
            (labels, idx(&[19], &[1; 19]), "holds 20 images but"),
            ("t10k-images-idx3-ubyte", idx(&[10, 3, 2], &[0; 60]), "expected 1×2×3 as in training"),
        ] {
            let message = error_after(name, &bytes);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn damaged_gzip_streams_are_refused() {
        let zipped = gzip(&files()[0].1);
        let name = "train-images-idx3-ubyte";
        assert!(error_after(name, &zipped[..zipped.len() - 9]).contains("gzip stream"));
        assert!(error_after(name, &[&zipped[..], &[1, 2]].concat()).contains("found 2 more bytes"));
        let mut wrong_sum = zipped.clone();
        let sum = zipped.len() - 8;
        wrong_sum[sum] ^= 1;
        assert!(error_after(name, &wrong_sum).contains("gzip stream"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_shorter_or_longer_file_is_never_taken(
            file in 0usize..4,
            zip: bool,
            keep in 0.0..1.0,
            extra in prop::collection::vec(any::<u8>(), 1..20),
            lengthen: bool,
        ) {
            let (name, bytes) = &files()[file];
            let mut bytes = if zip { gzip(bytes) } else { bytes.clone() };
            if lengthen {
                bytes.extend(extra);
            } else {
                bytes.truncate((keep * bytes.len() as f64) as usize);
            }
            error_after(name, &bytes);
        }

        #[test]
        fn a_changed_byte_never_panics(
            file in 0usize..4,
            zip: bool,
            at in 0.0..1.0,
            change in 1u8..,
        ) {
            let (name, bytes) = &files()[file];
            let mut bytes = if zip { gzip(bytes) } else { bytes.clone() };
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= change;
            let dir = valid();
            fs::write(dir.path().join(name), bytes)?;
            if let Ok(parts) = load(dir.path()) {
                prop_assert!(parts.train.labels().iter().all(|&label| label < 10));
            }
        }
    }
}
