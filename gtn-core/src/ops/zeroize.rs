//! A branch that is not there.

use super::window::outputs;
use super::{Forward, Keep, Kept, Op, arity, nchw};
use crate::Result;
use crate::layout::channels_first;
use crate::tensors::zeros_like;
use candle_core::Tensor;

/// Zeros where every `stride`-th pixel of `(batch, channels, height, width)` was: the `none` of
/// search spaces. Height and width come out as `⌈size/stride⌉`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zeroize {
    /// Pixels from one output to the next, at least 1.
    pub stride: usize,
}

impl Op for Zeroize {
    fn name(&self) -> &'static str {
        "zeroize"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("zeroize", args)?;
        let [batch, channels, height, width] = nchw("zeroize", x)?;
        let output = |size| outputs("zeroize", size, 1, self.stride, [0; 2]);
        Ok(vec![batch, channels, output(height)?, output(width)?])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let shape = self.shape(&[args[0].dims()])?;
        let last = [shape[0], shape[2], shape[3], shape[1]];
        Ok(Forward::plain(channels_first(zeros_like(args[0], &last)?)?))
    }

    fn backward(&self, _kept: &Kept, _gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; wants.len()])
    }

    fn tangent(&self, _kept: &Kept, _dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn backward_tangent(
        &self,
        _kept: &Kept,
        _dargs: &[Option<&Tensor>],
        _gy: &Tensor,
        _dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; wants.len()])
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
            batch in 1usize..3, channels in 1usize..4,
            (height, width) in (1usize..7, 1usize..7), stride in 1usize..4, seed: u64,
        ) {
            let x = uniform(&[batch, channels, height, width], seed);
            let y = Zeroize { stride }.forward(&[&x]).unwrap().y;
            let shape = [batch, channels, height.div_ceil(stride), width.div_ceil(stride)];
            prop_assert_eq!(y.dims(), shape);
            prop_assert!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().all(|&v| v == 0.0));
            check(&Zeroize { stride }, Case::smooth(vec![x], seed))?;
        }
    }
}
