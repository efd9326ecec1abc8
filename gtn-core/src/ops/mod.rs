//! The operations that networks are made of, one file (or folder) each.
//!
//! An operation `y = f(a₁, a₂, …)` supplies four functions, enough to take a
//! gradient through a gradient step (see [`crate::meta`]):
//!
//! | function | computes |
//! | --- | --- |
//! | [`Op::forward`] | `y` |
//! | [`Op::backward`] | the adjoints `āᵢ` from `ȳ` |
//! | [`Op::tangent`] | `ẏ` from the tangents `ȧᵢ` |
//! | [`Op::backward_tangent`] | the tangents of the `āᵢ`, from `ȳ`, its tangent and the `ȧᵢ` |
//!
//! Parameters are arguments like any other, so nothing here knows of layers.
//! Every operation is checked against central differences in f64 by
//! [`check`](self), over random shapes.

mod avg_pool;
mod batch_norm;
mod bias;
mod channel_mean;
mod concat;
mod conv2d;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda;
mod depthwise_conv;
mod global_avg_pool;
mod leaky_relu;
mod linear;
mod log_softmax;
mod max_pool;
mod mean_norm;
mod product_rule;
mod reflection_pad;
mod reshape;
mod sum;
mod tanh;
mod upsample;
pub(crate) mod weight_norm;
mod window;
mod zeroize;

#[cfg(test)]
pub(crate) mod check;

pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use bias::Bias;
pub use channel_mean::ChannelMean;
pub use concat::Concat;
pub use conv2d::{Conv2d, PooledConv2d};
pub use cross_entropy::CrossEntropy;
pub use depthwise_conv::DepthwiseConv;
pub use global_avg_pool::GlobalAvgPool;
pub use leaky_relu::LeakyRelu;
pub use linear::Linear;
pub(crate) use linear::matrix_product;
pub use log_softmax::LogSoftmax;
pub use max_pool::MaxPool;
pub use mean_norm::MeanNorm;
pub use reflection_pad::ReflectionPad;
pub use reshape::Reshape;
pub use sum::Sum;
pub use tanh::Tanh;
pub use upsample::Upsample;
pub use weight_norm::WeightNorm;
pub use window::Padding;
pub use zeroize::Zeroize;

use crate::tensors::{add, zeros_like};
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt::Debug;

/// A differentiable operation with one output.
///
/// `dargs` holds a tangent for each argument, `None` where it is zero.
/// `wants` says which arguments need an adjoint; others come back `None`.
/// An adjoint of `None` for a wanted argument means zero.
pub trait Op: Debug + Send + Sync {
    /// The name used in error messages.
    fn name(&self) -> &'static str;

    /// The output's shape for arguments of these shapes.
    ///
    /// # Errors
    /// [`Error::Shape`] when the operation does not take such arguments.
    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>>;

    /// Whether [`Op::backward`] costs so little, and its argument is so much larger than the
    /// output, that the argument's adjoint is computed again rather than kept.
    fn restores_adjoint(&self) -> bool {
        false
    }

    /// What the other three functions need to find in [`Kept`].
    fn keep(&self) -> Keep;

    /// Whether [`Forward::aux`] only saves [`Op::backward`] work: it goes once that is done, and the others do without.
    fn aux_is_for_backward(&self) -> bool {
        false
    }

    /// Computes the output, and what only the operation knows how to use
    /// later (pooling's indices, a norm's statistics).
    fn forward(&self, args: &[&Tensor]) -> Result<Forward>;

    /// Adjoints of the arguments from the output's adjoint `gy`.
    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>>;

    /// The output's tangent; `None` when it is zero.
    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>>;

    /// The tangent of [`Op::backward`]: of each argument's adjoint, where the
    /// output's adjoint is `gy` with tangent `dgy` (`None`: zero).
    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>>;

    /// As [`Op::backward`], and adds each adjoint to what its argument has got so far: for operations that
    /// can do so as they go.
    fn add_backward(
        &self,
        kept: &Kept,
        gy: &Tensor,
        wants: &[bool],
        sums: Vec<Option<Tensor>>,
    ) -> Result<Vec<Option<Tensor>>> {
        added(self.backward(kept, gy, wants)?, sums)
    }

    /// As [`Op::backward_tangent`], likewise.
    fn add_backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
        sums: Vec<Option<Tensor>>,
    ) -> Result<Vec<Option<Tensor>>> {
        added(self.backward_tangent(kept, dargs, gy, dgy, wants)?, sums)
    }

    /// Multiply-adds of a forward pass over arguments of these shapes, as far as weights are
    /// multiplied: what costs next to nothing beside that counts as nothing.
    fn multiply_adds(&self, _args: &[&[usize]]) -> u64 {
        0
    }
}

/// What [`Op::forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// The output.
    pub y: Tensor,
    /// Private to the operation: handed back to it in [`Kept`].
    pub aux: Vec<Tensor>,
}

impl Forward {
    pub(crate) fn plain(y: Tensor) -> Self {
        Self { y, aux: Vec::new() }
    }
}

/// Which values an operation wants kept from the passes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The arguments.
    pub args: bool,
    /// The output.
    pub output: bool,
    /// The output's adjoint, which [`Op::backward_tangent`] then finds in
    /// `gy`. An operation that is linear in all its arguments together
    /// may do without.
    pub adjoint: bool,
}

