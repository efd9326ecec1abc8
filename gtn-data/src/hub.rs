//! Data sets downloaded through `candle-datasets`, which keeps them in its own cache.

use candle_core::{DType, Tensor};
use candle_datasets::vision;

use crate::{
    Dataset, Error, Format, Holdout, ImageShape, LabeledImages, Result,
    formats::{Parts, cifar},
};

/// A data set that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// Handwritten digits, 28×28 gray.
    Mnist,
    /// Articles of clothing, 28×28 gray (Xiao, Rasul & Vollgraf, arXiv 1708.07747).
    FashionMnist,
    /// Animals and vehicles, 32×32 color.
    Cifar10,
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];
const MNIST_SHAPE: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

impl Hosted {
    /// Every set on offer.
    pub const ALL: [Self; 3] = [Self::Mnist, Self::FashionMnist, Self::Cifar10];

    /// The name of the set, as for a command line: "mnist", "fashion-mnist", "cifar-10".
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar-10",
        }
    }

    fn classes(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => DIGITS,
            Self::FashionMnist => CLOTHES,
            Self::Cifar10 => cifar::CLASSES,
        }
    }

    fn fetch(self) -> candle_core::Result<vision::Dataset> {
        match self {
            Self::Mnist => vision::mnist::load(),
            Self::FashionMnist => vision::fashion_mnist::load(),
            Self::Cifar10 => vision::cifar::load(),
        }
    }

    /// Tensors as `candle-datasets` gives them, floats in 0..1 and class numbers, to bytes.
    fn part(self, images: &Tensor, labels: &Tensor) -> Result<LabeledImages> {
        let (shape, images) = match self {
            Self::Mnist | Self::FashionMnist => (MNIST_SHAPE, images.clone()),
            // candle-datasets 0.11 delivers its CIFAR-10 download as (N, C, W, H).
            Self::Cifar10 => (cifar::SHAPE, images.transpose(2, 3)?),
        };
        let pixels = (images * 255.)?.round()?.to_dtype(DType::U8)?.flatten_all()?.to_vec1()?;
        let labels = labels.to_dtype(DType::U32)?.to_vec1()?;
        LabeledImages::new(shape, pixels, labels)
    }
}

/// Downloads `set`, or takes it from the cache of an earlier download, and cuts off a validation
/// split.
///
/// # Errors
///
/// [`Error::Download`] if the network or the files fail; [`Error::Invalid`] if `holdout` asks for
/// more images than there are.
pub fn download(set: Hosted, holdout: Holdout) -> Result<Dataset> {
    let name = set.name();
    let fetched = set.fetch().map_err(|source| Error::Download { name, source })?;
    let parts = Parts {
        classes: set.classes().map(str::to_owned).to_vec(),
        train: set.part(&fetched.train_images, &fetched.train_labels)?,
        test: set.part(&fetched.test_images, &fetched.test_labels)?,
        jpeg: false,
    };
    Dataset::cut(name.to_owned(), Format::Hub, parts, holdout)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn floats_become_the_bytes_they_came_from() -> Result<()> {
        let bytes: Vec<u8> = (0..2 * MNIST_SHAPE.size()).map(|i| i as u8).collect();
        let tensor = Tensor::from_slice(&bytes, (2, MNIST_SHAPE.size()), &Device::Cpu)?;
        let images = (tensor.to_dtype(DType::F32)? / 255.)?;
        let labels = Tensor::new(&[3u8, 9], &Device::Cpu)?;
        let part = Hosted::Mnist.part(&images, &labels)?;
        assert_eq!((part.pixels(), part.labels()), (&bytes[..], &[3, 9][..]));
        Ok(())
    }

    #[test]
    fn cifar_images_stand_upright() -> Result<()> {
        let ImageShape { channels, height, width } = cifar::SHAPE;
        let bytes: Vec<u8> = (0..cifar::SHAPE.size()).map(|i| (i / 7) as u8).collect();
        let upright = Tensor::from_slice(&bytes, (1, channels, height, width), &Device::Cpu)?;
        let lying = (upright.to_dtype(DType::F32)?.transpose(2, 3)?.contiguous()? / 255.)?;
        let part = Hosted::Cifar10.part(&lying, &Tensor::new(&[3u8], &Device::Cpu)?)?;
        assert_eq!(part.pixels(), bytes);
        Ok(())
    }
}
