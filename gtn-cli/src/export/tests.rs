use std::fs;

use candle_core::{DType, Device, IndexOp, Tensor};
use gtn_core::data::Batch;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::trainer::TeachingStep;
use gtn_data::Holdout;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

#[derive(Clone, Copy, Debug)]
struct Sizes {
    steps: usize,
    batch: usize,
    image: [usize; 3],
    classes: usize,
}

const SMALL: Sizes = Sizes { steps: 3, batch: 12, image: [1, 4, 5], classes: 10 };

/// A set whose pixels go beyond what 8 bits hold, with soft targets of which
/// class (t + b) mod K is the likeliest.
fn teaching_set(sizes: Sizes) -> TeachingSet {
    let Sizes { steps, batch, image: [channels, height, width], classes } = sizes;
    let step = |t: usize| {
        let count = batch * channels * height * width;
        let pixels: Vec<f32> =
            (0..count).map(|i| ((i * 37 + t * 101) % 61) as f32 / 10.0 - 3.0).collect();
        let mut targets = vec![0.5 / classes as f32; batch * classes];
        for b in 0..batch {
            targets[b * classes + (t + b) % classes] += 0.5;
        }
        TeachingStep {
            batch: Batch {
                images: Tensor::from_vec(pixels, (batch, channels, height, width), &Device::Cpu)
                    .unwrap(),
                targets: Tensor::from_vec(targets, (batch, classes), &Device::Cpu).unwrap(),
            },
            rates: Rates { lr: 0.1 / (t + 1) as f64, momentum: 0.5 },
        }
    };
    TeachingSet { steps: (0..steps).map(step).collect(), optimizer: InnerOptimizer::Sgd }
}

fn names(sizes: Sizes) -> Vec<String> {
    (0..sizes.classes).map(|class| format!("c{class:03}")).collect()
}

fn normalization(channels: usize) -> Normalization {
    let (mean, std) = (vec![0.25; channels], vec![0.2; channels]);
    serde_json::from_value(serde_json::json!({ "mean": mean, "std": std })).unwrap()
}

/// Exports to the folder `out` of a home that goes with the result.
fn exported(sizes: Sizes, format: Format) -> (TempDir, PathBuf, Vec<PathBuf>) {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let (set, normalization) = (teaching_set(sizes), normalization(sizes.image[0]));
    let files = export(&set, &names(sizes), &normalization, format, &out).unwrap();
    assert!(files.iter().all(|file| file.is_file()));
    (home, out, files)
}

fn refusal(set: &TeachingSet, classes: &[String], format: Format) -> String {
    let home = tempfile::tempdir().unwrap();
    let channels = set.steps.first().map_or(1, |step| step.batch.images.dims()[1]);
    let out = home.path().join("out");
    let error = export(set, classes, &normalization(channels), format, &out).unwrap_err();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "something was left behind");
    format!("{error:#}")
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    a.dtype() == b.dtype() && a.dims() == b.dims() && numbers(a).unwrap() == numbers(b).unwrap()
}

/// The bytes of the images that a set of these sizes ends in, in its order.
fn bytes(sizes: Sizes) -> Vec<Vec<u8>> {
    let arrays = Arrays::stack(&teaching_set(sizes), &normalization(sizes.image[0])).unwrap();
    let pixels = arrays.pixels(&normalization(sizes.image[0])).unwrap();
    let count = sizes.steps * sizes.batch;
    (0..count).map(|i| pixels.i(i).unwrap().flatten_all().unwrap().to_vec1().unwrap()).collect()
}

