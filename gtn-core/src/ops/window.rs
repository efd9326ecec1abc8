//! Windows that slide over images: how far they go, and which pixels each output sees.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Pixels around an image on which a pooling window slides: a number or `"same"` in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// As many as it takes for an output at every stride-th pixel: with stride 1 the image keeps
    /// its size, whatever the window's. A window of odd side is centered on its pixel, one of
    /// even side reaches one pixel further down and right than up and left.
    Same,
    /// So many on each side, at most half the window.
    #[serde(untagged)]
    Each(usize),
}

impl Default for Padding {
    fn default() -> Self {
        Self::Each(0)
    }
}

/// Larger kernels, strides and paddings are slips of the pen.
const MOST: usize = 1 << 16;

/// The outputs along an axis of `size` pixels with so much padding before and after.
pub(super) fn outputs(
    op: &'static str,
    size: usize,
    kernel: usize,
    stride: usize,
    [before, after]: [usize; 2],
) -> Result<usize> {
    if let Some(largest) = [kernel, stride, before, after].into_iter().max().filter(|&n| n > MOST) {
        return Err(Error::shape(
            op,
            format!("kernel, stride and padding must be at most {MOST}, found {largest}"),
        ));
    }
    match (size + before + after).checked_sub(kernel) {
        Some(free) if size > 0 && kernel > 0 && stride > 0 => Ok(free / stride + 1),
        _ => {
            let padding = if before == after { before } else { before + after };
            Err(Error::shape(
                op,
                format!(
                    "kernel {kernel} with stride {stride} and padding {padding} does not fit {size} pixels"
                ),
            ))
        }
    }
}

/// Along one axis, for each output (or pixel): a place of the window, and the pixel that the
/// output sees there (or the output that sees the pixel there), by rising place.
pub(super) type Axis = Vec<Vec<(usize, usize)>>;

/// What each output sees inside an image of `size` pixels, whose padding starts `before` it.
pub(super) fn sees(
    size: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    before: usize,
) -> Axis {
    let inside = |at: usize| at.checked_sub(before).filter(|&pixel| pixel < size);
    (0..outputs)
        .map(|output| {
            let places = (0..kernel).map(|place| (place, output * stride + place));
            places.filter_map(|(place, at)| Some((place, inside(at)?))).collect()
        })
        .collect()
}

/// What each of `size` pixels is seen by.
pub(super) fn seen_by(sees: &Axis, size: usize) -> Axis {
    let mut seen = vec![Vec::new(); size];
    for (output, pixels) in sees.iter().enumerate() {
        for &(place, pixel) in pixels {
            seen[pixel].push((place, output));
        }
    }
    seen.iter_mut().for_each(|outputs| outputs.sort_unstable());
    seen
}

/// The square window of a pooling operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) op: &'static str,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

impl Window {
    /// Padding before and after the image, along either axis.
    fn around(&self) -> [usize; 2] {
        match self.padding {
            Padding::Each(pixels) => [pixels; 2],
            Padding::Same => [self.kernel.saturating_sub(1) / 2, self.kernel / 2],
        }
    }

    /// The outputs along an axis of `size` pixels. Each sees at least one of them.
    pub(super) fn outputs(&self, size: usize) -> Result<usize> {
        let Self { op, kernel, stride, padding } = *self;
        if let Padding::Each(pixels) = padding
            && pixels > kernel / 2
        {
            return Err(Error::shape(
                op,
                format!("padding must be at most half of kernel {kernel}, found {pixels}"),
            ));
        }
        outputs(op, size, kernel, stride, self.around())
    }

    /// What the kernels of a CUDA device ask about images `(batch, channels, height, width)`.
    #[cfg(feature = "cuda")]
    pub(super) fn sizes(&self, [_, channels, height, width]: [usize; 4]) -> Result<[usize; 8]> {
        let (out_h, out_w) = (self.outputs(height)?, self.outputs(width)?);
        let before = self.around()[0];
        Ok([height, width, channels, out_h, out_w, self.kernel, self.stride, before])
    }

    /// What each output sees along an axis of `size` pixels.
    pub(super) fn sees(&self, size: usize) -> Result<Axis> {
        Ok(sees(size, self.outputs(size)?, self.kernel, self.stride, self.around()[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_output_sees_the_image(
            size in 1usize..12, kernel in 1usize..8, stride in 1usize..5,
            padding in prop_oneof![Just(Padding::Same), (0usize..4).prop_map(Padding::Each)],
        ) {
            let window = Window { op: "pool", kernel, stride, padding };
            let Ok(axis) = window.sees(size) else { return Ok(()) };
            prop_assert!(axis.iter().all(|pixels| !pixels.is_empty()));
            if padding == Padding::Same {
                prop_assert_eq!(axis.len(), size.div_ceil(stride));
                for (output, pixels) in axis.iter().enumerate() {
                    prop_assert!(pixels.iter().any(|&(_, pixel)| pixel == output * stride));
                }
            }
            let back = seen_by(&axis, size);
            for (output, pixels) in axis.iter().enumerate() {
                for &(place, pixel) in pixels {
                    prop_assert!(back[pixel].contains(&(place, output)));
                }
            }
            let count = |axis: &Axis| axis.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(count(&axis), count(&back));
        }
    }

    #[test]
    fn an_even_window_of_the_same_size_reaches_down_and_right() {
        let window = Window { op: "pool", kernel: 2, stride: 1, padding: Padding::Same };
        let expected = vec![vec![(0, 0), (1, 1)], vec![(0, 1), (1, 2)], vec![(0, 2)]];
        assert_eq!(window.sees(3).unwrap(), expected);
    }

    #[test]
    fn slips_of_the_pen_are_refused() {
        let most = usize::MAX;
        for [kernel, stride, padding] in [[most, 1, 0], [3, most, 0], [3, 1, most]] {
            let error = outputs("conv", 8, kernel, stride, [padding; 2]).unwrap_err().to_string();
            let expected = "conv: kernel, stride and padding must be at most 65536, found ";
            assert_eq!(error, format!("{expected}{most}"));
        }
    }

    #[test]
    fn padding_is_a_number_or_a_word() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Table {
            padding: Padding,
        }
        for (text, padding) in
            [("padding = \"same\"\n", Padding::Same), ("padding = 2\n", Padding::Each(2))]
        {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table, Table { padding });
            assert_eq!(toml::to_string(&table).unwrap(), text);
        }
        assert!(toml::from_str::<Table>("padding = \"full\"").is_err());
    }
}
