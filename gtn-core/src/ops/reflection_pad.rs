//! Padding by reflection at the border.

use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent, nchw};
use crate::cpu::{Float, by_dtype, from_rows, rows_of, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use crate::{Error, Result};
use candle_core::Tensor;

/// Pads `(batch, channels, height, width)` by `padding` pixels on each side;
/// the border pixel itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReflectionPad {
    /// Pixels added on each side, fewer than the image has.
    pub padding: usize,
}

impl ReflectionPad {
    /// The pixel that padded pixel `i` shows.
    fn source(&self, i: usize, size: usize) -> usize {
        let i = i.abs_diff(self.padding);
        if i < size { i } else { 2 * (size - 1) - i }
    }
}

impl Op for ReflectionPad {
    fn name(&self) -> &'static str {
        "reflection_pad"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("reflection_pad", args)?;
        let [batch, channels, height, width] = nchw("reflection_pad", x)?;
        if self.padding >= height.min(width) {
            return Err(Error::shape(
                "reflection_pad",
                format!(
                    "padding {} needs an image larger than that, found {height}×{width}",
                    self.padding
                ),
            ));
        }
        Ok(vec![batch, channels, height + 2 * self.padding, width + 2 * self.padding])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        Ok(Forward::plain(by_dtype!(args[0], T => pad::<T>(self, args[0]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        Ok(vec![Some(by_dtype!(gy, T => fold::<T>(self, gy, kept.dims(0)))?)])
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| by_dtype!(dx, T => pad::<T>(self, dx))).transpose()
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        _dargs: &[Option<&Tensor>],
        _gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        linear_backward_tangent(self, kept, dgy, wants)
    }
}

fn pad<T: Float>(op: &ReflectionPad, x: &Tensor) -> Result<Tensor> {
    let [_, _, height, width] = nchw("reflection_pad", x.dims())?;
    let shape = op.shape(&[x.dims()])?;
    let (out_h, out_w) = (shape[2], shape[3]);
    let x = channels_last(x)?;
    on_cuda!(x => super::cuda::feature_map_by_lanes(
        "reflection_pad", &x, &shape, [height, width, shape[1], op.padding],
    ));
    let x = view::<T>(&x)?;
    rows_of::<T>(&shape, &x, move |pixel| {
        let (line, column) = (pixel / out_w, pixel % out_w);
        let y = line / out_h * height + op.source(line % out_h, height);
        y * width + op.source(column, width)
    })
}

/// The transpose of [`pad`].
fn fold<T: Float>(op: &ReflectionPad, gy: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let [_, channels, height, width] = nchw("reflection_pad", dims)?;
    let (out_h, out_w) = (height + 2 * op.padding, width + 2 * op.padding);
    let gy = channels_last(gy)?;
    on_cuda!(gy => super::cuda::feature_map_by_lanes(
        "reflection_pad_adjoint", &gy, dims, [height, width, channels, op.padding],
    ));
    let gy = view::<T>(&gy)?;
    let gy = &*gy;
    // The padded pixels that show pixel `i`.
    let shown = |size: usize| -> Vec<Vec<usize>> {
        let mut shown = vec![Vec::new(); size];
        for padded in 0..size + 2 * op.padding {
            shown[op.source(padded, size)].push(padded);
        }
        shown
    };
    let (lines, columns) = (shown(height), shown(width));
    let (lines, columns) = (&lines[..], &columns[..]);
    from_rows::<T>(
        dims,
        #[inline(always)]
        move |pixel, row| {
            let (line, column) = (pixel / width, pixel % width);
            for y in &lines[line % height] {
                for x in &columns[column] {
                    let from = ((line / height * out_h + y) * out_w + x) * channels;
                    for (sum, &v) in row.iter_mut().zip(&gy[from..]) {
                        *sum += v;
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..3, channels in 1usize..4,
            (height, width) in (1usize..7, 1usize..7), padding in 0usize..4, seed: u64,
        ) {
            prop_assume!(padding < height.min(width));
            let args = vec![uniform(&[batch, channels, height, width], seed)];
            check(&ReflectionPad { padding }, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn reflects_without_repeating_the_border() {
        let x = Tensor::arange(0f64, 3., &candle_core::Device::Cpu).unwrap();
        let x = x.broadcast_as((1, 1, 3, 3)).unwrap().contiguous().unwrap();
        let y = ReflectionPad { padding: 2 }.forward(&[&x]).unwrap().y;
        let row = y.flatten_all().unwrap().to_vec1::<f64>().unwrap()[..7].to_vec();
        assert_eq!(row, [2., 1., 0., 1., 2., 1., 0.]);
    }
}
