//! Weights `(out, in, kernel_h, kernel_w)` in the orders that the kernels read.

use super::geometry::Geometry;
use crate::cpu::{Float, parallel};

/// Rows of packed weights that one task fills.
const ROWS: usize = 32;

/// `[ky][kx][in][out]`.
pub(super) fn in_out<T: Float>(g: &Geometry, w: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    parallel::filled(w.len(), ROWS * g.out_channels, &|part, rows| {
        for (row, packed) in rows.chunks_mut(g.out_channels).enumerate() {
            let row = part * ROWS + row;
            let (tap, c) = (row / g.channels, row % g.channels);
            for (o, to) in packed.iter_mut().enumerate() {
                *to = w[(o * g.channels + c) * taps + tap];
            }
        }
    })
}

/// `[ky][kx][out][in]`.
pub(super) fn out_in<T: Float>(g: &Geometry, w: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    parallel::filled(w.len(), ROWS * g.channels, &|part, rows| {
        for (row, packed) in rows.chunks_mut(g.channels).enumerate() {
            let row = part * ROWS + row;
            let (tap, o) = (row / g.out_channels, row % g.out_channels);
            for (c, to) in packed.iter_mut().enumerate() {
                *to = w[(o * g.channels + c) * taps + tap];
            }
        }
    })
}

/// `[in][ky][kx][out]`.
pub(super) fn in_taps<T: Float>(g: &Geometry, w: &[T]) -> Vec<T> {
    let (o, taps) = (g.out_channels, g.kernel_h * g.kernel_w);
    (0..w.len())
        .map(|at| {
            let (c, tap, o) = (at / (taps * o), at / o % taps, at % o);
            w[(o * g.channels + c) * taps + tap]
        })
        .collect()
}

/// Weights from `[ky][kx][out][in]` with the taps of a row in reverse.
pub(super) fn from_taps_reversed<T: Float>(g: &Geometry, packed: &[T]) -> Vec<T> {
    let (o, taps) = (g.out_channels, g.kernel_h * g.kernel_w);
    (0..packed.len())
        .map(|at| {
            let (of, c, ky, kx) = (
                at / (g.channels * taps),
                at / taps % g.channels,
                at % taps / g.kernel_w,
                at % g.kernel_w,
            );
            let tap = ky * g.kernel_w + g.kernel_w - 1 - kx;
            packed[(tap * o + of) * g.channels + c]
        })
        .collect()
}

/// The inverse of [`in_out`].
pub(super) fn from_in_out<T: Float>(g: &Geometry, packed: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    parallel::filled(packed.len(), g.channels * taps, &|o, w| {
        for (at, to) in w.iter_mut().enumerate() {
            let (c, tap) = (at / taps, at % taps);
            *to = packed[(tap * g.channels + c) * g.out_channels + o];
        }
    })
}

/// Adds up parts of one size, in order.
pub(super) fn total<T: Float>(mut parts: Vec<Vec<T>>) -> Vec<T> {
    const CHUNK: usize = 1 << 12;
    if parts.is_empty() {
        return Vec::new();
    }
    let mut sum = parts.remove(0);
    parallel::update(&mut sum, CHUNK, &|chunk, sum| {
        for part in &parts {
            for (sum, &v) in sum.iter_mut().zip(&part[chunk * CHUNK..]) {
                *sum += v;
            }
        }
    });
    sum
}
