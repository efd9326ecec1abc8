use std::{ops::Deref, sync::Arc};

use candle_core::{DType, Device};
use serde::Serialize;

use crate::{
    DeviceSplit, Error, Holdout, ImageShape, LabeledImages, Normalization, Result, Summary,
    formats::Parts,
};

/// Where a data set came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// MNIST-style idx files, plain or gzipped.
    Idx,
    /// CIFAR-10, binary version.
    CifarBinary,
    /// CIFAR-10, Python version.
    CifarPython,
    /// An image folder `train/CLASS/*`, `test/CLASS/*`.
    ImageFolder,
    /// The built-in procedural digits.
    Digits,
    /// A download through `candle-datasets`.
    Hub,
    /// Images handed over in memory.
    Memory,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Idx => "idx files",
            Self::CifarBinary => "CIFAR-10, binary version",
            Self::CifarPython => "CIFAR-10, Python version",
            Self::ImageFolder => "image folder",
            Self::Digits => "built-in digits",
            Self::Hub => "download",
            Self::Memory => "images in memory",
        })
    }
}

/// One part of a [`Dataset`]: [`LabeledImages`] that know the normalization of the set they belong
/// to.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<LabeledImages>,
    normalization: Arc<Normalization>,
}

impl Split {
    /// Copies the split to `device` as bytes; batches come out normalized as `dtype`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `dtype` is no floating-point type or the split is empty,
    /// [`Error::Tensor`] if the device fails, for want of memory for instance.
    pub fn to_device(&self, device: &Device, dtype: DType) -> Result<DeviceSplit> {
        DeviceSplit::new(&self.images, Arc::clone(&self.normalization), device, dtype)
    }
}

impl Split {
    /// At most `limit` of the images, in their order: of each class the same share, spread evenly over it, whatever the
    /// order of classes.
    ///
    /// ```
    /// let sizes = gtn_data::digits::Sizes { train: 100, validation: 20, test: 20 };
    /// let digits = gtn_data::digits::generate(sizes, 7)?;
    /// let thinned = digits.train().thinned(30);
    /// assert_eq!((thinned.len(), thinned.labels().iter().filter(|label| **label == 3).count()), (30, 3));
    /// assert_eq!(digits.train().thinned(300).len(), 100);
    /// # Ok::<(), gtn_data::Error>(())
    /// ```
    #[must_use]
    pub fn thinned(&self, limit: usize) -> Self {
        let count = self.len().min(limit);
        // A stride over the split itself could meet a part of the classes only, where these take turns.
        let mut by_class: Vec<usize> = (0..self.len()).collect();
        by_class.sort_by_key(|&index| self.labels()[index]);
        let mut indices: Vec<usize> =
            (0..count).map(|i| by_class[i * self.len() / count]).collect();
        indices.sort_unstable();
        let images = Arc::new(self.images.subset(&indices));
        Self { images, normalization: Arc::clone(&self.normalization) }
    }
}

impl Deref for Split {
    type Target = LabeledImages;

    fn deref(&self) -> &LabeledImages {
        &self.images
    }
}

/// A set of labeled images in three splits.
///
/// All splits share image shape, classes and normalization. The training and the test split hold at
/// least one image each; the validation split may be empty if so asked.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    format: Format,
    jpeg: bool,
    classes: Vec<String>,
    train: Split,
    validation: Split,
    test: Split,
}

impl Dataset {
    /// A data set from images in memory; the validation split is cut from `train` as `holdout`
    /// says.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there are fewer than two classes, if a split is empty, if the shapes
    /// differ, if a label reaches the number of classes, or if `holdout` asks for more images than
    /// `train` can spare.
    pub fn new(
        name: impl Into<String>,
        classes: Vec<String>,
        train: LabeledImages,
        test: LabeledImages,
        holdout: Holdout,
    ) -> Result<Self> {
        Self::cut(name.into(), Format::Memory, Parts { classes, train, test, jpeg: false }, holdout)
    }

    pub(crate) fn cut(
        name: String,
        format: Format,
        Parts { classes, train, test, jpeg }: Parts,
        holdout: Holdout,
    ) -> Result<Self> {
        check_part("training images", &train, &classes)?;
        let (train, validation) = holdout.cut(&train, classes.len())?;
        let dataset = Self::from_splits(name, format, classes, [train, validation, test])?;
        Ok(Self { jpeg, ..dataset })
    }

