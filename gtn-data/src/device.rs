use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::{Augment, Error, ImageShape, LabeledImages, Normalization, Result, Sampler};

/// Images and labels ready for a network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Normalized images, `(B, C, H, W)`.
    pub images: Tensor,
    /// Classes as `u32`, `(B,)`.
    pub labels: Tensor,
}

/// A split that lives on a device as bytes, and gives normalized batches there.
///
/// Clones share the device's memory.
#[derive(Clone, Debug)]
pub struct DeviceSplit {
    /// `(N, C·H·W)`, `u8`.
    pixels: Tensor,
    /// `(N,)`, `u32`.
    labels: Tensor,
    shape: ImageShape,
    normalization: Arc<Normalization>,
    dtype: DType,
}

impl DeviceSplit {
    pub(crate) fn new(
        images: &LabeledImages,
        normalization: Arc<Normalization>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        if !dtype.is_float() {
            return Err(Error::invalid(
                "element type of batches",
                "a floating-point type",
                dtype.as_str(),
            ));
        }
        if images.is_empty() {
            return Err(Error::invalid(
                "images of a split to put on a device",
                "at least 1",
                "none",
            ));
        }
        let shape = images.shape();
        Ok(Self {
            pixels: Tensor::from_slice(images.pixels(), (images.len(), shape.size()), device)?,
            labels: Tensor::from_slice(images.labels(), images.len(), device)?,
            shape,
            normalization,
            dtype,
        })
    }

    /// The number of images, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a split without images stays off the device")]
    pub fn len(&self) -> usize {
        self.labels.elem_count()
    }

    /// The shape of each image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The images at `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `indices` is empty or one of them is past the end.
    pub fn gather(&self, indices: &[u32]) -> Result<Batch> {
        let (pixels, labels) = self.select(indices)?;
        self.batch(pixels, labels)
    }

    /// An endless stream of shuffled batches of `batch_size` images, see [`Sampler`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `batch_size` is zero.
    pub fn shuffled(&self, batch_size: usize, seed: u64) -> Result<Shuffled> {
        let sampler = Sampler::new(self.len(), batch_size, seed)?;
        Ok(Shuffled { split: self.clone(), sampler, augment: Augment::default(), seed })
    }

    /// One pass over all images in order; the last batch may be smaller.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `batch_size` is zero.
    pub fn sequential(&self, batch_size: usize) -> Result<Sequential<'_>> {
        if batch_size == 0 {
            return Err(Error::invalid("batch size", "at least 1", batch_size));
        }
        Ok(Sequential { split: self, batch_size, start: 0 })
    }

    /// Bytes `(B, C·H·W)` and labels `(B,)` at `indices`.
    fn select(&self, indices: &[u32]) -> Result<(Tensor, Tensor)> {
        if indices.is_empty() {
            return Err(Error::invalid("indices of a batch", "at least one", "none"));
        }
        if let Some(past) = indices.iter().find(|&&i| i as usize >= self.len()) {
            return Err(Error::invalid(
                "index of an image",
                format!("less than {}", self.len()),
                past,
            ));
        }
        let indices = Tensor::from_slice(indices, indices.len(), self.pixels.device())?;
        Ok((self.pixels.index_select(&indices, 0)?, self.labels.index_select(&indices, 0)?))
    }

    fn batch(&self, pixels: Tensor, labels: Tensor) -> Result<Batch> {
        let ImageShape { channels, height, width } = self.shape;
        let pixels = pixels.reshape(((), channels, height, width))?;
        Ok(Batch { images: self.normalization.normalize(&pixels, self.dtype)?, labels })
    }
}

/// An endless stream of shuffled, possibly augmented batches. Batch number `i` is a pure function
/// of the seed and `i`.
#[derive(Clone, Debug)]
pub struct Shuffled {
    split: DeviceSplit,
    sampler: Sampler,
    augment: Augment,
    seed: u64,
}

impl Shuffled {
    /// The same stream, with `augment` applied to every image.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the padding or the hidden square is not smaller than the image.
    pub fn augmented(self, augment: Augment) -> Result<Self> {
        augment.check(self.split.shape)?;
        Ok(Self { augment, ..self })
    }

    /// Batch number `i`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the device fails.
    pub fn batch(&self, i: u64) -> Result<Batch> {
        let (pixels, labels) = self.split.select(&self.sampler.batch(i))?;
        let pixels = self.augment.apply(pixels, self.split.shape, self.seed, i)?;
        self.split.batch(pixels, labels)
    }
}

/// One pass over a split in order, see [`DeviceSplit::sequential`].
#[derive(Clone, Debug)]
pub struct Sequential<'a> {
    split: &'a DeviceSplit,
    batch_size: usize,
    start: usize,
}

