//! Weights `(out, in, kernel_h, kernel_w)` in the orders that the kernels read.

use super::geometry::Geometry;
use crate::cpu::Float;
use rayon::prelude::*;

/// `[ky][kx][in][out]`.
pub(super) fn in_out<T: Float>(g: &Geometry, w: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    let mut packed = vec![T::zero(); w.len()];
    packed.par_chunks_mut(g.out_channels).enumerate().with_min_len(32).for_each(|(row, packed)| {
        let (tap, c) = (row / g.channels, row % g.channels);
        for (o, to) in packed.iter_mut().enumerate() {
            *to = w[(o * g.channels + c) * taps + tap];
        }
    });
    packed
}

/// `[ky][kx][out][in]`.
pub(super) fn out_in<T: Float>(g: &Geometry, w: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    let mut packed = vec![T::zero(); w.len()];
    packed.par_chunks_mut(g.channels).enumerate().with_min_len(32).for_each(|(row, packed)| {
        let (tap, o) = (row / g.out_channels, row % g.out_channels);
        for (c, to) in packed.iter_mut().enumerate() {
            *to = w[(o * g.channels + c) * taps + tap];
        }
    });
    packed
}

/// The inverse of [`in_out`].
pub(super) fn from_in_out<T: Float>(g: &Geometry, packed: &[T]) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    let mut w = vec![T::zero(); packed.len()];
    w.par_chunks_mut(g.channels * taps).enumerate().for_each(|(o, w)| {
        for (at, to) in w.iter_mut().enumerate() {
            let (c, tap) = (at / taps, at % taps);
            *to = packed[(tap * g.channels + c) * g.out_channels + o];
        }
    });
    w
}

/// Adds up parts of one size, in order.
pub(super) fn total<T: Float>(mut parts: Vec<Vec<T>>) -> Vec<T> {
    const CHUNK: usize = 1 << 12;
    if parts.is_empty() {
        return Vec::new();
    }
    let mut sum = parts.remove(0);
    sum.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sum)| {
        for part in &parts {
            for (sum, &v) in sum.iter_mut().zip(&part[chunk * CHUNK..]) {
                *sum += v;
            }
        }
    });
    sum
}
