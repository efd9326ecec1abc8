//! Cross-entropy with soft labels.

use super::product_rule::product_rule;
use super::{Forward, Keep, Kept, Op, arity};
use crate::cpu::{self, by_dtype, dot, map, view, zip};
use crate::device::on_cuda;
use crate::{Error, Result};
use candle_core::{Tensor, WithDType};

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
        Ok(Forward::plain(loss(&[(args[0], args[1])])?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        // The adjoint of one argument is the other, scaled.
        let of = |other: usize| share(&[(kept.arg(other), gy)]);
        Ok(vec![wants[0].then(|| of(1)).transpose()?, wants[1].then(|| of(0)).transpose()?])
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let terms = product_rule((kept.arg(0), kept.arg(1)), (dargs[0], dargs[1]));
        (!terms.is_empty()).then(|| loss(&terms)).transpose()
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let of = |wanted: bool, other: usize| {
            let mut terms = product_rule((kept.arg(other), gy), (dargs[other], dgy));
            // As in the sum: what stands still first.
            terms.reverse();
            (wanted && !terms.is_empty()).then(|| share(&terms)).transpose()
        };
        Ok(vec![of(wants[0], 1)?, of(wants[1], 0)?])
    }
}

/// `−Σ ⟨a,b⟩/batch` over one pair `(a, b)` or two.
fn loss(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (first, batch) = (pairs[0].0, pairs[0].0.dims()[0]);
    on_cuda!(first => launched("cross_entropy", first.elem_count(), pairs, &[]));
    by_dtype!(first, T => {
        let mut sum: T = 0.0;
        for (a, b) in pairs {
            sum += -dot(&view::<T>(a)?, &view::<T>(b)?) / T::from_f64(batch as f64);
        }
        cpu::tensor(vec![sum], &[])
    })
}

/// `−Σ s·x/batch` over one pair `(x, s)` of a matrix and a scalar, or two.
fn share(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (first, batch) = (pairs[0].0, pairs[0].0.dims()[0]);
    on_cuda!(first => launched("cross_entropy_adjoint", first.elem_count(), pairs, first.dims()));
    by_dtype!(first, T => {
        let factor = |s: &Tensor| Ok::<T, Error>(-view::<T>(s)?[0] / T::from_f64(batch as f64));
        let f = factor(pairs[0].1)?;
        match pairs.get(1) {
            None => map::<T>(first, #[inline(always)] move |x| f * x),
            Some((second, s)) => {
                let g = factor(s)?;
                zip::<T>(first, second, #[inline(always)] move |x, z| f * x + g * z)
            }
        }
    })
}

/// What a kernel of a CUDA device makes of one pair or two: a tensor of this shape.
#[cfg(feature = "cuda")]
fn launched(
    kernel: &'static str,
    n: usize,
    pairs: &[(&Tensor, &Tensor)],
    shape: &[usize],
) -> Result<Tensor> {
    use crate::cuda::{Launch, empty};
    let ((a, b), second) = (pairs[0], pairs.get(1));
    let out = empty(a, shape)?;
    // A scalar is the work of one block.
    let launch = match shape {
        [] => Launch::blocks(kernel, a, 1, n),
        _ => Launch::each(kernel, a, n),
    };
    launch?
        .tensors([a, b])?
        .optional([second.map(|pair| pair.0), second.map(|pair| pair.1)])?
        .tensors([&out])?
        .int(a.dims()[0])?
        .run()?;
    Ok(out)
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
