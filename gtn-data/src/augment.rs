use candle_core::Tensor;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    Error, ImageShape, Result,
    random::{Purpose, stream},
};

/// Random crops, flips and holes, drawn for each image alone.
///
/// The image is padded by `pad` black pixels on each side and cropped back to its size at a random
/// place; with `flip`, every other image on average is mirrored left to right. Padding 4 and flips
/// are customary for CIFAR-10. With `cutout`, a black square of that side is laid over each, around a
/// pixel drawn at random, so that part of it may be outside (Cutout: DeVries & Taylor, arXiv 1708.04552).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Black pixels added on each side before the crop, less than the image's shorter side; 0 for no crop.
    pub pad: usize,
    /// Whether to mirror images left to right with probability ½.
    pub flip: bool,
    /// Side of the black square, less than the image's shorter side; 0 for none.
    pub cutout: usize,
}

impl Augment {
    pub(crate) fn check(&self, shape: ImageShape) -> Result<()> {
        let limit = shape.height.min(shape.width);
        for (what, size) in [("pad", self.pad), ("cutout", self.cutout)] {
            if size >= limit {
                let expected = format!("less than {limit}, the image's shorter side");
                return Err(Error::invalid(what, expected, size));
            }
        }
        Ok(())
    }

    /// The augmented form of a batch of bytes `(B, C·H·W)`, a pure function of `seed` and `number`.
    pub(crate) fn apply(
        &self,
        pixels: Tensor,
        shape: ImageShape,
        seed: u64,
        number: u64,
    ) -> Result<Tensor> {
        if *self == Self::default() {
            return Ok(pixels);
        }
        let ImageShape { channels, height, width } = shape;
        let (batch, size) = pixels.dims2()?;
        // Only these come from the host: which row and which column of the image each of the view's shows.
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        let (mut hidden_rows, mut hidden_columns) = (Vec::new(), Vec::new());
        // Images get a black row and a black column at their ends. Their common corner has the largest index.
        let (stride, corner) = (width + 1, (height + 1) * (width + 1) - 1);
        let inside = |padded: usize, size| padded.checked_sub(self.pad).filter(|&at| at < size);
        let hidden = |at: usize, around: usize| {
            let within = (at + self.cutout / 2).checked_sub(around);
            if within.is_some_and(|within| within < self.cutout) { corner as u32 } else { 0 }
        };
        let mut random = stream(seed, Purpose::Augment, number);
        for _ in 0..batch {
            let down = random.random_range(0..=2 * self.pad);
            let right = random.random_range(0..=2 * self.pad);
            let mirrored = random.random_bool(0.5) && self.flip;
            rows.extend((0..height).map(|y| {
                let row = inside(y + down, height).unwrap_or(height);
                (row * stride) as u32
            }));
            columns.extend((0..width).map(|x| {
                let x = if mirrored { width - 1 - x } else { x };
                inside(x + right, width).unwrap_or(width) as u32
            }));
            if self.cutout > 0 {
                let row = random.random_range(0..height);
                let column = random.random_range(0..width);
                hidden_rows.extend((0..height).map(|y| hidden(y, row)));
                hidden_columns.extend((0..width).map(|x| hidden(x, column)));
            }
        }
        let device = pixels.device();
        let by_row = |values: Vec<u32>| Tensor::from_vec(values, (batch, height, 1), device);
        let by_column = |values: Vec<u32>| Tensor::from_vec(values, (batch, 1, width), device);
        let mut source = by_row(rows)?.broadcast_add(&by_column(columns)?)?;
        if self.cutout > 0 {
            let hole = by_row(hidden_rows)?.broadcast_minimum(&by_column(hidden_columns)?)?;
            source = source.maximum(&hole)?;
        }
        // All channels of an image move together, so one plane of indices serves them all.
        let planes = (batch, channels, height * width);
        let source = source.reshape((batch, 1, height * width))?.broadcast_as(planes)?;
        let framed = pixels.reshape((batch, channels, height, width))?;
        let framed = framed.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
        let framed = framed.reshape((batch, channels, corner + 1))?;
        Ok(framed.gather(&source.contiguous()?, 2)?.reshape((batch, size))?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 2, height: 3, width: 4 };

    /// `count` images whose pixels all differ from each other and from black.
    fn images(count: usize) -> Vec<u8> {
        (0..count * SHAPE.size()).map(|i| (i % 255) as u8 + 1).collect()
    }

    fn apply(augment: Augment, count: usize, seed: u64, number: u64) -> Vec<Vec<u8>> {
        let pixels = Tensor::from_vec(images(count), (count, SHAPE.size()), &Device::Cpu).unwrap();
        augment.apply(pixels, SHAPE, seed, number).unwrap().to_vec2().unwrap()
    }

    /// The same image by padding, cropping and mirroring for real.
    fn by_hand(image: &[u8], pad: usize, down: usize, right: usize, mirrored: bool) -> Vec<u8> {
        let ImageShape { channels, height, width } = SHAPE;
        let padded_width = width + 2 * pad;
        let mut out = vec![];
        for channel in 0..channels {
            let mut padded = vec![0; (height + 2 * pad) * padded_width];
            for y in 0..height {
                for x in 0..width {
                    padded[(y + pad) * padded_width + x + pad] =
                        image[(channel * height + y) * width + x];
                }
            }
            for y in 0..height {
                let start = (y + down) * padded_width + right;
                let mut row = padded[start..start + width].to_vec();
                if mirrored {
                    row.reverse();
                }
                out.extend(row);
            }
        }
        out
    }

    #[test]
    fn nothing_asked_nothing_changed() {
        assert_eq!(apply(Augment::default(), 5, 1, 2).concat(), images(5));
    }

    #[test]
    fn every_crop_and_flip_occurs_and_nothing_else() {
        let (pad, count) = (2, 2_000);
        let augment = Augment { pad, flip: true, cutout: 0 };
        let mut seen = std::collections::HashSet::new();
        for (image, view) in images(count).chunks(SHAPE.size()).zip(apply(augment, count, 3, 4)) {
            let found = (0..50)
                .find(|&way| by_hand(image, pad, way / 2 % 5, way / 10, way % 2 == 1) == view);
            seen.insert(found.expect("a view that no crop and flip explains"));
        }
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn holes_are_squares_anywhere() {
        let cutout = 2;
        let augment = Augment { cutout, ..Augment::default() };
        let ImageShape { height, width, .. } = SHAPE;
        let by_hand = |image: &[u8], row: usize, column: usize| {
            let mut image = image.to_vec();
            for (at, pixel) in image.iter_mut().enumerate() {
                let (y, x) = (at / width % height, at % width);
                if (y + 1 == row || y == row) && (x + 1 == column || x == column) {
                    *pixel = 0;
                }
            }
            image
        };
        let count = 1_000;
        let mut seen = std::collections::HashSet::new();
        for (image, view) in images(count).chunks(SHAPE.size()).zip(apply(augment, count, 5, 6)) {
            let mut places = (0..height * width).map(|at| (at / width, at % width));
            let found = places.find(|&(y, x)| by_hand(image, y, x) == view);
            seen.insert(found.expect("a view that no hole explains"));
        }
        assert_eq!(seen.len(), height * width);
    }

    #[test]
    fn the_number_of_the_batch_decides() {
        let augment = Augment { pad: 1, flip: true, cutout: 2 };
        assert_eq!(apply(augment, 9, 1, 2), apply(augment, 9, 1, 2));
        assert_ne!(apply(augment, 9, 1, 2), apply(augment, 9, 1, 3));
        assert_ne!(apply(augment, 9, 1, 2), apply(augment, 9, 2, 2));
    }

    #[test]
    fn some_image_must_be_left() {
        assert!(Augment { pad: 2, flip: true, cutout: 2 }.check(SHAPE).is_ok());
        for size in [3, usize::MAX] {
            for (augment, what) in [
                (Augment { pad: size, ..Augment::default() }, "pad: expected less than 3"),
                (Augment { cutout: size, ..Augment::default() }, "cutout: expected less than 3"),
            ] {
                let message = augment.check(SHAPE).unwrap_err().to_string();
                assert!(message.contains(what), "{message}");
            }
        }
    }

    proptest! {
        #[test]
        fn flips_alone_mirror_or_keep(seed: u64, number: u64) {
            let views = apply(Augment { flip: true, ..Augment::default() }, 4, seed, number);
            for (image, view) in images(4).chunks(SHAPE.size()).zip(views) {
                prop_assert!(view == image || view == by_hand(image, 0, 0, 0, true));
            }
        }
    }
}