    /// A data set whose training, validation and test images are already apart.
    pub(crate) fn from_splits(
        name: String,
        format: Format,
        classes: Vec<String>,
        [train, validation, test]: [LabeledImages; 3],
    ) -> Result<Self> {
        if classes.len() < 2 {
            return Err(Error::invalid("classes", "at least 2", classes.len()));
        }
        check_part("training images", &train, &classes)?;
        check_part("test images", &test, &classes)?;
        check_labels("validation images", &validation, &classes)?;
        for images in [&train, &validation, &test] {
            if images.shape() != train.shape() {
                let expected = format!("{} as in training", train.shape());
                return Err(Error::invalid("image shape", expected, images.shape()));
            }
        }
        let normalization = Arc::new(Normalization::measure(&train));
        let split =
            |images| Split { images: Arc::new(images), normalization: Arc::clone(&normalization) };
        Ok(Self {
            name,
            format,
            jpeg: false,
            classes,
            train: split(train),
            validation: split(validation),
            test: split(test),
        })
    }

    /// The name: the folder's, or that of the built-in or downloaded set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the images came from.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether an image, of whatever split, was stored as JPEG, whose pixels are not those that were encoded.
    pub fn holds_jpeg(&self) -> bool {
        self.jpeg
    }

    /// The names of the classes; label `k` means `classes()[k]`.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The shape of every image.
    pub fn shape(&self) -> ImageShape {
        self.train.shape()
    }

    /// Mean and standard deviation of the training split.
    pub fn normalization(&self) -> &Normalization {
        &self.train.normalization
    }

    /// The images to learn from.
    pub fn train(&self) -> &Split {
        &self.train
    }

    /// The images to choose by: cut from the training part, and possibly empty.
    pub fn validation(&self) -> &Split {
        &self.validation
    }

    /// The images to report on.
    pub fn test(&self) -> &Split {
        &self.test
    }

    /// What there is to know about the set without looking at a pixel.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}

fn check_part(what: &'static str, images: &LabeledImages, classes: &[String]) -> Result<()> {
    if images.is_empty() {
        return Err(Error::invalid(what, "at least 1", "none"));
    }
    check_labels(what, images, classes)
}

fn check_labels(what: &'static str, images: &LabeledImages, classes: &[String]) -> Result<()> {
    match images.labels().iter().position(|&label| label as usize >= classes.len()) {
        None => Ok(()),
        Some(i) => {
            let expected = format!("labels less than {}, the number of classes", classes.len());
            let found = format!("{} at image {i}", images.labels()[i]);
            Err(Error::invalid(what, expected, found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 1, width: 1 };

    fn images(shape: ImageShape, labels: &[u32]) -> LabeledImages {
        LabeledImages::new(shape, vec![0; labels.len() * shape.size()], labels.to_vec()).unwrap()
    }

    fn new(classes: usize, train: LabeledImages, test: LabeledImages) -> Result<Dataset> {
        let classes = (0..classes).map(|class| class.to_string()).collect();
        Dataset::new("test", classes, train, test, Holdout { images: Some(1), seed: 0 })
    }

    #[test]
    fn splits_that_do_not_fit_together_are_refused() {
        let wide = ImageShape { width: 2, ..SHAPE };
        let good = || images(SHAPE, &[0, 1, 1]);
        for (dataset, expected) in [
            (new(1, images(SHAPE, &[0, 0]), images(SHAPE, &[0])), "classes: expected at least 2"),
            (new(2, images(SHAPE, &[]), good()), "training images: expected at least 1"),
            (new(2, good(), images(SHAPE, &[])), "test images: expected at least 1"),
            (new(2, images(SHAPE, &[0, 0, 2]), good()), "found 2 at image 2"),
            (new(2, good(), images(SHAPE, &[5])), "test images: expected labels less than 2"),
            (new(2, good(), images(wide, &[1])), "expected 1×1×1 as in training, found 1×1×2"),
        ] {
            let message = dataset.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_summary_counts_every_split() {
        let summary = new(3, images(SHAPE, &[0, 1, 1]), images(SHAPE, &[2, 2])).unwrap().summary();
        assert_eq!((summary.name.as_str(), summary.format), ("test", Format::Memory));
        assert_eq!(summary.train, crate::SplitSummary { images: 2, per_class: vec![1, 1, 0] });
        assert_eq!(summary.validation.per_class, [0, 1, 0]);
        assert_eq!(summary.test.per_class, [0, 0, 2]);
        assert_eq!((summary.mean, summary.std), (vec![0.], vec![1.]));
    }
}
