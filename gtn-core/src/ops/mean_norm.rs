//! Mean-only batch normalization (Salimans & Kingma, arXiv 1602.07868, §3),
//! with the leaky rectifier that follows it.

use super::{
    Forward, Keep, Kept, Op, add_linear_backward_tangent, added, arity, channels,
    linear_backward_tangent,
};
use crate::cpu::{self, Float, by_dtype, channelwise, channelwise_summed, view, zip};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::on_cuda;
#[cfg(feature = "cuda")]
use crate::layout::channels_first;
use crate::layout::channels_last;
use crate::tensors::zeros_like;
use crate::{Error, Result};
use candle_core::{Tensor, WithDType};

/// `r(x − mean + bias)` for `x (batch, channels, …)`, `mean (channels)` and
/// `bias (channels)`, where `r(z)` is `z` above zero and `slope·z` below.
///
/// While learning, `mean` is the batch's own ([`super::ChannelMean`]); in
/// judging, the running mean. The rectifier is part of it because each pass over
/// memory costs as much as the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanNorm {
    /// Slope below zero, above 0 (so that the output's sign tells the
    /// input's); 1: no rectifier.
    pub slope: f64,
}

impl Op for MeanNorm {
    fn name(&self) -> &'static str {
        "mean_norm"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, mean, bias] = arity("mean_norm", args)?;
        let [_, c, _] = channels("mean_norm", x)?;
        if mean != [c] || bias != [c] {
            return Err(Error::shape(
                "mean_norm",
                format!("expected mean and bias of {c} channels, found {mean:?} and {bias:?}"),
            ));
        }
        Ok(x.to_vec())
    }

    fn keep(&self) -> Keep {
        Keep { args: false, output: true, adjoint: false }
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, mean, bias) = (args[0], args[1], args[2]);
        on_cuda!(x => Ok(Forward::plain(self.forward_on_cuda(x, mean, bias)?)));
        by_dtype!(x, T => {
            let slope = T::from_f64(self.slope);
            let offset = zip::<T>(bias, mean, |b, m| b - m)?;
            let last = channels_last(x)?;
            let y = channelwise::<T, 1, 1>(
                x.dims(),
                [&view(&last)?],
                [&view(&offset)?],
                #[inline(always)]
                move |[x], [offset]| rectified(slope, x + offset, x + offset),
            )?;
            Ok(Forward::plain(y))
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        on_cuda!(gy => {
            let (gz, [sums, opposites]) = self.adjoint_on_cuda(kept, gy, None)?;
            Ok(vec![wants[0].then_some(gz), wants[1].then_some(opposites), wants[2].then_some(sums)])
        });
        by_dtype!(gy, T => {
            let (gz, sums) = self.before_rectifier::<T>(kept, gy)?;
            let negative = sums.iter().map(|&s| -s).collect::<Vec<T>>();
            Ok(vec![
                wants[0].then_some(gz),
                wants[1].then(|| cpu::tensor(negative, kept.dims(1))).transpose()?,
                wants[2].then(|| cpu::tensor(sums, kept.dims(2))).transpose()?,
            ])
        })
    }

    fn add_backward(
        &self,
        kept: &Kept,
        gy: &Tensor,
        wants: &[bool],
        sums: Vec<Option<Tensor>>,
    ) -> Result<Vec<Option<Tensor>>> {
        on_cuda!(gy => {
            let mut sums = sums;
            // The opposite of the sum is taken from what the mean has got so far.
            let from = if wants[1] { sums[1].take() } else { None };
            let (gz, [all, rest]) = self.adjoint_on_cuda(kept, gy, from.as_ref())?;
            let shares = [wants[0].then_some(gz), wants[1].then_some(rest), wants[2].then_some(all)];
            added(shares.into(), sums)
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

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let Some(like) = dargs.iter().flatten().next() else { return Ok(None) };
        on_cuda!(like => self.tangent_on_cuda(kept, dargs).map(Some));
        let channel = |i: usize| match dargs[i] {
            Some(t) => Ok(t.clone()),
            None => zeros_like(like, kept.dims(i)),
        };
        let (dmean, dbias) = (channel(1)?, channel(2)?);
        by_dtype!(like, T => {
            let offset = zip::<T>(&dbias, &dmean, |b, m| b - m)?;
            let offset = view::<T>(&offset)?;
            let slope = T::from_f64(self.slope);
            let y = channels_last(kept.output())?;
            let y = view::<T>(&y)?;
            let Some(dx) = dargs[0] else {
                return Ok(Some(channelwise::<T, 1, 1>(
                    kept.dims(0),
                    [&y],
                    [&offset],
                    #[inline(always)]
                    move |[y], [offset]| rectified(slope, y, offset),
                )?));
            };
            let dx = channels_last(dx)?;
            Ok(Some(channelwise::<T, 2, 1>(
                kept.dims(0),
                [&view(&dx)?, &y],
                [&offset],
                #[inline(always)]
                move |[dx, y], [offset]| rectified(slope, y, dx + offset),
            )?))
        })
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

impl MeanNorm {
    /// The adjoint of what goes into the rectifier, and its sum by channel.
    fn before_rectifier<T: Float>(&self, kept: &Kept, gy: &Tensor) -> Result<(Tensor, Vec<T>)> {
        let slope = T::from_f64(self.slope);
        let (y, gy) = (channels_last(kept.output())?, channels_last(gy)?);
        let (y, gy) = (view::<T>(&y)?, view::<T>(&gy)?);
        channelwise_summed::<T, 2, 0>(
            kept.dims(0),
            [&y, &gy],
            [],
            #[inline(always)]
            move |[y, gy], []| rectified(slope, y, gy),
        )
    }
}

#[cfg(feature = "cuda")]
impl MeanNorm {
    fn forward_on_cuda(&self, x: &Tensor, mean: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let x = channels_last(x)?;
        let y = cuda::empty(&x, x.dims())?;
        cuda::Launch::each("mean_norm", &x, x.elem_count())?
            .tensors([&x, mean, bias, &y])?
            .int(bias.elem_count())?
            .reals([self.slope])
            .run()?;
        channels_first(y)
    }

    fn tangent_on_cuda(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Tensor> {
        let y = channels_last(kept.output())?;
        let dx = dargs[0].map(channels_last).transpose()?;
        let dy = cuda::empty(&y, y.dims())?;
        cuda::Launch::each("mean_norm_tangent", &y, y.elem_count())?
            .tensors([&y])?
            .optional([dx.as_ref(), dargs[1], dargs[2]])?
            .tensors([&dy])?
            .int(kept.dims(0)[1])?
            .reals([self.slope])
            .run()?;
        channels_first(dy)
    }

    /// The adjoint of what goes into the rectifier, its sum by channel, and what is left of `from`
    /// without that.
    fn adjoint_on_cuda(
        &self,
        kept: &Kept,
        gy: &Tensor,
        from: Option<&Tensor>,
    ) -> Result<(Tensor, [Tensor; 2])> {
        let (y, gy) = (channels_last(kept.output())?, channels_last(gy)?);
        let (gz, channels) = (cuda::empty(&y, y.dims())?, kept.dims(0)[1]);
        let size = [y.elem_count() / channels, channels, 1, 1];
        let mut rest = None;
        let sums = cuda::Sums::new("mean_norm_adjoint", &y, size, |launch, partial, parts| {
            rest = (parts == 1).then(|| cuda::empty(&y, &[channels])).transpose()?;
            let launch = launch.tensors([&y, &gy, &gz, partial])?;
            let launch = launch.optional([from, rest.as_ref()])?;
            Ok(launch.ints([channels, parts])?.reals([self.slope]))
        })?;
        let sums = match rest {
            Some(rest) => [sums.total(&[channels])?, rest],
            None => sums.total_and_rest(from)?,
        };
        Ok((channels_first(gz)?, sums))
    }
}

/// `v` where the rectifier's input (or output: they have one sign) `z` is above zero, `slope·v` below.
#[inline(always)]
fn rectified<T: Float>(slope: T, z: T, v: T) -> T {
    if z > T::zero() { v } else { slope * v }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, distinct};
    use proptest::prelude::*;

    fn constant(channels: usize, value: f64) -> Tensor {
        Tensor::full(value, channels, &candle_core::Device::Cpu).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..5, c in 1usize..4, area in proptest::option::of((1usize..4, 1usize..4)),
            slope in prop::sample::select(vec![0.1, 1.0]), seed: u64,
        ) {
            let mut shape = vec![batch, c];
            shape.extend(area.iter().flat_map(|&(h, w)| [h, w]));
            let args = vec![distinct(&shape, seed), constant(c, 0.3), constant(c, 0.3)];
            check(&MeanNorm { slope }, Case::smooth(args, seed))?;
        }
    }
}