impl Iterator for Sequential<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let DeviceSplit { pixels, labels, .. } = self.split;
        let len = self.batch_size.min(self.split.len() - self.start);
        if len == 0 {
            return None;
        }
        let start = self.start;
        self.start += len;
        let rows = pixels
            .narrow(0, start, len)
            .and_then(|pixels| Ok((pixels, labels.narrow(0, start, len)?)));
        Some(
            rows.map_err(Error::from).and_then(|(pixels, labels)| self.split.batch(pixels, labels)),
        )
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.split.len() - self.start).div_ceil(self.batch_size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Sequential<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Holdout};

    const SHAPE: ImageShape = ImageShape { channels: 3, height: 4, width: 5 };

    /// 10 training and 4 test images of random-looking bytes; image `i` is of class `i % 3`.
    fn dataset() -> Dataset {
        let part = |count: usize| {
            let pixels = (0..count * SHAPE.size()).map(|i| (i * i % 251) as u8).collect();
            LabeledImages::new(SHAPE, pixels, (0..count as u32).map(|i| i % 3).collect()).unwrap()
        };
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let none = Holdout { images: Some(0), seed: 0 };
        Dataset::new("test", classes, part(10), part(4), none).unwrap()
    }

    fn train(dtype: DType) -> DeviceSplit {
        dataset().train().to_device(&Device::Cpu, dtype).unwrap()
    }

    /// The bytes and the labels of a batch.
    fn contents(batch: &Batch) -> (Vec<u8>, Vec<u32>) {
        let bytes = dataset().normalization().denormalize(&batch.images).unwrap();
        (bytes.flatten_all().unwrap().to_vec1().unwrap(), batch.labels.to_vec1().unwrap())
    }

    #[test]
    fn batches_hold_the_images_asked_for() {
        for dtype in [DType::F32, DType::F64] {
            let batch = train(dtype).gather(&[7, 0, 7]).unwrap();
            assert_eq!((batch.images.dims(), batch.images.dtype()), (&[3, 3, 4, 5][..], dtype));
            assert_eq!((batch.labels.dims(), batch.labels.dtype()), (&[3][..], DType::U32));
            let dataset = dataset();
            let image = |i| dataset.train().image(i).unwrap();
            assert_eq!(contents(&batch), ([image(7), image(0), image(7)].concat(), vec![1, 0, 1]));
        }
    }

    #[test]
    fn impossible_batches_are_refused() {
        let split = train(DType::F32);
        for error in [
            split.gather(&[10]).unwrap_err(),
            split.gather(&[]).unwrap_err(),
            split.shuffled(0, 0).unwrap_err(),
            split.sequential(0).unwrap_err(),
            dataset().train().to_device(&Device::Cpu, DType::U8).unwrap_err(),
            dataset().validation().to_device(&Device::Cpu, DType::F32).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
    }

    #[test]
    fn one_pass_meets_every_image_in_order() {
        let split = train(DType::F32);
        for (size, sizes) in [(4, vec![4, 4, 2]), (5, vec![5, 5]), (10, vec![10]), (99, vec![10])] {
            let batches = split.sequential(size).unwrap();
            assert_eq!(batches.len(), sizes.len());
            let batches: Vec<_> = batches.map(|batch| contents(&batch.unwrap())).collect();
            assert!(batches.iter().map(|(_, labels)| labels.len()).eq(sizes));
            let (pixels, labels): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
            assert_eq!(pixels.concat(), dataset().train().pixels());
            assert_eq!(labels.concat(), dataset().train().labels());
        }
    }

    #[test]
    fn shuffled_batches_follow_the_sampler() {
        let split = train(DType::F32);
        let batches = split.shuffled(4, 9).unwrap();
        let sampler = Sampler::new(10, 4, 9).unwrap();
        for i in [0, 2, 1_000_000] {
            let expected = split.gather(&sampler.batch(i)).unwrap();
            assert_eq!(contents(&batches.batch(i).unwrap()), contents(&expected));
        }
    }

    #[test]
    fn augmented_batches_keep_their_labels_and_repeat_exactly() {
        let plain = train(DType::F32).shuffled(8, 9).unwrap();
        let augmented = plain.clone().augmented(Augment { pad: 1, flip: true, cutout: 0 }).unwrap();
        let (pixels, labels) = contents(&augmented.batch(3).unwrap());
        assert_eq!(labels, contents(&plain.batch(3).unwrap()).1);
        assert_ne!(pixels, contents(&plain.batch(3).unwrap()).0);
        assert_eq!(pixels, contents(&augmented.batch(3).unwrap()).0);
        assert!(plain.augmented(Augment { pad: 4, flip: true, cutout: 0 }).is_err());
    }
}
