//! A built-in data set: handwritten-looking digits, drawn by this crate.
//!
//! Each image starts from one of several skeletons of its digit (a 7 with or without bar, a 4 open
//! or closed), which a random hand rotates, slants, stretches, bends and places; it is then drawn
//! with a pen of varying width and ink, crossed by stray lines, blurred, and made noisy. The images
//! are 28×28 and grayscale, light on dark as in MNIST, and every class has its equal share.

mod glyphs;
mod hand;
mod render;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, Format, ImageShape, LabeledImages, Result,
    random::{Purpose, stream},
};

/// How many digits to draw for each split; every class gets its equal share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Images to learn from.
    pub train: usize,
    /// Images to choose by; may be 0.
    pub validation: usize,
    /// Images to report on.
    pub test: usize,
}

impl Default for Sizes {
    /// 10,000 training, 2,000 validation and 2,000 test images.
    fn default() -> Self {
        Self { train: 10_000, validation: 2_000, test: 2_000 }
    }
}

const CLASSES: usize = 10;

const SHAPE: ImageShape = ImageShape { channels: 1, height: render::SIDE, width: render::SIDE };

/// Draws a data set of digits. The same seed gives the same images; image `i` of a split does not
/// depend on the sizes.
///
/// # Errors
///
/// [`Error::Invalid`](crate::Error::Invalid) if the training or the test split is to be empty, or
/// one reaches 4 GiB.
///
/// ```
/// use gtn_data::digits::{Sizes, generate};
///
/// let digits = generate(Sizes { train: 50, validation: 20, test: 20 }, 1)?;
/// assert_eq!(digits.train().image(3).map(<[u8]>::len), Some(28 * 28));
/// assert_eq!(digits.summary().train.per_class, [5; 10]);
/// # Ok::<(), gtn_data::Error>(())
/// ```
pub fn generate(sizes: Sizes, seed: u64) -> Result<Dataset> {
    let splits =
        [draw(sizes.train, seed, 0)?, draw(sizes.validation, seed, 1)?, draw(sizes.test, seed, 2)?];
    let classes = (0..CLASSES).map(|digit| digit.to_string()).collect();
    Dataset::from_splits("digits".to_owned(), Format::Digits, classes, splits)
}

fn draw(count: usize, seed: u64, split: u64) -> Result<LabeledImages> {
    LabeledImages::check_size(SHAPE, count)?;
    let images: Vec<Vec<u8>> = (0..count)
        .into_par_iter()
        .map(|i| {
            hand::write(i % CLASSES, &mut stream(seed, Purpose::Digit, split << 32 | i as u64))
        })
        .collect();
    let labels = (0..count).map(|i| (i % CLASSES) as u32).collect();
    LabeledImages::new(SHAPE, images.concat(), labels)
}

#[cfg(test)]
mod tests {
    use std::array;

    use super::*;

    fn small(train: usize, seed: u64) -> Dataset {
        generate(Sizes { train, validation: 20, test: 300 }, seed).unwrap()
    }

    #[test]
    fn the_number_of_threads_makes_no_difference() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| small(100, 5))
        };
        let (one, four) = (with(1), with(4));
        assert_eq!(one.train().pixels(), four.train().pixels());
        assert_eq!(one.test().pixels(), four.test().pixels());
    }

    #[test]
    fn images_depend_on_seed_split_and_number_alone() {
        let digits = small(40, 5);
        assert_eq!(digits.train().pixels(), &small(80, 5).train().pixels()[..40 * SHAPE.size()]);
        assert_ne!(digits.train().pixels(), small(40, 6).train().pixels());
        assert_ne!(digits.train().image(0), digits.test().image(0));
        assert_ne!(digits.train().image(0), digits.train().image(10));
    }

    #[test]
    fn every_split_has_its_size_and_even_classes() {
        let summary = small(105, 1).summary();
        assert_eq!(summary.train.per_class, [11, 11, 11, 11, 11, 10, 10, 10, 10, 10]);
        assert_eq!((summary.validation.images, summary.test.images), (20, 300));
        assert!(generate(Sizes { train: 0, ..Sizes::default() }, 0).is_err());
        assert!(generate(Sizes { train: usize::MAX, ..Sizes::default() }, 0).is_err());
    }

    #[test]
    fn digits_are_drawn_in_the_middle() {
        let digits = small(500, 2);
        for image in digits.train().pixels().chunks(SHAPE.size()) {
            assert!(image.iter().filter(|&&ink| ink > 90).count() >= 15, "a visible digit");
            let ink = |rows: std::ops::Range<usize>| {
                let row = |y| image[y * 28..][..28].iter().map(|&ink| ink as u32).sum::<u32>();
                rows.map(row).sum::<u32>()
            };
            assert!(ink(7..21) > ink(0..3) + ink(25..28));
        }
    }

    /// Which of `known` has the least squared distance from `image`.
    fn nearest<'a>(image: &[u8], known: impl Iterator<Item = (u32, &'a [u8])>) -> u32 {
        let distance = |other: &[u8]| -> u64 {
            image.iter().zip(other).map(|(&a, &b)| (a.abs_diff(b) as u64).pow(2)).sum()
        };
        known.min_by_key(|(_, other)| distance(other)).unwrap().0
    }

    /// The nearest class mean should be a poor guess and the nearest image a better one: the digits
    /// are neither trivial nor arbitrary.
    #[test]
    fn digits_take_some_learning() {
        let digits = small(3_000, 3);
        let known = || {
            let images = digits.train().pixels().chunks(SHAPE.size());
            digits.train().labels().iter().copied().zip(images)
        };
        let means: [Vec<u8>; CLASSES] = array::from_fn(|class| {
            let members: Vec<_> = known().filter(|(label, _)| *label == class as u32).collect();
            let sum = |i| members.iter().map(|(_, image)| image[i] as usize).sum::<usize>();
            (0..SHAPE.size()).map(|i| (sum(i) / members.len()) as u8).collect()
        });
        let accuracy = |guess: &dyn Fn(&[u8]) -> u32| {
            let test = digits.test().pixels().chunks(SHAPE.size()).zip(digits.test().labels());
            let right = test.filter(|(image, label)| guess(image) == **label).count();
            right as f64 / digits.test().len() as f64
        };
        let by_mean =
            accuracy(&|image| nearest(image, (0..).zip(means.iter().map(|mean| &mean[..]))));
        let by_image = accuracy(&|image| nearest(image, known()));
        assert!((0.3..0.8).contains(&by_mean), "by class mean {by_mean}");
        assert!((0.7..0.97).contains(&by_image), "by image {by_image}");
        assert!(by_image > by_mean + 0.1, "{by_image} against {by_mean}");
    }
}
