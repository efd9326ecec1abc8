use rand::seq::SliceRandom;

use crate::{
    Error, LabeledImages, Result,
    random::{Purpose, stream},
};

/// How the validation split is cut from the training part: at random under a seed, each class in
/// its proportion. The test part is never touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdout {
    /// The number of validation images; `None` for a tenth of the training part, but at most 5,000.
    pub images: Option<usize>,
    /// Decides which images.
    pub seed: u64,
}

const USUAL_SHARE: usize = 10;
const USUAL_LIMIT: usize = 5_000;

impl Holdout {
    /// Cuts `images`, whose labels are below `classes`, into a training and a validation part, both
    /// in the original order. Each class keeps at least one image to learn from.
    pub(crate) fn cut(
        &self,
        images: &LabeledImages,
        classes: usize,
    ) -> Result<(LabeledImages, LabeledImages)> {
        let mut members = vec![vec![]; classes];
        for (i, &label) in images.labels().iter().enumerate() {
            members[label as usize].push(i);
        }
        let counts: Vec<usize> = members.iter().map(Vec::len).collect();
        let spare: usize = counts.iter().map(|count| count.saturating_sub(1)).sum();
        let size = match self.images {
            None => (images.len() / USUAL_SHARE).min(USUAL_LIMIT).min(spare),
            Some(size) if size <= spare => size,
            Some(size) => {
                let expected =
                    format!("at most {spare}, so that each class keeps an image to learn from");
                return Err(Error::invalid("validation images", expected, size));
            }
        };
        let mut held_out = vec![false; images.len()];
        for (class, quota) in quotas(&counts, size).into_iter().enumerate() {
            let mut random = stream(self.seed, Purpose::Holdout, class as u64);
            for &mut i in members[class].partial_shuffle(&mut random, quota).0 {
                held_out[i] = true;
            }
        }
        let (validation, train): (Vec<_>, Vec<_>) = (0..images.len()).partition(|&i| held_out[i]);
        Ok((images.subset(&train), images.subset(&validation)))
    }
}

/// Shares `size` among classes in proportion to their `counts`, whole images going to the largest
/// remainders; no class gives its last image. Needs `size ≤ Σ (count − 1)` over the classes with
/// images.
fn quotas(counts: &[usize], size: usize) -> Vec<usize> {
    let total = counts.iter().sum::<usize>().max(1) as u128;
    let exact = |class: usize| size as u128 * counts[class] as u128;
    let mut quotas: Vec<usize> =
        (0..counts.len()).map(|class| (exact(class) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(exact(class) % total));
    let mut left = size - quotas.iter().sum::<usize>();
    while left > 0 {
        for &class in &by_remainder {
            if left > 0 && quotas[class] + 1 < counts[class] {
                quotas[class] += 1;
                left -= 1;
            }
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ImageShape;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 1, width: 2 };

    /// Image `i` holds `i` as its two bytes.
    fn images(labels: Vec<u32>) -> LabeledImages {
        let pixels = (0..labels.len()).flat_map(|i| (i as u16).to_be_bytes()).collect();
        LabeledImages::new(SHAPE, pixels, labels).unwrap()
    }

    #[test]
    fn the_usual_size_is_a_tenth_up_to_5000() {
        for (total, expected) in [(40, 4), (50_000, 5_000), (60_000, 5_000), (10, 0)] {
            let images = images((0..total).map(|i| i % 10).collect());
            let (train, validation) = Holdout::default().cut(&images, 10).unwrap();
            assert_eq!((train.len(), validation.len()), (total as usize - expected, expected));
        }
    }

    #[test]
    fn the_last_image_of_a_class_stays() {
        let three = images(vec![0, 0, 1]);
        let holdout = |images| Holdout { images: Some(images), seed: 0 };
        assert_eq!(holdout(1).cut(&three, 2).unwrap().1.labels(), [0]);
        let message = holdout(2).cut(&three, 2).unwrap_err().to_string();
        assert!(message.contains("at most 1"), "{message}");
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_stratified(
            labels in prop::collection::vec(0u32..5, 1..300),
            share in 0.0..1.0,
            seed: u64,
        ) {
            let images = images(labels);
            let count = |part: &LabeledImages, class| {
                part.labels().iter().filter(|&&label| label == class).count()
            };
            let spare: usize = (0..5).map(|class| count(&images, class).saturating_sub(1)).sum();
            let size = (share * spare as f64) as usize;
            let holdout = Holdout { images: Some(size), seed };
            let (train, validation) = holdout.cut(&images, 5)?;
            prop_assert_eq!(validation.len(), size);
            let mut all: Vec<_> = [&train, &validation]
                .iter()
                .flat_map(|part| part.pixels().chunks(2).zip(part.labels()))
                .collect();
            all.sort();
            prop_assert!(all.into_iter().eq(images.pixels().chunks(2).zip(images.labels())));
            for class in 0..5 {
                let (of_train, of_all) = (count(&train, class), count(&images, class));
                prop_assert_eq!(of_train > 0, of_all > 0);
            }
            let again = holdout.cut(&images, 5)?;
            prop_assert_eq!((train, validation), again);
        }

        #[test]
        fn quotas_stay_within_one_of_the_proportion_where_every_class_has_room(
            counts in prop::collection::vec(20usize..200, 2..12),
            share in 0.0..0.5,
        ) {
            let total: usize = counts.iter().sum();
            let size = (share * total as f64) as usize;
            for (count, quota) in counts.iter().zip(quotas(&counts, size)) {
                let exact = size as f64 * *count as f64 / total as f64;
                prop_assert!((quota as f64 - exact).abs() < 1.);
            }
        }
    }
}
