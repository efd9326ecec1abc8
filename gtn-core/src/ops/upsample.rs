//! Nearest-neighbor upsampling.

use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent, nchw};
use crate::cpu::{Float, by_dtype, from_rows, rows_of, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use crate::{Error, Result};
use candle_core::Tensor;

/// Repeats every pixel of `(batch, channels, height, width)` `factor` times
/// in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upsample {
    /// Repetitions, at least 1.
    pub factor: usize,
}

impl Op for Upsample {
    fn name(&self) -> &'static str {
        "upsample"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("upsample", args)?;
        let [batch, channels, height, width] = nchw("upsample", x)?;
        if self.factor == 0 {
            return Err(Error::shape("upsample", "the factor must be at least 1"));
        }
        Ok(vec![batch, channels, height * self.factor, width * self.factor])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        Ok(Forward::plain(by_dtype!(args[0], T => repeat::<T>(args[0], self.factor))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        Ok(vec![Some(by_dtype!(gy, T => gather::<T>(gy, self.factor, kept.dims(0)))?)])
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| by_dtype!(dx, T => repeat::<T>(dx, self.factor))).transpose()
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

fn repeat<T: Float>(x: &Tensor, factor: usize) -> Result<Tensor> {
    let [batch, channels, height, width] = nchw("upsample", x.dims())?;
    let x = channels_last(x)?;
    on_cuda!(x => super::cuda::feature_map_by_lanes(
        "upsample",
        &x,
        &[batch, channels, height * factor, width * factor],
        [height, width, channels, factor],
    ));
    let x = view::<T>(&x)?;
    let wide = width * factor;
    rows_of::<T>(&[batch, channels, height * factor, wide], &x, move |pixel| {
        pixel / wide / factor * width + pixel % wide / factor
    })
}

/// The transpose of [`repeat`].
fn gather<T: Float>(gy: &Tensor, factor: usize, dims: &[usize]) -> Result<Tensor> {
    let [_, channels, _, width] = nchw("upsample", dims)?;
    let gy = channels_last(gy)?;
    on_cuda!(gy => super::cuda::feature_map_by_lanes(
        "upsample_adjoint", &gy, dims, [dims[2], width, channels, factor],
    ));
    let gy = view::<T>(&gy)?;
    let gy = &*gy;
    let wide = width * factor;
    from_rows::<T>(
        dims,
        #[inline(always)]
        move |pixel, row| {
            let (y, x) = (pixel / width * factor, pixel % width * factor);
            for y in y..y + factor {
                for x in x..x + factor {
                    for (sum, &v) in row.iter_mut().zip(&gy[(y * wide + x) * channels..]) {
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
            (height, width) in (1usize..6, 1usize..6), factor in 1usize..4, seed: u64,
        ) {
            let args = vec![uniform(&[batch, channels, height, width], seed)];
            check(&Upsample { factor }, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn forward_agrees_with_candle() {
        let x = uniform(&[2, 3, 4, 5], 7);
        let ours = Upsample { factor: 2 }.forward(&[&x]).unwrap().y;
        let theirs = x.upsample_nearest2d(8, 10).unwrap();
        assert_eq!(
            ours.flatten_all().unwrap().to_vec1::<f64>().unwrap(),
            theirs.flatten_all().unwrap().to_vec1::<f64>().unwrap()
        );
    }
}
