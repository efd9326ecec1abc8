//! The mean of each feature map.

use super::{Forward, Keep, Kept, Op, arity, channels, linear_backward_tangent};
use crate::Result;
use crate::cpu::{Float, by_dtype, from_rows, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use candle_core::Tensor;

/// The mean of `x (batch, channels, …)` over all positions: `(batch, channels)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalAvgPool;

impl Op for GlobalAvgPool {
    fn name(&self) -> &'static str {
        "global_avg_pool"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("global_avg_pool", args)?;
        let [batch, c, _] = channels("global_avg_pool", x)?;
        Ok(vec![batch, c])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        Ok(Forward::plain(by_dtype!(args[0], T => mean::<T>(args[0]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        Ok(vec![Some(by_dtype!(gy, T => spread::<T>(gy, kept.dims(0)))?)])
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| by_dtype!(dx, T => mean::<T>(dx))).transpose()
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

fn mean<T: Float>(x: &Tensor) -> Result<Tensor> {
    let [batch, c, area] = channels("global_avg_pool", x.dims())?;
    on_cuda!(x => super::cuda::feature_map(
        "global_avg_pool", [Some(&channels_last(x)?)], &[batch, c], [area, c],
    ));
    let scale = T::one() / T::from_f64(area as f64);
    let x = channels_last(x)?;
    let x = view::<T>(&x)?;
    let x = &*x;
    from_rows::<T>(
        &[batch, c],
        #[inline(always)]
        move |image, row| {
            for pixel in x[image * area * c..(image + 1) * area * c].chunks_exact(c) {
                for (sum, &v) in row.iter_mut().zip(pixel) {
                    *sum += v;
                }
            }
            row.iter_mut().for_each(|v| *v *= scale);
        },
    )
}

/// The transpose of [`mean`].
fn spread<T: Float>(gy: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let [_, c, area] = channels("global_avg_pool", dims)?;
    on_cuda!(gy => super::cuda::feature_map("global_avg_pool_adjoint", [Some(gy)], dims, [area, c]));
    let scale = T::one() / T::from_f64(area as f64);
    let gy = view::<T>(gy)?;
    let gy = &*gy;
    from_rows::<T>(
        dims,
        #[inline(always)]
        move |pixel, row| {
            let image = pixel / area;
            for (to, &v) in row.iter_mut().zip(&gy[image * c..]) {
                *to = v * scale;
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
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..4, c in 1usize..4, height in 1usize..7, width in 1usize..7, seed: u64,
        ) {
            let args = vec![uniform(&[batch, c, height, width], seed)];
            check(&GlobalAvgPool, Case::smooth(args, seed))?;
        }
    }
}