fn check_arrays(sizes: Sizes, read: impl Fn(&str) -> Option<Tensor>) {
    let arrays = Arrays::stack(&teaching_set(sizes), &normalization(sizes.image[0])).unwrap();
    for (name, array) in arrays.named() {
        let found = read(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(same(&found, array), "{name}");
    }
    let labels = read("labels").unwrap().to_vec2::<i64>().unwrap();
    for (t, labels) in labels.iter().enumerate() {
        let expected = (0..sizes.batch).map(|b| ((t + b) % sizes.classes) as i64);
        assert!(labels.iter().copied().eq(expected));
    }
}

#[test]
fn every_format_describes_itself() {
    for format in [Format::Safetensors, Format::Npz, Format::Idx, Format::Png] {
        let (_home, out, files) = exported(SMALL, format);
        assert!(files.contains(&out.join("README.txt")));
        let text = fs::read_to_string(out.join("teaching.json")).unwrap();
        let teaching: Teaching = serde_json::from_str(&text).unwrap();
        assert_eq!((teaching.steps, teaching.batch, teaching.image), (3, 12, [1, 4, 5]));
        assert_eq!(teaching.lr, [0.1, 0.05, 0.1 / 3.0]);
        assert_eq!(teaching.momentum, [0.5; 3]);
        assert_eq!(teaching.optimizer, InnerOptimizer::Sgd);
        assert_eq!(teaching.classes, names(SMALL));
        assert_eq!(teaching.normalization, normalization(1));
        assert!(text.contains("\"optimizer\": \"sgd\""), "{text}");
    }
}

#[test]
fn the_same_set_gives_the_same_bytes() {
    for format in [Format::Safetensors, Format::Npz, Format::Idx, Format::Png] {
        let [one, two] = [(); 2].map(|()| {
            let (_home, out, files) = exported(SMALL, format);
            let read = |file: &PathBuf| {
                (file.strip_prefix(&out).unwrap().to_path_buf(), fs::read(file).unwrap())
            };
            files.iter().map(read).collect::<Vec<_>>()
        });
        assert!(one == two, "{format:?}");
    }
}

#[test]
fn safetensors_carry_the_description() {
    let (_home, out, _) = exported(SMALL, Format::Safetensors);
    let file = fs::read(out.join("teaching.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let json = fs::read_to_string(out.join("teaching.json")).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["teaching"], json);
}

#[test]
fn idx_files_open_as_a_data_set() {
    let (_home, out, _) = exported(SMALL, Format::Idx);
    for name in ["images-idx3-ubyte", "labels-idx1-ubyte"] {
        fs::copy(out.join(format!("train-{name}")), out.join(format!("t10k-{name}"))).unwrap();
    }
    let holdout = Holdout { images: Some(0), seed: 0 };
    let data = gtn_data::open(&out, holdout).unwrap();
    assert_eq!(data.train().pixels(), bytes(SMALL).concat());
    let labels = (0..3).flat_map(|t| (0..12).map(move |b| (t + b) % 10));
    assert!(data.train().labels().iter().copied().eq(labels));
}

#[test]
fn png_files_open_as_a_data_set() {
    for channels in [1, 3] {
        let sizes = Sizes { image: [channels, 4, 5], ..SMALL };
        let (_home, out, files) = exported(sizes, Format::Png);
        assert_eq!(files.len(), 3 * 12 + 2);
        assert!(files.contains(&out.join("train/c003/1-02.png")));
        for file in files.iter().filter(|file| file.extension() == Some("png".as_ref())) {
            let test = out.join("test").join(file.strip_prefix(out.join("train")).unwrap());
            fs::create_dir_all(test.parent().unwrap()).unwrap();
            fs::copy(file, test).unwrap();
        }
        let holdout = Holdout { images: Some(0), seed: 0 };
        let data = gtn_data::open(&out, holdout).unwrap();
        assert_eq!(data.classes(), names(sizes));
        // The folder is read class by class, each by rising step and sample.
        let mut order: Vec<usize> = (0..36).collect();
        order.sort_by_key(|i| (i / 12 + i % 12) % 10);
        let bytes = bytes(sizes);
        for (i, from) in order.into_iter().enumerate() {
            assert_eq!(data.train().image(i).unwrap(), bytes[from], "image {from}");
        }
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let many = Sizes { classes: 300, batch: 300, ..SMALL };
    let text = refusal(&teaching_set(many), &names(many), Format::Idx);
    assert!(text.contains("256 classes"), "{text}");
    let two = Sizes { image: [2, 4, 5], ..SMALL };
    let text = refusal(&teaching_set(two), &names(two), Format::Png);
    assert!(text.contains("1 or 3 channels, here are 2"), "{text}");
    for name in ["a/b", "..", ".", "", "/a", "a/"] {
        let mut classes = names(SMALL);
        classes[3] = name.into();
        let text = refusal(&teaching_set(SMALL), &classes, Format::Png);
        assert!(text.contains("cannot name a folder"), "{name}: {text}");
    }
}

#[test]
fn sets_that_do_not_fit_together_are_refused() {
    let text = refusal(&teaching_set(SMALL), &names(SMALL)[1..], Format::Npz);
    assert!(text.contains("of 10 classes, the data set has 9"), "{text}");
    let mut set = teaching_set(SMALL);
    set.steps.extend(teaching_set(Sizes { batch: 2, ..SMALL }).steps);
    let text = refusal(&set, &names(SMALL), Format::Npz);
    assert!(text.contains("of one shape"), "{text}");
    set.steps.clear();
    let text = refusal(&set, &names(SMALL), Format::Npz);
    assert!(text.contains("no steps"), "{text}");
}

fn sizes() -> impl Strategy<Value = Sizes> {
    (1usize..4, 1usize..5, [1usize..5, 1..6, 1..6], 1usize..12)
        .prop_map(|(steps, batch, image, classes)| Sizes { steps, batch, image, classes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn npz_files_come_back_exactly(sizes in sizes()) {
        let (_home, out, _) = exported(sizes, Format::Npz);
        let arrays = Tensor::read_npz(out.join("teaching.npz"))?;
        check_arrays(sizes, |name| {
            Some(arrays.iter().find(|(found, _)| found == name)?.1.clone())
        });
    }

    #[test]
    fn safetensors_come_back_exactly(sizes in sizes()) {
        let (_home, out, _) = exported(sizes, Format::Safetensors);
        let arrays = candle_core::safetensors::load(out.join("teaching.safetensors"), &Device::Cpu)?;
        check_arrays(sizes, |name| arrays.get(name).cloned());
    }

    #[test]
    fn idx_files_hold_sizes_and_bytes(sizes in sizes()) {
        let (_home, out, _) = exported(sizes, Format::Idx);
        let [channels, height, width] = sizes.image;
        let count = sizes.steps * sizes.batch;
        let dims = match channels {
            1 => vec![count, height, width],
            _ => vec![count, channels, height, width],
        };
        let mut expected = vec![0, 0, 8, dims.len() as u8];
        expected.extend(dims.iter().flat_map(|dim| (*dim as u32).to_be_bytes()));
        expected.extend(bytes(sizes).concat());
        prop_assert_eq!(fs::read(out.join(idx::images_name(channels)))?, expected);
        prop_assert_eq!(fs::read(out.join(idx::LABELS))?.len(), 8 + count);
    }
}
