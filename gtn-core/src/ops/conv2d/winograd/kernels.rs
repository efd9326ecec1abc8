//! The weights' transforms.

use super::SIDE;
use super::channels::{Channels, Patch};
use super::transform::Axis;
use crate::cpu::parallel::{self, Making};
use crate::cpu::{Lanes, dispatch};
use pulp::{Simd, WithSimd};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Values of a transformed kernel.
pub(super) const KERNELS: usize = SIDE * SIDE;

/// `G w Gᵀ` of weights `[ky][kx][row][column]`: for each of its values, `[row][column]`.
pub(super) fn lift<A: Axis<3, SIDE>, T: Lanes>(packed: &[T], size: usize) -> Vec<Vec<T>> {
    struct Lift<'a, 'b, A, T> {
        packed: &'a [T],
        out: &'a mut [&'b mut [MaybeUninit<T>]; KERNELS],
        first: usize,
        size: usize,
        axis: PhantomData<A>,
    }
    impl<A: Axis<3, SIDE>, T: Lanes> WithSimd for Lift<'_, '_, A, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { packed, out, first, size, .. } = self;
            let channels = Channels::<T, S>::new(simd, out[0].len());
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let from = Patch { corner: first + c, row: 3 * size, column: size };
                let w = channels.read::<3>(packed, from, width);
                let u = channels.transform::<A, 3, SIDE>(w);
                for value in 0..KERNELS {
                    channels.store(out[value], c, width, u[value / SIDE][value % SIDE]);
                }
            }
        }
    }

    let chunk = chunk(size);
    let lifted: Vec<Making<T>> = (0..KERNELS).map(|_| Making::new(size, chunk)).collect();
    parallel::for_each(size.div_ceil(chunk), &|task| {
        // SAFETY: the transform writes every element.
        let mut out = std::array::from_fn(|value| unsafe { lifted[value].unwritten(task) });
        let first = task * chunk;
        dispatch(Lift { packed, out: &mut out, first, size, axis: PhantomData::<A> });
    });
    lifted.into_iter().map(Making::finish).collect()
}

/// `Gᵀ u G` of `[value][row][column]`, the values one after the other: `[ky][kx][row][column]`.
pub(super) fn lower<A: Axis<SIDE, 3>, T: Lanes>(lifted: &[T], size: usize) -> Vec<T> {
    struct Lower<'a, 'b, A, T> {
        lifted: &'a [T],
        out: &'a mut [&'b mut [MaybeUninit<T>]; 9],
        first: usize,
        size: usize,
        axis: PhantomData<A>,
    }
    impl<A: Axis<SIDE, 3>, T: Lanes> WithSimd for Lower<'_, '_, A, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { lifted, out, first, size, .. } = self;
            let channels = Channels::<T, S>::new(simd, out[0].len());
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let from = Patch { corner: first + c, row: SIDE * size, column: size };
                let u = channels.read::<SIDE>(lifted, from, width);
                let w = channels.transform::<A, SIDE, 3>(u);
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
        let first = task * chunk;
        dispatch(Lower { lifted, out: &mut out, first, size, axis: PhantomData::<A> });
    });
    taps.into_iter().flat_map(Making::finish).collect()
}

/// Elements of each value that a task works on.
fn chunk(size: usize) -> usize {
    size.div_ceil(16).max(64)
}
