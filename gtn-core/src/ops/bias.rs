//! A learned constant a channel.

use super::{Forward, Keep, Kept, Op, arity, channels, linear_backward_tangent};
use crate::cpu::{self, by_dtype, channel_sums};
use crate::device::on_cuda;
use crate::layout::everywhere;
use crate::tensors::{add, zeros_like};
use crate::{Error, Result};
use candle_core::Tensor;

/// `x + bias` for `x (batch, channels, …)` and `bias (channels)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bias;

impl Op for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, bias] = arity("bias", args)?;
        let [_, c, _] = channels("bias", x)?;
        if bias != [c] {
            return Err(Error::shape("bias", format!("expected {c} channels, found {bias:?}")));
        }
        Ok(x.to_vec())
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, bias) = (args[0], args[1]);
        Ok(Forward::plain(add(x, &everywhere(bias, x.dims())?)?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let bias = || {
            on_cuda!(gy => crate::cuda::channel_sums(gy, 1.0));
            by_dtype!(gy, T => cpu::tensor(channel_sums::<T>(gy)?, kept.dims(1)))
        };
        Ok(vec![wants[0].then(|| gy.clone()), wants[1].then(bias).transpose()?])
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        match dargs {
            [dx, None] => Ok(dx.cloned()),
            [Some(dx), Some(db)] => Ok(Some(self.forward(&[dx, db])?.y)),
            [_, Some(db)] => {
                let zero = zeros_like(db, kept.dims(0))?;
                Ok(Some(self.forward(&[&zero, db])?.y))
            }
            _ => Ok(None),
        }
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
            check(&Bias, Case::smooth(vec![uniform(&shape, seed), uniform(&[c], seed ^ 1)], seed))?;
        }
    }
}
