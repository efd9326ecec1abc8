use serde::Serialize;

use crate::{Dataset, Format, ImageShape, LabeledImages};

/// The facts of a [`Dataset`]: its origin, shape, classes, normalization and counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The name of the set.
    pub name: String,
    /// Where it came from.
    pub format: Format,
    /// The shape of every image.
    pub image: ImageShape,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The mean of each channel of the training split, in 0..1.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel of the training split, in 0..1.
    pub std: Vec<f64>,
    /// The training split.
    pub train: SplitSummary,
    /// The validation split.
    pub validation: SplitSummary,
    /// The test split.
    pub test: SplitSummary,
}

/// The counts of one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitSummary {
    /// The number of images.
    pub images: usize,
    /// The number of images of each class, in the order of [`Summary::classes`].
    pub per_class: Vec<usize>,
}

impl Summary {
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let classes = dataset.classes().len();
        Self {
            name: dataset.name().to_owned(),
            format: dataset.format(),
            image: dataset.shape(),
            classes: dataset.classes().to_vec(),
            mean: dataset.normalization().mean().to_vec(),
            std: dataset.normalization().std().to_vec(),
            train: SplitSummary::of(dataset.train(), classes),
            validation: SplitSummary::of(dataset.validation(), classes),
            test: SplitSummary::of(dataset.test(), classes),
        }
    }
}

impl SplitSummary {
    fn of(images: &LabeledImages, classes: usize) -> Self {
        let mut per_class = vec![0; classes];
        for &label in images.labels() {
            per_class[label as usize] += 1;
        }
        Self { images: images.len(), per_class }
    }
}