impl Keep {
    pub(crate) const NOTHING: Self = Self { args: false, output: false, adjoint: false };
    pub(crate) const ARGS: Self = Self { args: true, output: false, adjoint: true };
    pub(crate) const OUTPUT: Self = Self { args: false, output: true, adjoint: true };
}

/// Values of the forward pass, as far as [`Op::keep`] asked for them.
#[derive(Debug, Clone)]
pub struct Kept {
    pub(crate) args: Vec<Tensor>,
    pub(crate) arg_dims: Vec<Vec<usize>>,
    pub(crate) output: Option<Tensor>,
    pub(crate) aux: Vec<Tensor>,
}

impl Kept {
    /// Keeps of a forward step what `op` asks for.
    pub fn new(op: &dyn Op, args: &[&Tensor], forward: &Forward) -> Self {
        let keep = op.keep();
        Self {
            args: if keep.args { args.iter().map(|&a| a.clone()).collect() } else { Vec::new() },
            arg_dims: args.iter().map(|a| a.dims().to_vec()).collect(),
            output: keep.output.then(|| forward.y.clone()),
            aux: forward.aux.clone(),
        }
    }

    /// The arguments alone.
    pub(crate) fn of(args: &[&Tensor]) -> Self {
        Self {
            args: args.iter().map(|&a| a.clone()).collect(),
            arg_dims: args.iter().map(|a| a.dims().to_vec()).collect(),
            output: None,
            aux: Vec::new(),
        }
    }

    /// Argument `i`.
    ///
    /// # Panics
    /// When [`Op::keep`] did not ask for arguments.
    pub fn arg(&self, i: usize) -> &Tensor {
        &self.args[i]
    }

    /// The shape of argument `i`, always there.
    pub fn dims(&self, i: usize) -> &[usize] {
        &self.arg_dims[i]
    }

    /// The output.
    ///
    /// # Panics
    /// When [`Op::keep`] did not ask for it.
    pub fn output(&self) -> &Tensor {
        self.output.as_ref().expect("keep() asked for the output")
    }

    /// The operation's own tensors.
    pub fn aux(&self) -> &[Tensor] {
        &self.aux
    }
}

/// For an operation that is linear in all its arguments together: its tangent
/// adjoint is its adjoint, applied to the tangent.
pub(crate) fn linear_backward_tangent(
    op: &dyn Op,
    kept: &Kept,
    dgy: Option<&Tensor>,
    wants: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    match dgy {
        Some(dgy) => op.backward(kept, dgy, wants),
        None => Ok(vec![None; wants.len()]),
    }
}

/// [`linear_backward_tangent`], added to sums.
pub(crate) fn add_linear_backward_tangent(
    op: &dyn Op,
    kept: &Kept,
    dgy: Option<&Tensor>,
    wants: &[bool],
    sums: Vec<Option<Tensor>>,
) -> Result<Vec<Option<Tensor>>> {
    match dgy {
        Some(dgy) => op.add_backward(kept, dgy, wants, sums),
        None => Ok(sums),
    }
}

/// A tangent, or the zeros that its absence stands for.
pub(crate) fn or_zero(tangent: Option<&Tensor>, like: &Tensor, dims: &[usize]) -> Result<Tensor> {
    tangent.map_or_else(|| zeros_like(like, dims), |t| Ok(t.clone()))
}

/// [`Op::multiply_adds`] of a product with the weights `(out, …)`: for each output those of one row.
pub(crate) fn weight_multiply_adds(op: &dyn Op, args: &[&[usize]]) -> u64 {
    op.shape(args).map_or(0, |y| y.iter().chain(&args[1][1..]).product::<usize>() as u64)
}

/// Each share added to its sum; `None` stands for zero.
pub(crate) fn added(
    shares: Vec<Option<Tensor>>,
    sums: Vec<Option<Tensor>>,
) -> Result<Vec<Option<Tensor>>> {
    let all = sums.into_iter().zip(shares).map(|pair| match pair {
        (Some(sum), Some(share)) => add(&sum, &share).map(Some),
        (sum, share) => Ok(sum.or(share)),
    });
    all.collect()
}

/// The dimensions of a feature map `(batch, channels, height, width)`.
pub(crate) fn nchw(op: &'static str, dims: &[usize]) -> Result<[usize; 4]> {
    dims.try_into().map_err(|_| {
        Error::shape(
            op,
            format!("expected a feature map (batch, channels, height, width), found {dims:?}"),
        )
    })
}

/// Splits `(batch, channels, …)` into batch, channels and elements a channel.
pub(crate) fn channels(op: &'static str, dims: &[usize]) -> Result<[usize; 3]> {
    match dims {
        [batch, channels] => Ok([*batch, *channels, 1]),
        [batch, channels, height, width] => Ok([*batch, *channels, height * width]),
        _ => Err(Error::shape(
            op,
            format!(
                "expected (batch, channels) or (batch, channels, height, width), found {dims:?}"
            ),
        )),
    }
}

/// The number of arguments, checked.
pub(crate) fn arity<'a, const N: usize>(
    op: &'static str,
    args: &[&'a [usize]],
) -> Result<[&'a [usize]; N]> {
    args.try_into()
        .map_err(|_| Error::shape(op, format!("takes {N} arguments, found {}", args.len())))
}
