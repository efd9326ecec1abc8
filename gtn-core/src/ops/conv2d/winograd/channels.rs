//! Transforms of tiles whose elements are vectors of channels.

use super::transform::{Axis, Vector};
use crate::cpu::{Lanes, Mask, unwritten};
use pulp::Simd;
use std::mem::MaybeUninit;

/// The image under a tile: where its corner is, and how far its rows lie apart.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    pub(super) corner: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Transforms tiles of vectors of channels along both axes.
///
/// A plain function under `#[inline(always)]` and loops rather than
/// closures: only what is inlined is compiled for the machine's vectors.
#[derive(Clone, Copy)]
pub(super) struct Channels<T: Lanes, S: Simd> {
    simd: S,
    pub(super) count: usize,
    mask: Mask<T, S>,
}

impl<T: Lanes, S: Simd> Channels<T, S> {
    #[inline(always)]
    pub(super) fn new(simd: S, count: usize) -> Self {
        Self { simd, count, mask: T::first(simd, count % T::lanes::<S>()) }
    }

    /// Lanes of the vector that starts at channel `c`.
    #[inline(always)]
    pub(super) fn width(&self, c: usize) -> usize {
        T::lanes::<S>().min(self.count - c)
    }

    #[inline(always)]
    fn load(&self, from: &[T], at: usize, width: usize) -> Vector<T, S> {
        let from = &from[at..at + width];
        // SAFETY: the slice holds the lanes that are read.
        unsafe {
            if width == T::lanes::<S>() {
                T::load(self.simd, from.as_ptr())
            } else {
                T::load_first(self.simd, self.mask, from.as_ptr())
            }
        }
    }

    #[inline(always)]
    pub(super) fn store(
        &self,
        to: &mut [MaybeUninit<T>],
        at: usize,
        width: usize,
        value: Vector<T, S>,
    ) {
        let to: *mut T = to[at..at + width].as_mut_ptr().cast();
        // SAFETY: the slice holds the lanes that are written.
        unsafe {
            if width == T::lanes::<S>() {
                T::store(self.simd, to, value);
            } else {
                T::store_first(self.simd, self.mask, to, value);
            }
        }
    }

    #[inline(always)]
    pub(super) fn read<const N: usize>(
        &self,
        from: &[T],
        at: Patch,
        width: usize,
    ) -> [[Vector<T, S>; N]; N] {
        let mut tile = [[T::splat(self.simd, T::zero()); N]; N];
        for i in 0..N {
            for j in 0..N {
                tile[i][j] = self.load(from, at.corner + i * at.row + j * at.column, width);
            }
        }
        tile
    }

    #[inline(always)]
    pub(super) fn write<const N: usize>(
        &self,
        to: &mut [MaybeUninit<T>],
        at: Patch,
        width: usize,
        tile: [[Vector<T, S>; N]; N],
    ) {
        for i in 0..N {
            for j in 0..N {
                self.store(to, at.corner + i * at.row + j * at.column, width, tile[i][j]);
            }
        }
    }

    #[inline(always)]
    pub(super) fn add<const N: usize>(
        &self,
        to: &mut [T],
        at: Patch,
        width: usize,
        tile: [[Vector<T, S>; N]; N],
    ) {
        for i in 0..N {
            for j in 0..N {
                let at = at.corner + i * at.row + j * at.column;
                let sum = T::plus(self.simd, self.load(to, at, width), tile[i][j]);
                // SAFETY: numbers are written where numbers were.
                self.store(unsafe { unwritten(to) }, at, width, sum);
            }
        }
    }

    #[inline(always)]
    pub(super) fn transform<A: Axis<N, M>, const N: usize, const M: usize>(
        &self,
        tile: [[Vector<T, S>; N]; N],
    ) -> [[Vector<T, S>; M]; M] {
        let zero = T::splat(self.simd, T::zero());
        let mut half = [[zero; N]; M];
        for i in 0..N {
            let row = A::apply::<T, S>(self.simd, tile[i]);
            for j in 0..M {
                half[j][i] = row[j];
            }
        }
        let mut whole = [[zero; M]; M];
        for j in 0..M {
            let column = A::apply::<T, S>(self.simd, half[j]);
            for i in 0..M {
                whole[i][j] = column[i];
            }
        }
        whole
    }
}
