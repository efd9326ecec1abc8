//! Feature maps as matrices with a row for each pixel and a column for each channel.
//!
//! Closures handed to these functions are `#[inline(always)]`, since only what is inlined is compiled
//! for the machine's vectors, and `move`: what they capture is then in registers, where a reference
//! might point into what they write.

use super::parallel::{self, Making};
use super::{Float, tensor, vectorize, view};
use crate::Result;
use crate::layout::{channels_first, channels_last};
use candle_core::Tensor;

/// Rows that one task works on: a constant, so that sums do not depend on the number of threads.
const ROWS: usize = 256;

/// Calls `f` for every channel of a row, with the channel's elements in that
/// row of `maps` and in `vectors`.
#[inline(always)]
fn for_each_channel<T: Float, const N: usize, const M: usize>(
    row: usize,
    columns: usize,
    maps: [&[T]; N],
    vectors: [&[T]; M],
    mut f: impl FnMut(usize, [T; N], [T; M]),
) {
    let mut rows: [&[T]; N] = [&[]; N];
    for n in 0..N {
        rows[n] = &maps[n][row * columns..][..columns];
    }
    let mut all: [&[T]; M] = [&[]; M];
    for m in 0..M {
        all[m] = &vectors[m][..columns];
    }
    for c in 0..columns {
        let (mut x, mut v) = ([T::zero(); N], [T::zero(); M]);
        for n in 0..N {
            x[n] = rows[n][c];
        }
        for m in 0..M {
            v[m] = all[m][c];
        }
        f(c, x, v);
    }
}

/// `K` sums over the pixels of each channel: of what `f` makes of the elements of `maps`, feature maps with
/// `columns` channels (channels last), and of `vectors`, with an element for each channel.
pub(crate) fn sums_by_channel<T: Float, const N: usize, const M: usize, const K: usize>(
    columns: usize,
    maps: [&[T]; N],
    vectors: [&[T]; M],
    f: impl Fn([T; N], [T; M]) -> [T; K] + Sync + Copy,
) -> [Vec<T>; K] {
    let zero = || std::array::from_fn(|_| vec![T::zero(); columns]);
    let pixels = maps[0].len() / columns;
    let parts: Vec<[Vec<T>; K]> = parallel::map(pixels.div_ceil(ROWS), &|part| {
        let mut sums: [Vec<T>; K] = zero();
        let mut slices = sums.each_mut().map(Vec::as_mut_slice);
        let slices = &mut slices;
        vectorize(
            #[inline(always)]
            move || {
                for row in part * ROWS..((part + 1) * ROWS).min(pixels) {
                    let mut sums = slices.each_mut().map(|sum| &mut sum[..columns]);
                    for_each_channel(
                        row,
                        columns,
                        maps,
                        vectors,
                        #[inline(always)]
                        |c, x, v| {
                            let values = f(x, v);
                            for k in 0..K {
                                sums[k][c] += values[k];
                            }
                        },
                    );
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
    let last = channels_last(x)?;
    let [sums] = sums_by_channel::<T, 1, 0, 1>(
        x.dims()[1],
        [&view(&last)?],
        [],
        #[inline(always)]
        |x, []| x,
    );
    Ok(sums)
}

/// The feature map of shape `dims` that `f` makes of the elements of `maps`, feature
/// maps of that shape (channels last), and of `vectors`, with an element for each channel.
pub(crate) fn channelwise<T: Float, const N: usize, const M: usize>(
    dims: &[usize],
    maps: [&[T]; N],
    vectors: [&[T]; M],
    f: impl Fn([T; N], [T; M]) -> T + Sync + Copy,
) -> Result<Tensor> {
    let columns = dims[1];
    let making = Making::new(dims.iter().product(), ROWS * columns);
    parallel::for_each(making.parts(), &|part| {
        // SAFETY: the loop below writes every channel of every row.
        let rows = unsafe { making.unwritten(part) };
        vectorize(
            #[inline(always)]
            move || {
                for (i, out) in rows.chunks_exact_mut(columns).enumerate() {
                    for_each_channel(
                        part * ROWS + i,
                        columns,
                        maps,
                        vectors,
                        #[inline(always)]
                        |c, x, v| {
                            out[c].write(f(x, v));
                        },
                    );
                }
            },
        );
    });
    feature_map(making.finish(), dims)
}

/// As [`channelwise`], and the sum of each channel of the result.
pub(crate) fn channelwise_summed<T: Float, const N: usize, const M: usize>(
    dims: &[usize],
    maps: [&[T]; N],
    vectors: [&[T]; M],
    f: impl Fn([T; N], [T; M]) -> T + Sync + Copy,
) -> Result<(Tensor, Vec<T>)> {
    let columns = dims[1];
    let (out, parts) =
        parallel::filled_with(dims.iter().product(), ROWS * columns, &|part, rows| {
            let mut sums = vec![T::zero(); columns];
            let all = &mut sums[..];
            vectorize(
                #[inline(always)]
                move || {
                    for (i, out) in rows.chunks_exact_mut(columns).enumerate() {
                        let sums = &mut all[..columns];
                        for_each_channel(
                            part * ROWS + i,
                            columns,
                            maps,
                            vectors,
                            #[inline(always)]
                            |c, x, v| {
                                let value = f(x, v);
                                out[c] = value;
                                sums[c] += value;
                            },
                        );
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

/// A feature map filled row by row: `fill` gets a row's number and the row.
pub(crate) fn from_rows<T: Float>(
    dims: &[usize],
    fill: impl Fn(usize, &mut [T]) + Sync + Copy,
) -> Result<Tensor> {
    let columns = dims[1];
    let out = parallel::filled(dims.iter().product(), ROWS * columns, &|part, rows| {
        vectorize(
            #[inline(always)]
            move || {
                for (i, row) in rows.chunks_exact_mut(columns).enumerate() {
                    fill(part * ROWS + i, row);
                }
            },
        );
    });
    feature_map(out, dims)
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
