//! Mean-only batch normalization (Salimans & Kingma, arXiv 1602.07868, §3).

use super::{Forward, Keep, Kept, Op, arity, channels, linear_backward_tangent};
use crate::cpu::{self, by_dtype, channel_sums, view, with_channels, zip};
use crate::{Error, Result};
use candle_core::Tensor;

/// `x − mean + bias` for `x (batch, channels, …)`, `mean (channels)` and `bias (channels)`.
///
/// While learning, `mean` is the batch's own ([`super::ChannelMean`]); in
/// judging, the running mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanNorm;

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
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, mean, bias) = (args[0], args[1], args[2]);
        by_dtype!(x, T => {
            let offset = zip::<T>(bias, mean, |b, m| b - m)?;
            Ok(Forward::plain(with_channels::<T>(x, &view(&offset)?, |x, o| x + o)?))
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let x = wants[0].then(|| gy.clone());
        if !wants[1] && !wants[2] {
            return Ok(vec![x, None, None]);
        }
        by_dtype!(gy, T => {
            let sum = channel_sums::<T>(gy)?;
            let negative = sum.iter().map(|&s| -s).collect::<Vec<T>>();
            Ok(vec![
                x,
                wants[1].then(|| cpu::tensor(negative, kept.dims(1))).transpose()?,
                wants[2].then(|| cpu::tensor(sum, kept.dims(2))).transpose()?,
            ])
        })
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        if dargs.iter().all(Option::is_none) {
            return Ok(None);
        }
        let like = dargs.iter().flatten().next().expect("one tangent is there");
        let or_zero = |i: usize| match dargs[i] {
            Some(t) => Ok(t.clone()),
            None => cpu::zeros_like(like, kept.dims(i)),
        };
        Ok(Some(self.forward(&[&or_zero(0)?, &or_zero(1)?, &or_zero(2)?])?.y))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..5, c in 1usize..4, area in proptest::option::of((1usize..4, 1usize..4)),
            seed: u64,
        ) {
            let mut shape = vec![batch, c];
            shape.extend(area.iter().flat_map(|&(h, w)| [h, w]));
            let args = vec![uniform(&shape, seed), uniform(&[c], seed ^ 1), uniform(&[c], seed ^ 2)];
            check(&MeanNorm, Case::smooth(args, seed))?;
        }
    }
}
