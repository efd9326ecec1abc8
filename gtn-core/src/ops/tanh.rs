//! Hyperbolic tangent.

use super::{Forward, Keep, Kept, Op, arity};
use crate::Result;
use crate::cpu::{by_dtype, map, zip};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::on_cuda;
#[cfg(feature = "cuda")]
use crate::layout::{channels_first, channels_last};
use crate::tensors::add;
use candle_core::{Tensor, WithDType};

/// `scale·tanh(x)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tanh {
    /// The largest output; above 0.
    pub scale: f64,
}

impl Op for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("tanh", args)?;
        Ok(x.to_vec())
    }

    fn keep(&self) -> Keep {
        Keep::OUTPUT
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        on_cuda!(args[0] => {
            let [y] = cuda::elementwise("tanh", [args[0]], &[self.scale])?;
            Ok(Forward::plain(y))
        });
        by_dtype!(args[0], T => {
            let scale = T::from_f64(self.scale);
            Ok(Forward::plain(map::<T>(args[0], #[inline(always)] move |x| scale * num_traits::Float::tanh(x))?))
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![wants[0].then(|| self.slope(kept, gy)).transpose()?])
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| self.slope(kept, dx)).transpose()
    }

    /// The slope is `s − y²/s`, and its tangent `−2y/s·ẏ`.
    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        if dargs[0].is_none() && dgy.is_none() {
            return Ok(vec![None]);
        }
        on_cuda!(gy => Ok(vec![Some(self.adjoint_tangent(kept, dargs[0], gy, dgy)?)]));
        let moving = dgy.map(|dgy| self.slope(kept, dgy)).transpose()?;
        let bending = match self.tangent(kept, dargs)? {
            Some(dy) => Some(by_dtype!(gy, T => {
                let factor = T::from_f64(-2.0 / self.scale);
                let slope = zip::<T>(kept.output(), &dy, #[inline(always)] move |y, dy| factor * y * dy)?;
                zip::<T>(&slope, gy, #[inline(always)] move |s, g| s * g)
            })?),
            None => None,
        };
        Ok(vec![match (moving, bending) {
            (Some(a), Some(b)) => Some(add(&a, &b)?),
            (a, b) => a.or(b),
        }])
    }
}

impl Tanh {
    /// `v` times the slope at the input.
    fn slope(&self, kept: &Kept, v: &Tensor) -> Result<Tensor> {
        on_cuda!(v => {
            let [y] = cuda::elementwise("tanh_slope", [kept.output(), v], &[self.scale])?;
            Ok(y)
        });
        by_dtype!(v, T => {
            let scale = T::from_f64(self.scale);
            zip::<T>(kept.output(), v, #[inline(always)] move |y, v| (scale - y * y / scale) * v)
        })
    }
}

#[cfg(feature = "cuda")]
impl Tanh {
    /// [`Op::backward_tangent`] in one pass over memory.
    fn adjoint_tangent(
        &self,
        kept: &Kept,
        dx: Option<&Tensor>,
        gy: &Tensor,
        dgy: Option<&Tensor>,
    ) -> Result<Tensor> {
        let last = |t: &Tensor| channels_last(t);
        let [dx, dgy] = [dx.map(last).transpose()?, dgy.map(last).transpose()?];
        let (y, gy) = (channels_last(kept.output())?, channels_last(gy)?);
        let out = cuda::empty(&y, y.dims())?;
        cuda::Launch::each("tanh_adjoint_tangent", &y, y.elem_count())?
            .tensors([&y])?
            .optional([dx.as_ref()])?
            .tensors([&gy])?
            .optional([dgy.as_ref()])?
            .tensors([&out])?
            .reals([self.scale])
            .run()?;
        channels_first(out)
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
            batch in 1usize..5, features in 1usize..40, scale in 0.5f64..3.0, seed: u64,
        ) {
            check(&Tanh { scale }, Case::smooth(vec![uniform(&[batch, features], seed)], seed))?;
        }
    }
}
