//! Feature maps as matrices with a row for each pixel and a column for each channel.
//!
//! Closures handed to these functions are marked `#[inline(always)]`: only what is
//! inlined is compiled for the machine's vectors.

use super::{Float, channels_first, channels_last, parallel, tensor, vectorize, view};
use crate::Result;
use candle_core::Tensor;

/// Rows that one task works on: a constant, so that sums do not depend on the number of threads.
const ROWS: usize = 256;

/// For each of `N` functions, its sum over the rows of each column.
///
/// `add` gets a row's number, the row, and the sums so far, column by column.
pub(crate) fn column_sums<T: Float, const N: usize>(
    x: &[T],
    columns: usize,
    add: impl Fn(usize, &[T], &mut [Vec<T>; N]) + Sync,
) -> [Vec<T>; N] {
    let zero = || std::array::from_fn(|_| vec![T::zero(); columns]);
    let size = (ROWS * columns).max(1);
    let parts: Vec<[Vec<T>; N]> = parallel::map(x.len().div_ceil(size), &|part| {
        let rows = &x[part * size..((part + 1) * size).min(x.len())];
        let mut sums = zero();
        vectorize(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact(columns).enumerate() {
                    add(part * ROWS + i, row, &mut sums);
                }
            },
        );
        sums
    });
    parts.into_iter().fold(zero(), |mut total, part| {
        for (total, part) in total.iter_mut().zip(part) {
            for (total, v) in total.iter_mut().zip(part) {
                *total += v;
            }
        }
        total
    })
}

/// The sum of each channel of `x (batch, channels, …)`.
pub(crate) fn channel_sums<T: Float>(x: &Tensor) -> Result<Vec<T>> {
    let columns = x.dims()[1];
    let x = channels_last(x)?;
    let x = view::<T>(&x)?;
    let [sums] = column_sums::<T, 1>(
        &x,
        columns,
        #[inline(always)]
        |_, row, [sums]| {
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += v;
            }
        },
    );
    Ok(sums)
}

/// A feature map filled row by row: `fill` gets a row's number and the row.
pub(crate) fn from_rows<T: Float>(
    dims: &[usize],
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<Tensor> {
    let columns = dims[1];
    let out = parallel::filled(dims.iter().product(), ROWS * columns, &|part, rows| {
        vectorize(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(columns).enumerate() {
                    fill(part * ROWS + i, row);
                }
            },
        );
    });
    feature_map(out, dims)
}

/// As [`from_rows`], and the sum of each channel of what was filled in.
pub(crate) fn from_rows_summed<T: Float>(
    dims: &[usize],
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<(Tensor, Vec<T>)> {
    let columns = dims[1];
    let (out, parts) =
        parallel::filled_with(dims.iter().product(), ROWS * columns, &|part, rows| {
            let mut sums = vec![T::zero(); columns];
            vectorize(
                #[inline(always)]
                || {
                    for (i, row) in rows.chunks_exact_mut(columns).enumerate() {
                        fill(part * ROWS + i, row);
                        for (sum, &v) in sums.iter_mut().zip(&*row) {
                            *sum += v;
                        }
                    }
                },
            );
            sums
        });
    let total = parts.into_iter().fold(vec![T::zero(); columns], |mut total, part| {
        for (total, v) in total.iter_mut().zip(part) {
            *total += v;
        }
        total
    });
    Ok((feature_map(out, dims)?, total))
}

/// A tensor of shape `dims` around rows of pixels.
fn feature_map<T: Float>(rows: Vec<T>, dims: &[usize]) -> Result<Tensor> {
    match *dims {
        [batch, channels, height, width] => {
            channels_first(tensor(rows, &[batch, height, width, channels])?)
        }
        _ => tensor(rows, dims),
    }
}

/// `v (channels)` at every pixel of a feature map, without memory of its own.
/// [`super::add`] knows such tensors.
pub(crate) fn everywhere(v: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let mut shape = vec![1; dims.len()];
    shape[1] = dims[1];
    Ok(v.reshape(shape)?.broadcast_as(dims)?)
}

/// The vector that [`everywhere`] made a feature map of, if it did.
pub(crate) fn one_for_all(x: &Tensor) -> Result<Option<Tensor>> {
    let repeats = x.stride().iter().enumerate().all(|(axis, &stride)| (axis == 1) == (stride == 1));
    if !repeats || x.stride().iter().sum::<usize>() != 1 {
        return Ok(None);
    }
    let mut first = x.clone();
    for axis in (0..x.dims().len()).filter(|&axis| axis != 1) {
        first = first.narrow(axis, 0, 1)?;
    }
    Ok(Some(first.flatten_all()?))
}

/// `f` of every element of `x (batch, channels, …)` and its channel's element of `v (channels)`.
pub(crate) fn with_channels<T: Float>(
    x: &Tensor,
    v: &[T],
    f: impl Fn(T, T) -> T + Sync,
) -> Result<Tensor> {
    let last = channels_last(x)?;
    let data = view::<T>(&last)?;
    let (data, columns) = (&*data, v.len());
    from_rows(
        x.dims(),
        #[inline(always)]
        |row, out| {
            for ((out, &x), &v) in out.iter_mut().zip(&data[row * columns..]).zip(v) {
                *out = f(x, v);
            }
        },
    )
}
