//! The mean of each channel over a batch.

use super::{
    Forward, Keep, Kept, Op, add_linear_backward_tangent, added, arity, channels,
    linear_backward_tangent,
};
use crate::Result;
use crate::cpu::{self, Float, by_dtype, channel_sums};
use crate::device::on_cuda;
use crate::layout::everywhere;
#[cfg(feature = "cuda")]
use crate::layout::{channels_first, channels_last};
use crate::tensors::scaled;
use candle_core::Tensor;

/// The mean of `x (batch, channels, …)` over the batch and all positions: `(channels)`.
///
/// A value of its own, rather than a part of [`super::MeanNorm`], because
/// learners hand a running mean of it on from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelMean;

impl Op for ChannelMean {
    fn name(&self) -> &'static str {
        "channel_mean"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("channel_mean", args)?;
        Ok(vec![channels("channel_mean", x)?[1]])
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
        Ok(vec![Some(spread(gy, kept.dims(0))?)])
    }

    fn add_backward(
        &self,
        kept: &Kept,
        gy: &Tensor,
        wants: &[bool],
        sums: Vec<Option<Tensor>>,
    ) -> Result<Vec<Option<Tensor>>> {
        on_cuda!(gy => {
            let shape = kept.dims(0);
            let [batch, _, area] = channels("channel_mean", shape)?;
            let factor = 1.0 / (batch * area) as f64;
            match (&sums[..], wants) {
                ([Some(sum)], [true]) => {
                    let sum = channels_last(sum)?;
                    let sum = crate::cuda::add_channels(Some(&sum), gy, factor, sum.dims())?;
                    Ok(vec![Some(channels_first(sum)?)])
                }
                _ => added(self.backward(kept, gy, wants)?, sums),
            }
        });
        added(self.backward(kept, gy, wants)?, sums)
    }

    fn add_backward_tangent(
        &self,
        kept: &Kept,
        _dargs: &[Option<&Tensor>],
        _gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
        sums: Vec<Option<Tensor>>,
    ) -> Result<Vec<Option<Tensor>>> {
        add_linear_backward_tangent(self, kept, dgy, wants, sums)
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
    let [batch, c, area] = channels("channel_mean", x.dims())?;
    on_cuda!(x => crate::cuda::channel_sums(x, 1.0 / (batch * area) as f64));
    let scale = T::one() / T::from_f64((batch * area) as f64);
    let mut total = channel_sums::<T>(x)?;
    total.iter_mut().for_each(|v| *v *= scale);
    cpu::tensor(total, &[c])
}

/// The transpose of [`mean`].
fn spread(gy: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let [batch, _, area] = channels("channel_mean", dims)?;
    let all = everywhere(&scaled(1.0 / (batch * area) as f64, gy)?, dims)?;
    // A matrix goes on to operations that take it as it lies.
    if dims.len() == 2 { Ok(all.contiguous()?) } else { Ok(all) }
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
            batch in 1usize..5, c in 1usize..4, area in proptest::option::of((1usize..9, 1usize..9)),
            seed: u64,
        ) {
            let mut shape = vec![batch, c];
            shape.extend(area.iter().flat_map(|&(h, w)| [h, w]));
            check(&ChannelMean, Case::smooth(vec![uniform(&shape, seed)], seed))?;
        }
    }
}
