//! The device's part of [`crate::tensors`] and [`crate::layout`].

use super::columns::TILE;
use super::launch::{BLOCK, SEGMENTS};
use super::{Launch, elementwise, empty, empty_of};
use crate::Result;
use crate::layout::{channels_first, channels_last, one_for_all};
use candle_core::{DType, Device, Tensor};
use std::sync::{Mutex, PoisonError};

/// Partial sums of an inner product at most: a few blocks for each multiprocessor of a large device.
pub(super) const BLOCKS: usize = 256;

pub(crate) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    for (dense, repeated) in [(x, y), (y, x)] {
        if let Some(v) = one_for_all(repeated)? {
            let last = channels_last(dense)?;
            return channels_first(add_channels(Some(&last), &v, 1.0, last.dims())?);
        }
    }
    let [sum] = elementwise("add", [x, y], &[])?;
    Ok(sum)
}

/// `x + factor·v` for `x (…, channels)` of this shape, zeros if absent, and `v (channels)`.
pub(crate) fn add_channels(
    x: Option<&Tensor>,
    v: &Tensor,
    factor: f64,
    shape: &[usize],
) -> Result<Tensor> {
    let sum = empty(v, shape)?;
    Launch::each("add_channels", v, sum.elem_count())?
        .optional([x])?
        .tensors([v, &sum])?
        .int(v.elem_count())?
        .reals([factor])
        .run()?;
    Ok(sum)
}

/// `a·x + b·z`, or `a·x` without `z`.
pub(crate) fn combined(x: &Tensor, z: Option<&Tensor>, a: f64, b: f64) -> Result<Tensor> {
    let y = empty(x, x.dims())?;
    Launch::each("combine", x, x.elem_count())?
        .tensors([x])?
        .optional([z])?
        .tensors([&y])?
        .reals([a, b])
        .run()?;
    Ok(y)
}

/// A one: made once for each type and device.
pub(crate) fn one_like(like: &Tensor) -> Result<Tensor> {
    static MADE: Mutex<Vec<Tensor>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let same =
        |one: &&Tensor| one.dtype() == like.dtype() && one.device().same_device(like.device());
    if let Some(one) = made.iter().find(same) {
        return Ok(one.clone());
    }
    made.push(Tensor::ones((), like.dtype(), like.device())?);
    Ok(made[made.len() - 1].clone())
}

/// `x` times each of two factors.
pub(crate) fn multiples(x: &Tensor, factors: [f64; 2]) -> Result<[Tensor; 2]> {
    elementwise("multiples", [x], &factors)
}

/// The matrices `(rows, columns)` that `x` is a row of, transposed, in a tensor of this shape.
pub(crate) fn transposed(
    x: &Tensor,
    [rows, columns]: [usize; 2],
    shape: &[usize],
) -> Result<Tensor> {
    let y = empty(x, shape)?;
    let n = x.elem_count();
    let squares = rows.div_ceil(TILE) * columns.div_ceil(TILE);
    let matrices = n.checked_div(rows * columns).unwrap_or(0);
    Launch::blocks("transpose", x, matrices * squares, n)?
        .tensors([x, &y])?
        .ints([rows, columns])?
        .run()?;
    Ok(y)
}

pub(crate) fn inner_product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let n = x.elem_count();
    let partial = Partial::new(x, n, 1)?;
    partial.filled(Launch::blocks("inner_product", x, partial.blocks, n)?.tensors([x, y])?, &[])?;
    Ok(partial.totals()?.reshape(())?)
}

/// A few sums over all elements, in double precision: a kernel adds up a block's share of each.
#[derive(Debug)]
pub(crate) struct Partial {
    sums: Tensor,
    pub(crate) blocks: usize,
}

impl Partial {
    /// For `each` sums over `n` elements of tensors on the device of `like`.
    pub(crate) fn new(like: &Tensor, n: usize, each: usize) -> Result<Self> {
        let blocks = n.div_ceil(BLOCK * 4).clamp(1, BLOCKS);
        Ok(Self { sums: empty_of(DType::F64, like, &[blocks, each])?, blocks })
    }

    /// Adds the last arguments and runs the kernel.
    pub(crate) fn filled(&self, launch: Launch, reals: &[f64]) -> Result<()> {
        let launch = launch.tensor(&self.sums, DType::F64)?.int(self.blocks)?;
        launch.reals(reals.iter().copied()).run()
    }

    /// The sums, `(each)`.
    pub(crate) fn totals(&self) -> Result<Tensor> {
        let each = self.sums.dims()[1];
        let totals = empty(&self.sums, &[each])?;
        Launch::blocks("total_columns", &self.sums, 1, each)?
            .tensors([&self.sums, &totals])?
            .optional([None, None])?
            .int(self.blocks)?
            .run()?;
        Ok(totals)
    }
}

/// `b` times vectors end to end, plus `a·x` where there is an `x`.
pub(crate) fn joined(
    parts: &[(Option<Tensor>, usize)],
    dtype: DType,
    device: &Device,
    x: Option<&Tensor>,
    [a, b]: [f64; 2],
) -> Result<Tensor> {
    let len = parts.iter().map(|(_, len)| len).sum::<usize>();
    let Device::Cuda(cuda) = device else { unreachable!("called for CUDA devices") };
    let all = super::empty_on(cuda, dtype, &[len])?;
    let mut start = 0;
    for parts in parts.chunks(SEGMENTS) {
        let len = parts.iter().map(|(_, len)| len).sum();
        let part = |all: &Tensor| all.narrow(0, start, len);
        Launch::each("join", &all, len)?
            .segments(parts)?
            .optional([x.map(part).transpose()?.as_ref()])?
            .tensors([&part(&all)?])?
            .reals([a, b])
            .run()?;
        start += len;
    }
    Ok(all)
}
