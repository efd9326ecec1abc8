use serde::Serialize;

use crate::{Error, Result};

/// The shape of one image: channels, height, width, in this order, which is also the order in
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ImageShape {
    /// 1 for grayscale, 3 for red, green, blue.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl ImageShape {
    /// The number of pixels of one channel.
    pub fn plane(self) -> usize {
        self.height * self.width
    }

    /// The number of bytes of one image.
    pub fn size(self) -> usize {
        self.channels * self.plane()
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// 8-bit images `(N, C, H, W)` and their labels `(N,)`, checked to fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabeledImages {
    shape: ImageShape,
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl LabeledImages {
    /// Pairs `pixels`, all images one after the other in the order channel, row, column, with
    /// `labels`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the shape has a zero, if `pixels` is not exactly one image for each
    /// label, or if it reaches 4 GiB (device kernels address a split with 32 bits).
    pub fn new(shape: ImageShape, pixels: Vec<u8>, labels: Vec<u32>) -> Result<Self> {
        let total = Self::check_size(shape, labels.len())?;
        if pixels.len() != total {
            let expected = format!("{total} bytes ({} images of {shape})", labels.len());
            return Err(Error::invalid("pixels", expected, format!("{} bytes", pixels.len())));
        }
        Ok(Self { shape, pixels, labels })
    }

    /// The number of bytes of `count` images, if these make a split.
    pub(crate) fn check_size(shape: ImageShape, count: usize) -> Result<usize> {
        let sides = [shape.channels, shape.height, shape.width];
        let size = sides.iter().try_fold(1usize, |size, &side| size.checked_mul(side));
        let Some(size) = size.filter(|&size| size > 0) else {
            return Err(Error::invalid("image shape", "positive sizes", shape));
        };
        let total = size.checked_mul(count).filter(|&total| total < u32::MAX as usize);
        total.ok_or_else(|| {
            let found = format!("{count} images of {size} bytes");
            Error::invalid("images of a split", "less than 4 GiB of pixels", found)
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of each image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All pixels, `(N, C, H, W)`, 0 to 255.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `i`, `(C, H, W)`, or `None` past the end.
    pub fn image(&self, i: usize) -> Option<&[u8]> {
        self.pixels.chunks_exact(self.shape.size()).nth(i)
    }

    /// The class of each image, `(N,)`.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The images at `indices`, in that order.
    pub(crate) fn subset(&self, indices: &[usize]) -> Self {
        let size = self.shape.size();
        let mut pixels = Vec::with_capacity(indices.len() * size);
        for &i in indices {
            pixels.extend_from_slice(&self.pixels[i * size..(i + 1) * size]);
        }
        let labels = indices.iter().map(|&i| self.labels[i]).collect();
        Self { shape: self.shape, pixels, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_must_be_one_image_a_label() {
        let shape = ImageShape { channels: 3, height: 2, width: 2 };
        let images = LabeledImages::new(shape, (0..24).collect(), vec![4, 5]).unwrap();
        assert_eq!(images.image(1), Some(&(12..24).collect::<Vec<u8>>()[..]));
        assert_eq!(images.image(2), None);
        let message = LabeledImages::new(shape, vec![0; 23], vec![4, 5]).unwrap_err().to_string();
        assert!(message.contains("expected 24 bytes (2 images of 3×2×2), found 23"), "{message}");
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (height, width) in [(0, 1), (usize::MAX, 2), (1 << 16, 1 << 16)] {
            let shape = ImageShape { channels: 1, height, width };
            assert!(matches!(
                LabeledImages::new(shape, vec![], vec![0]),
                Err(Error::Invalid { .. })
            ));
        }
    }
}
