//! Cross-entropy with soft labels.

use super::{Forward, Keep, Kept, Op, arity};
use crate::cpu::{self, Float, by_dtype, dot, map, view};
use crate::{Error, Result};
use candle_core::Tensor;

/// `−Σ target·log p / batch`, a scalar, for log-probabilities `(batch, classes)`
/// and targets `(batch, classes)`; differentiable in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossEntropy;

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        match arity("cross_entropy", args)? {
            [p @ [_, _], target] if p == target => Ok(Vec::new()),
            [p, target] => Err(Error::shape(
                "cross_entropy",
                format!("expected (batch, classes) twice, found {p:?} and {target:?}"),
            )),
        }
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (log_p, target) = (args[0], args[1]);
        by_dtype!(log_p, T => Ok(Forward::plain(inner::<T>(log_p, target)?)))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let (log_p, target) = (kept.arg(0), kept.arg(1));
        by_dtype!(gy, T => Ok(vec![
            wants[0].then(|| scaled::<T>(target, gy)).transpose()?,
            wants[1].then(|| scaled::<T>(log_p, gy)).transpose()?,
        ]))
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let (log_p, target) = (kept.arg(0), kept.arg(1));
        by_dtype!(log_p, T => {
            let one = dargs[0].map(|d| inner::<T>(d, target)).transpose()?;
            let other = dargs[1].map(|d| inner::<T>(log_p, d)).transpose()?;
            sum_of(one, other)
        })
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        by_dtype!(gy, T => {
            // The adjoint of one argument is the other, scaled.
            let of = |other: usize| {
                let fixed = dgy.map(|dgy| scaled::<T>(kept.arg(other), dgy)).transpose()?;
                let moving = dargs[other].map(|d| scaled::<T>(d, gy)).transpose()?;
                sum_of(fixed, moving)
            };
            Ok(vec![
                if wants[0] { of(1)? } else { None },
                if wants[1] { of(0)? } else { None },
            ])
        })
    }
}

fn batch<T: Float>(x: &Tensor) -> T {
    T::from_f64(x.dims()[0] as f64)
}

fn inner<T: Float>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let value = -dot(&view::<T>(a)?, &view::<T>(b)?) / batch::<T>(a);
    cpu::tensor(vec![value], &[])
}

fn scaled<T: Float>(x: &Tensor, by: &Tensor) -> Result<Tensor> {
    let factor = -view::<T>(by)?[0] / batch::<T>(x);
    map::<T>(
        x,
        #[inline(always)]
        move |v| factor * v,
    )
}

fn sum_of(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some(cpu::add(&a, &b)?)),
        (a, b) => Ok(a.or(b)),
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
        fn matches_central_differences(batch in 1usize..5, classes in 1usize..12, seed: u64) {
            let args = vec![uniform(&[batch, classes], seed), uniform(&[batch, classes], seed ^ 1)];
            check(&CrossEntropy, Case::smooth(args, seed))?;
        }
    }
}
