//! The weights' transforms.

use super::channels::{Channels, Patch};
use super::transform::{Kernel, KernelBack};
use super::{PLACES, SIDE};
use crate::cpu::parallel::{self, Making};
use crate::cpu::{Lanes, dispatch};
use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// `G w Gᵀ` of weights `[ky][kx][row][column]`: for each place, `[row][column]`.
pub(super) fn lift<T: Lanes>(packed: &[T], size: usize) -> Vec<Vec<T>> {
    struct Lift<'a, 'b, T>(&'a [T], &'a mut [&'b mut [MaybeUninit<T>]; PLACES], usize, usize);
    impl<T: Lanes> WithSimd for Lift<'_, '_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(packed, out, first, size) = self;
            let channels = Channels::<T, S>::new(simd, out[0].len());
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let from = Patch { corner: first + c, row: 3 * size, column: size };
                let w = channels.read::<3>(packed, from, width);
                let u = channels.transform::<Kernel, 3, SIDE>(w);
                for place in 0..PLACES {
                    channels.store(out[place], c, width, u[place / SIDE][place % SIDE]);
                }
            }
        }
    }

    let chunk = chunk(size);
    let lifted: Vec<Making<T>> = (0..PLACES).map(|_| Making::new(size, chunk)).collect();
    parallel::for_each(size.div_ceil(chunk), &|task| {
        // SAFETY: the transform writes every element.
        let mut out = std::array::from_fn(|place| unsafe { lifted[place].unwritten(task) });
        dispatch(Lift(packed, &mut out, task * chunk, size));
    });
    lifted.into_iter().map(Making::finish).collect()
}

/// `Gᵀ u G` of `[place][row][column]`, the places one after the other: `[ky][kx][row][column]`.
pub(super) fn lower<T: Lanes>(lifted: &[T], size: usize) -> Vec<T> {
    struct Lower<'a, 'b, T>(&'a [T], &'a mut [&'b mut [MaybeUninit<T>]; 9], usize, usize);
    impl<T: Lanes> WithSimd for Lower<'_, '_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(lifted, out, first, size) = self;
            let channels = Channels::<T, S>::new(simd, out[0].len());
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let from = Patch { corner: first + c, row: SIDE * size, column: size };
                let u = channels.read::<SIDE>(lifted, from, width);
                let w = channels.transform::<KernelBack, SIDE, 3>(u);
                for tap in 0..9 {
                    channels.store(out[tap], c, width, w[tap / 3][tap % 3]);
                }
            }
        }
    }

    let chunk = chunk(size);
    let taps: [Making<T>; 9] = std::array::from_fn(|_| Making::new(size, chunk));
    parallel::for_each(size.div_ceil(chunk), &|task| {
        // SAFETY: the transform writes every element.
        let mut out = taps.each_ref().map(|tap| unsafe { tap.unwritten(task) });
        dispatch(Lower(lifted, &mut out, task * chunk, size));
    });
    taps.into_iter().flat_map(Making::finish).collect()
}

/// Elements of each place that a task works on.
fn chunk(size: usize) -> usize {
    size.div_ceil(16).max(64)
}
