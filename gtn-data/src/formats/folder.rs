//! Image folders: `train/CLASS/*.png` and `test/CLASS/*.png`, or JPEG.

use std::path::{Path, PathBuf};

use image::{DynamicImage, GenericImageView, ImageFormat};
use rayon::prelude::*;

use super::{Parts, list, malformed, read};
use crate::{Error, ImageShape, LabeledImages, Result};

pub(crate) const LOOKED_FOR: &str = "train/CLASS/*.{png,jpg,jpeg} and test/CLASS/*.{png,jpg,jpeg}";

const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

pub(crate) fn is_in(dir: &Path) -> bool {
    dir.join("train").is_dir()
}

/// Classes are the folders in `train`, by name; images come by class, then by name.
pub(crate) fn load(dir: &Path) -> Result<Parts> {
    let classes = class_names(&dir.join("train"))?;
    let train = find_images(&dir.join("train"), &classes)?;
    let test = find_images(&dir.join("test"), &classes)?;
    let labels = |files: &[File]| files.iter().map(|file| file.label).collect();
    let (train_labels, test_labels) = (labels(&train), labels(&test));
    let train_count = train.len();

    let files: Vec<File> = train.into_iter().chain(test).collect();
    let Decoded { shape, mut pixels, jpeg } = decode_all(dir, &files, train_count)?;
    let test_pixels = pixels.split_off(train_count * shape.size());
    Ok(Parts {
        classes,
        train: LabeledImages::new(shape, pixels, train_labels)?,
        test: LabeledImages::new(shape, test_pixels, test_labels)?,
        jpeg,
    })
}

