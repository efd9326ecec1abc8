use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, LabeledImages, Result};

/// The mean and standard deviation of each channel, on pixels scaled to 0..1.
///
/// A normalized pixel is `(byte / 255 − mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Normalization {
    /// Measures `images`. A channel without any variation gets the standard deviation 1, so that
    /// normalizing stays finite.
    pub fn measure(images: &LabeledImages) -> Self {
        let shape = images.shape();
        // Counts of byte values: sums of integers do not depend on any order.
        let mut counts = vec![[0u64; 256]; shape.channels];
        for (i, plane) in images.pixels().chunks_exact(shape.plane()).enumerate() {
            let counts = &mut counts[i % shape.channels];
            for &byte in plane {
                counts[byte as usize] += 1;
            }
        }
        let (mean, std) = counts.iter().map(mean_and_std).unzip();
        Self { mean, std }
    }

    /// The mean of each channel, `(C,)`, in 0..1.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviation of each channel, `(C,)`, positive.
    pub fn std(&self) -> &[f64] {
        &self.std
    }

    /// Bytes `(B, C, H, W)` to normalized numbers of type `dtype`, on the same device.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there are not `C` channels, [`Error::Tensor`] if the device fails.
    pub fn normalize(&self, bytes: &Tensor, dtype: DType) -> Result<Tensor> {
        let scales = self.std.iter().map(|std| 1. / (255. * std)).collect();
        let shifts = self.mean.iter().zip(&self.std).map(|(mean, std)| -mean / std).collect();
        self.affine(&bytes.to_dtype(dtype)?, scales, shifts)
    }

    /// Normalized images `(B, C, H, W)` back to bytes, rounded and clamped to 0..255.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there are not `C` channels, [`Error::Tensor`] if the device fails.
    pub fn denormalize(&self, images: &Tensor) -> Result<Tensor> {
        let scales = self.std.iter().map(|std| 255. * std).collect();
        let shifts = self.mean.iter().map(|mean| 255. * mean).collect();
        let pixels = self.affine(images, scales, shifts)?;
        Ok(pixels.round()?.clamp(0f32, 255f32)?.to_dtype(DType::U8)?)
    }

    /// `images · scale + shift`, channel by channel.
    fn affine(&self, images: &Tensor, scales: Vec<f64>, shifts: Vec<f64>) -> Result<Tensor> {
        let channels = images.dims4()?.1;
        if channels != self.mean.len() {
            let expected = format!("{} as measured", self.mean.len());
            return Err(Error::invalid("channels of the images", expected, channels));
        }
        if let ([scale], [shift]) = (&scales[..], &shifts[..]) {
            return Ok(images.affine(*scale, *shift)?);
        }
        let per_channel = |values: Vec<f64>| {
            Tensor::from_vec(values, (channels, 1, 1), &Device::Cpu)?
                .to_dtype(images.dtype())?
                .to_device(images.device())
        };
        Ok(images.broadcast_mul(&per_channel(scales)?)?.broadcast_add(&per_channel(shifts)?)?)
    }
}

/// Of bytes that occur `counts` times, scaled to 0..1. The mean of nothing is 0.
fn mean_and_std(counts: &[u64; 256]) -> (f64, f64) {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let average = |of: &dyn Fn(f64) -> f64| {
        let terms = counts.iter().enumerate().map(|(byte, &n)| n as f64 * of(byte as f64));
        terms.sum::<f64>() / total
    };
    let mean = average(&|byte| byte);
    let std = average(&|byte| (byte - mean).powi(2)).sqrt();
    (mean / 255., if std > 0. { std / 255. } else { 1. })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ImageShape;

    fn images(channels: usize, pixels: Vec<u8>) -> LabeledImages {
        let shape = ImageShape { channels, height: 1, width: 2 };
        let labels = vec![0; pixels.len() / shape.size()];
        LabeledImages::new(shape, pixels, labels).unwrap()
    }

    #[test]
    fn channels_are_measured_apart() {
        let measured = Normalization::measure(&images(2, vec![0, 255, 7, 7, 0, 255, 7, 7]));
        assert_eq!(measured.mean(), [0.5, 7. / 255.]);
        assert_eq!(measured.std(), [0.5, 1.]);
    }

    #[test]
    fn a_wrong_number_of_channels_is_refused() {
        let measured = Normalization::measure(&images(2, vec![0, 255, 7, 9]));
        let one = Tensor::zeros((1, 1, 1, 2), DType::U8, &Device::Cpu).unwrap();
        assert!(matches!(measured.normalize(&one, DType::F32), Err(Error::Invalid { .. })));
        assert!(matches!(measured.denormalize(&one), Err(Error::Invalid { .. })));
    }

    proptest! {
        #[test]
        fn normalized_images_have_mean_0_and_deviation_1(
            channels in 1usize..4,
            bytes in prop::collection::vec(any::<u8>(), 24..200),
        ) {
            let bytes = bytes[..bytes.len() / (2 * channels) * 2 * channels].to_vec();
            let images = images(channels, bytes.clone());
            let measured = Normalization::measure(&images);
            let tensor = Tensor::from_vec(bytes, (images.len(), channels, 1, 2), &Device::Cpu)?;
            let normalized = measured.normalize(&tensor, DType::F64)?;
            for channel in 0..channels {
                let plane = normalized.narrow(1, channel, 1)?;
                let mean = plane.mean_all()?.to_scalar::<f64>()?;
                let variance = plane.sqr()?.mean_all()?.to_scalar::<f64>()?;
                prop_assert!(mean.abs() < 1e-9, "mean {mean}");
                let constant = variance < 1e-9;
                prop_assert!(constant || (variance - 1.).abs() < 1e-9, "variance {variance}");
            }
            for dtype in [DType::F32, DType::F64] {
                let back = measured.denormalize(&measured.normalize(&tensor, dtype)?)?;
                prop_assert_eq!(back.flatten_all()?.to_vec1::<u8>()?, images.pixels());
            }
        }
    }
}
