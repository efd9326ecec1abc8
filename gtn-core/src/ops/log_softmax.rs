//! Logarithm of the softmax.

use super::{Forward, Keep, Kept, Op, arity};
use crate::cpu::{self, Float, by_dtype, view};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::on_cuda;
use crate::tensors::zeros_like;
use crate::{Error, Result};
use candle_core::Tensor;

/// `x − log Σ exp x` a row, for `x (batch, classes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("log_softmax", args)?;
        match x {
            [_, classes] if *classes > 0 => Ok(x.to_vec()),
            _ => {
                Err(Error::shape("log_softmax", format!("expected (batch, classes), found {x:?}")))
            }
        }
    }

    fn keep(&self) -> Keep {
        Keep::OUTPUT
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        on_cuda!(args[0] => {
            Ok(Forward::plain(by_row("log_softmax", &[Some(args[0])])?))
        });
        Ok(Forward::plain(by_dtype!(args[0], T => rows::<T, _>([args[0]], |[x], y| {
            let max = x.iter().copied().fold(num_traits::Float::neg_infinity(), |a, b| if b > a { b } else { a });
            let sum: T = x.iter().map(|&v| num_traits::Float::exp(v - max)).sum();
            let log = max + num_traits::Float::ln(sum);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x - log;
            }
        }))?))
    }

    /// `x̄ = ȳ − p·Σȳ`, with `p = exp y`.
    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        on_cuda!(gy => {
            Ok(vec![Some(by_row("log_softmax_adjoint", &[Some(kept.output()), Some(gy)])?)])
        });
        Ok(vec![Some(by_dtype!(gy, T => rows::<T, _>([kept.output(), gy], |[y, gy], gx| {
            let sum: T = gy.iter().copied().sum();
            for (gx, (&y, &gy)) in gx.iter_mut().zip(y.iter().zip(gy)) {
                *gx = gy - num_traits::Float::exp(y) * sum;
            }
        }))?)])
    }

    /// `ẏ = ẋ − ⟨p,ẋ⟩`.
    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let Some(dx) = dargs[0] else { return Ok(None) };
        on_cuda!(dx => {
            by_row("log_softmax_tangent", &[Some(kept.output()), Some(dx)]).map(Some)
        });
        by_dtype!(dx, T => rows::<T, _>([kept.output(), dx], |[y, dx], dy| {
            let mean = expectation(y, dx);
            for (dy, &dx) in dy.iter_mut().zip(dx) {
                *dy = dx - mean;
            }
        }))
        .map(Some)
    }

    /// The adjoint's tangent: `ȳ˙ − p·Σȳ˙ − p·ẏ·Σȳ`.
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
        on_cuda!(gy => {
            let args = [Some(kept.output()), dargs[0], Some(gy), dgy];
            Ok(vec![Some(by_row("log_softmax_adjoint_tangent", &args)?)])
        });
        let zero = zeros_like(gy, gy.dims())?;
        let (dx, dgy) = (dargs[0].unwrap_or(&zero), dgy.unwrap_or(&zero));
        Ok(vec![Some(by_dtype!(gy, T => {
            rows::<T, _>([kept.output(), dx, gy, dgy], |[y, dx, gy, dgy], out| {
                let mean = expectation(y, dx);
                let sum: T = gy.iter().copied().sum();
                let dsum: T = dgy.iter().copied().sum();
                for i in 0..out.len() {
                    let p = num_traits::Float::exp(y[i]);
                    out[i] = dgy[i] - p * (dsum + (dx[i] - mean) * sum);
                }
            })
        })?)])
    }
}

/// `⟨exp y, v⟩`.
fn expectation<T: Float>(y: &[T], v: &[T]) -> T {
    y.iter().zip(v).map(|(&y, &v)| num_traits::Float::exp(y) * v).sum()
}

/// Fills an output row by row from the rows of tensors of one shape.
fn rows<T: Float, const N: usize>(
    tensors: [&Tensor; N],
    f: impl Fn([&[T]; N], &mut [T]),
) -> Result<Tensor> {
    let (batch, classes) = tensors[0].dims2()?;
    let views = tensors.iter().map(|t| view::<T>(t)).collect::<Result<Vec<_>>>()?;
    let mut out = vec![T::zero(); batch * classes];
    for (n, out) in out.chunks_mut(classes.max(1)).enumerate() {
        f(std::array::from_fn(|i| &views[i][n * classes..(n + 1) * classes]), out);
    }
    cpu::tensor(out, &[batch, classes])
}

/// What a kernel of a CUDA device makes of the rows of tensors of one shape; the first is there.
#[cfg(feature = "cuda")]
fn by_row(kernel: &'static str, tensors: &[Option<&Tensor>]) -> Result<Tensor> {
    let like = tensors[0].expect("the first is there");
    let (batch, classes) = like.dims2()?;
    let out = cuda::empty(like, &[batch, classes])?;
    cuda::Launch::each(kernel, like, batch)?
        .optional(tensors.iter().copied())?
        .tensors([&out])?
        .int(classes)?
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
            let x = (uniform(&[batch, classes], seed) * 3.0).unwrap();
            check(&LogSoftmax, Case::smooth(vec![x], seed))?;
        }
    }

    #[test]
    fn agrees_with_candle_nn_and_survives_large_inputs() {
        let x = (uniform(&[4, 10], 3) * 700.0).unwrap();
        let ours = LogSoftmax.forward(&[&x]).unwrap().y;
        let theirs = candle_nn::ops::log_softmax(&x, 1).unwrap();
        let gap = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
        assert!(gap.to_scalar::<f64>().unwrap() < 1e-10);
    }
}