struct File {
    path: PathBuf,
    label: u32,
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn class_folders(part: &Path) -> Result<Vec<PathBuf>> {
    Ok(list(part)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn class_names(part: &Path) -> Result<Vec<String>> {
    let folders = class_folders(part)?;
    // Two of these would look alike.
    if let Some(odd) =
        folders.iter().find(|path| path.file_name().is_some_and(|name| name.to_str().is_none()))
    {
        return Err(Error::Malformed {
            path: odd.clone(),
            place: "class".to_owned(),
            expected: "a folder name in UTF-8".to_owned(),
            found: name(odd),
            hint: "rename the folder",
        });
    }
    let classes: Vec<String> = folders.iter().map(|path| name(path)).collect();
    if classes.len() < 2 {
        let found = format!("{} folders", classes.len());
        return Err(Error::Malformed {
            path: part.to_owned(),
            place: "classes".to_owned(),
            expected: "a folder for each of at least 2 classes".to_owned(),
            found,
            hint: "sort the images into one folder a class",
        });
    }
    Ok(classes)
}

fn find_images(part: &Path, classes: &[String]) -> Result<Vec<File>> {
    if !part.is_dir() {
        return Err(Error::Missing {
            path: part.to_owned(),
            expected: "a folder with a folder for each class".to_owned(),
            hint: "an image folder needs both train and test",
        });
    }
    let mut files = vec![];
    for folder in class_folders(part)? {
        let class = name(&folder);
        let Some(label) = classes.iter().position(|known| *known == class) else {
            return Err(Error::Malformed {
                path: folder,
                place: "class".to_owned(),
                expected: format!("one of the {} folders of train", classes.len()),
                found: class,
                hint: "a class to be tested must also be there to be learned",
            });
        };
        let before = files.len();
        let images = list(&folder)?.into_iter().filter(|path| is_image(path));
        files.extend(images.map(|path| File { path, label: label as u32 }));
        if files.len() == before {
            return Err(Error::Missing {
                path: folder.join("*.{png,jpg,jpeg}"),
                expected: "at least one image of the class".to_owned(),
                hint: "add images or remove the folder",
            });
        }
    }
    if files.is_empty() {
        return Err(Error::Missing {
            path: part.join("CLASS"),
            expected: "a folder of images for each class".to_owned(),
            hint: "an image folder needs both train and test",
        });
    }
    Ok(files)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// All images, those of train first: in gray if all are, else in color.
struct Decoded {
    shape: ImageShape,
    /// `(N, C, H, W)`.
    pixels: Vec<u8>,
    /// Whether one of them was a JPEG image, whatever its file was called.
    jpeg: bool,
}

fn decode_all(dir: &Path, files: &[File], train_count: usize) -> Result<Decoded> {
    let (first, _) = decode(&files[0].path)?;
    let (width, height) = first.dimensions();
    let shape = |channels| ImageShape { channels, height: height as usize, width: width as usize };
    // Before the rest is decoded into memory: as if the rest were like the first.
    let channels = if first.color().has_color() { 3 } else { 1 };
    for (part, count) in [("train", train_count), ("test", files.len() - train_count)] {
        check_part(&dir.join(part), shape(channels), count)?;
    }

    // The first fault in the order of files, not in the order of threads.
    let images: Vec<Result<(Vec<u8>, ImageFormat)>> = files
        .par_iter()
        .map(|file| {
            let (image, format) = decode(&file.path)?;
            if image.dimensions() != (width, height) {
                let (found_width, found_height) = image.dimensions();
                return Err(Error::Malformed {
                    path: file.path.clone(),
                    place: "image size".to_owned(),
                    expected: format!("{width}×{height} pixels as in {}", files[0].path.display()),
                    found: format!("{found_width}×{found_height}"),
                    hint: "scale or crop all images to one size first",
                });
            }
            Ok((planes(image), format))
        })
        .collect();
    let images: Vec<_> = images.into_iter().collect::<Result<_>>()?;

    let plane = shape(1).size();
    let all_gray = images.iter().all(|(image, _)| image.len() == plane);
    let jpeg = images.iter().any(|(_, format)| *format == ImageFormat::Jpeg);
    let shape = shape(if all_gray { 1 } else { 3 });
    let mut pixels = Vec::with_capacity(files.len() * shape.size());
    for (image, _) in images {
        for _ in 0..shape.size() / image.len() {
            pixels.extend_from_slice(&image);
        }
    }
    Ok(Decoded { shape, pixels, jpeg })
}

/// Fails where the images of a part are more than a split can hold.
fn check_part(part: &Path, shape: ImageShape, count: usize) -> Result<()> {
    LabeledImages::check_size(shape, count).map(drop).map_err(|_| Error::Malformed {
        path: part.to_owned(),
        place: "images".to_owned(),
        expected: "less than 4 GiB of pixels".to_owned(),
        found: format!("{count} images of {shape}"),
        hint: "take fewer images, or scale them down",
    })
}

fn decode(path: &Path) -> Result<(DynamicImage, ImageFormat)> {
    let bytes = read(path)?;
    if is_cut_off_jpeg(&bytes) {
        let place = format!("offset {}", bytes.len());
        return Err(malformed(
            path,
            place,
            "the end marker of a JPEG image",
            "the end of the file",
        ));
    }
    let decoded = image::guess_format(&bytes).and_then(|format| {
        image::load_from_memory_with_format(&bytes, format).map(|image| (image, format))
    });
    decoded.map_err(|error| malformed(path, "image data", "a PNG or JPEG image", error))
}

/// Whether a JPEG file ends before its image does, which the decoder would make up for with gray.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    let Some(mut rest) = bytes.strip_prefix(&[0xff, 0xd8]) else { return false };
    // Past the segments before the image, which may hold a smaller one with an end of its own.
    while let [0xff, kind, high, low, ..] = *rest {
        if kind == 0xff {
            // Any number of these may stand before a marker.
            rest = &rest[1..];
            continue;
        }
        if kind == 0xda {
            return !rest.windows(2).any(|pair| pair == END);
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    }
    // No image at all: the decoder says what is wrong.
    false
}

/// The pixels of one gray or three colored planes.
fn planes(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_color() {
        return image.into_luma8().into_raw();
    }
    let pixels = image.into_rgb8().into_raw();
    (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use image::{GrayImage, Luma, Rgb, RgbImage};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::Holdout;

    fn gray(value: u8) -> DynamicImage {
        GrayImage::from_fn(3, 2, |x, y| Luma([value + (10 * y + x) as u8])).into()
    }

    fn color(value: u8) -> DynamicImage {
        RgbImage::from_fn(3, 2, |x, y| Rgb([value, x as u8, y as u8])).into()
    }

    fn save(image: &DynamicImage, dir: &TempDir, path: &str) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }

    /// A folder with a small, valid set of gray images.
    pub(crate) fn valid() -> TempDir {
        let dir = TempDir::new().unwrap();
        for (i, class) in ["cat", "ant"].into_iter().enumerate() {
            for file in ["2.png", "10.png", "1.png"] {
                let value = 100 * i as u8 + file.len() as u8;
                save(&gray(value), &dir, &format!("train/{class}/{file}"));
            }
            save(&gray(50 + i as u8), &dir, &format!("test/{class}/0.PNG"));
        }
        dir
    }

    fn error_of(dir: &TempDir) -> String {
        load(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn classes_and_images_come_by_name() {
        let dir = valid();
        fs::write(dir.path().join("train/cat/.hidden.png"), "").unwrap();
        fs::write(dir.path().join("train/cat/notes.txt"), "").unwrap();
        let parts = load(dir.path()).unwrap();
        assert_eq!(parts.classes, ["ant", "cat"]);
        assert_eq!(parts.train.shape(), ImageShape { channels: 1, height: 2, width: 3 });
        assert_eq!(parts.train.labels(), [0, 0, 0, 1, 1, 1]);
        let firsts: Vec<u8> = parts.train.pixels().iter().step_by(6).copied().collect();
        assert_eq!(firsts, [105, 106, 105, 5, 6, 5], "1.png, 10.png, 2.png of ant, then of cat");
        assert_eq!(parts.train.image(0), Some(&[105, 106, 107, 115, 116, 117][..]));
        assert_eq!(parts.test.labels(), [0, 1]);
        assert_eq!(parts.test.pixels()[0], 51);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn class_names_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStrExt;
        let dir = valid();
        fs::create_dir(dir.path().join("train").join(std::ffi::OsStr::from_bytes(b"\xff")))
            .unwrap();
        let message = error_of(&dir);
        assert!(message.contains("class: expected a folder name in UTF-8"), "{message}");
    }

    #[test]
    fn one_color_image_makes_all_colored() {
        let dir = valid();
        save(&color(9), &dir, "test/cat/0.PNG");
        let parts = load(dir.path()).unwrap();
        assert_eq!(parts.train.shape().channels, 3);
        assert_eq!(parts.train.image(0), Some(&[[105, 106, 107, 115, 116, 117]; 3].concat()[..]));
        let planes = [[9; 6], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]].concat();
        assert_eq!(parts.test.image(1), Some(&planes[..]));
    }

    #[test]
    fn jpeg_images_are_read() {
        let dir = valid();
        fs::write(dir.path().join("train/cat/._3.jpg"), "").unwrap();
        let whole = Holdout { images: Some(0), seed: 0 };
        let open = || crate::open(dir.path(), whole).unwrap();
        assert!(!open().holds_jpeg(), "a hidden file is none of the images");
        for (path, extension) in [("train/cat/3", "jpg"), ("test/ant/7", "JPEG")] {
            gray(7)
                .save_with_format(
                    dir.path().join(path).with_extension(extension),
                    ImageFormat::Jpeg,
                )
                .unwrap();
        }
        let dataset = open();
        assert_eq!((dataset.train().len(), dataset.test().len()), (7, 3));
        assert!(dataset.holds_jpeg());
        assert!(dataset.train().image(6).unwrap()[0].abs_diff(7) < 4);
    }

    #[test]
    fn the_first_image_of_another_size_is_named() {
        let dir = valid();
        let other: DynamicImage = GrayImage::new(3, 4).into();
        save(&other, &dir, "train/cat/10.png");
        save(&other, &dir, "train/cat/2.png");
        let message = error_of(&dir);
        assert!(
            message.contains("train/cat/10.png: image size: expected 3×2 pixels as in"),
            "{message}"
        );
        assert!(message.contains("train/ant/1.png, found 3×4"), "{message}");
    }

    #[test]
    fn cut_off_jpeg_images_are_refused_with_fill_bytes_too() {
        let dir = valid();
        let path = dir.path().join("train/ant/1.jpg");
        gray(7).save_with_format(&path, ImageFormat::Jpeg).unwrap();
        let plain = fs::read(&path).unwrap();
        let filled = [&plain[..2], &[0xff; 3], &plain[2..]].concat();
        for whole in [plain, filled] {
            fs::write(&path, &whole).unwrap();
            assert_eq!(load(dir.path()).unwrap().train.len(), 7);
            fs::write(&path, &whole[..whole.len() - 4]).unwrap();
            let message = error_of(&dir);
            assert!(message.contains("expected the end marker of a JPEG image"), "{message}");
        }
    }

    #[test]
    fn more_than_a_split_can_hold_is_refused_by_the_part() {
        let shape = ImageShape { channels: 3, height: 1000, width: 1000 };
        assert!(check_part(Path::new("birds/train"), shape, 1431).is_ok());
        let message = check_part(Path::new("birds/train"), shape, 1432).unwrap_err().to_string();
        assert!(
            message.contains("birds/train: images: expected less than 4 GiB of pixels"),
            "{message}"
        );
    }

    #[test]
    fn faults_are_described() {
        type Damage = fn(&Path);
        let cases: [(Damage, &str); 6] = [
            (|dir| fs::write(dir.join("train/ant/1.png"), "text").unwrap(), "1.png: image data"),
            (|dir| fs::remove_dir_all(dir.join("test")).unwrap(), "test is missing"),
            (
                |dir| fs::remove_dir_all(dir.join("train/ant")).unwrap(),
                "expected a folder for each",
            ),
            (
                |dir| fs::create_dir(dir.join("train/bee")).unwrap(),
                "bee/*.{png,jpg,jpeg} is missing",
            ),
            (|dir| fs::rename(dir.join("test/ant"), dir.join("test/bee")).unwrap(), "found bee"),
            (
                |dir| {
                    fs::remove_dir_all(dir.join("test")).unwrap();
                    fs::create_dir(dir.join("test")).unwrap();
                },
                "test/CLASS is missing",
            ),
        ];
        for (damage, expected) in cases {
            let dir = valid();
            damage(dir.path());
            let message = error_of(&dir);
            assert!(message.contains(expected), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_damaged_image_never_panics(jpeg: bool, at in 0.0..1.0, change in 1u8.., cut: bool) {
            let dir = valid();
            let path = dir.path().join("train/ant/1.png");
            if jpeg {
                color(3).save_with_format(&path, ImageFormat::Jpeg)?;
            }
            let mut bytes = fs::read(&path)?;
            let at = (at * bytes.len() as f64) as usize;
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= change;
            }
            fs::write(&path, bytes)?;
            let loaded = load(dir.path());
            // Of a PNG image the last few bytes may be missing: they are none of its pixels'.
            prop_assert!(!(cut && jpeg) || loaded.is_err(), "cut off at {at}");
            if let Err(error) = loaded {
                prop_assert!(error.to_string().contains("train/ant"), "{error}");
            }
        }
    }
}
