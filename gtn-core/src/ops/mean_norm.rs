//! Mean-only batch normalization (Salimans & Kingma, arXiv 1602.07868, §3),
//! with the leaky rectifier that follows it.

use super::{Forward, Keep, Kept, Op, arity, channels, linear_backward_tangent};
use crate::cpu::{
    self, Float, by_dtype, channels_last, from_rows, from_rows_summed, view, with_channels, zip,
};
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
        by_dtype!(x, T => {
            let slope = T::from_f64(self.slope);
            let offset = zip::<T>(bias, mean, |b, m| b - m)?;
            let y = with_channels::<T>(x, &view(&offset)?, #[inline(always)] |x, o| {
                let z = x + o;
                if z > 0.0 { z } else { slope * z }
            })?;
            Ok(Forward::plain(y))
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
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

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let Some(like) = dargs.iter().flatten().next() else { return Ok(None) };
        let channel = |i: usize| match dargs[i] {
            Some(t) => Ok(t.clone()),
            None => cpu::zeros_like(like, kept.dims(i)),
        };
        let (dmean, dbias) = (channel(1)?, channel(2)?);
        by_dtype!(like, T => {
            let offset = zip::<T>(&dbias, &dmean, |b, m| b - m)?;
            let offset = view::<T>(&offset)?;
            let (offset, columns) = (&*offset, offset.len());
            let slope = T::from_f64(self.slope);
            let y = channels_last(kept.output())?;
            let y = view::<T>(&y)?;
            let y = &*y;
            let dx = dargs[0].map(channels_last).transpose()?;
            let dx = dx.as_ref().map(view::<T>).transpose()?;
            let dx = dx.as_deref();
            Ok(Some(from_rows::<T>(kept.dims(0), #[inline(always)] |row, out| {
                match dx {
                    Some(dx) => out.copy_from_slice(&dx[row * columns..][..columns]),
                    None => out.fill(0.0),
                }
                for ((out, &o), &y) in out.iter_mut().zip(offset).zip(&y[row * columns..]) {
                    let dz = *out + o;
                    *out = if y > 0.0 { dz } else { slope * dz };
                }
            })?))
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
        let (y, gy) = (&*y, &*gy);
        let columns = kept.dims(0)[1];
        from_rows_summed::<T>(
            kept.dims(0),
            #[inline(always)]
            |row, out| {
                let from = row * columns;
                for ((out, &y), &gy) in out.iter_mut().zip(&y[from..]).zip(&gy[from..]) {
                    *out = if y > T::zero() { gy } else { slope * gy };
                }
            },
        )
    }
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
