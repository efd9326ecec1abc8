//! Leaky rectifier.

use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent};
use crate::Result;
use crate::cpu::{by_dtype, map, zip};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::on_cuda;
use candle_core::{Tensor, WithDType};

/// `x` where it is positive, `slope·x` elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakyRelu {
    /// Slope below zero, above 0 (so that the output's sign tells the input's).
    pub slope: f64,
}

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("leaky_relu", args)?;
        Ok(x.to_vec())
    }

    fn keep(&self) -> Keep {
        Keep { args: false, output: true, adjoint: false }
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        on_cuda!(args[0] => {
            let [y] = cuda::elementwise("leaky_relu", [args[0]], &[self.slope])?;
            Ok(Forward::plain(y))
        });
        by_dtype!(args[0], T => {
            let slope = T::from_f64(self.slope);
            Ok(Forward::plain(map::<T>(args[0], #[inline(always)] move |x| if x > 0.0 { x } else { slope * x })?))
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![wants[0].then(|| self.scale(kept, gy)).transpose()?])
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| self.scale(kept, dx)).transpose()
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

impl LeakyRelu {
    /// `v` times the slope at the input.
    fn scale(&self, kept: &Kept, v: &Tensor) -> Result<Tensor> {
        on_cuda!(v => {
            let [y] = cuda::elementwise("leaky_relu_slope", [kept.output(), v], &[self.slope])?;
            Ok(y)
        });
        by_dtype!(v, T => {
            let slope = T::from_f64(self.slope);
            zip::<T>(kept.output(), v, #[inline(always)] move |y, v| if y > 0.0 { v } else { slope * v })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, distinct};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..5, features in 1usize..40, slope in 0.01f64..0.9, seed: u64,
        ) {
            check(&LeakyRelu { slope }, Case::smooth(vec![distinct(&[batch, features], seed)], seed))?;
        }
    }
}
