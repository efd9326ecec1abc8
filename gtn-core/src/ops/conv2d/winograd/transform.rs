//! What the transforms along one axis of a tile have in common.

use super::{SIDE, STEP};
use crate::cpu::Lanes;
use pulp::Simd;

pub(super) type Vector<T, S> = <T as Lanes>::Vector<S>;

/// A transform of `N` values into `M`.
pub(super) trait Axis<const N: usize, const M: usize> {
    fn apply<T: Lanes, S: Simd>(simd: S, x: [Vector<T, S>; N]) -> [Vector<T, S>; M];
}

/// How [`STEP`] outputs are made of `VALUES` inputs and 3 weights along an axis: what becomes of an input
/// tile is multiplied value by value with what becomes of a kernel, and added up at `PLACES` places.
///
/// Value `v` meets the kernel's value `v`, or the last where it has fewer, and goes to
/// place `v mod PLACES`.
pub(super) trait Scheme<const VALUES: usize, const PLACES: usize>:
    Copy + Send + Sync
{
    /// `Bᵀ`: of an input tile.
    type Input: Axis<VALUES, VALUES>;
    /// `B`: its transpose.
    type InputBack: Axis<VALUES, VALUES>;
    /// `Aᵀ`: to an output tile.
    type Output: Axis<PLACES, STEP>;
    /// `A`: its transpose.
    type OutputBack: Axis<STEP, PLACES>;
    /// `G`: of a kernel.
    type Kernel: Axis<3, SIDE>;
    /// `Gᵀ`: its transpose.
    type KernelBack: Axis<SIDE, 3>;
}

/// Arithmetic with constants.
#[derive(Clone, Copy)]
pub(super) struct With<S>(pub(super) S);

impl<S: Simd> With<S> {
    /// `factor·x`
    #[inline(always)]
    pub(super) fn scaled<T: Lanes>(self, factor: f64, x: Vector<T, S>) -> Vector<T, S> {
        T::times(self.0, T::splat(self.0, T::from_f64(factor)), x)
    }

    /// `x + factor·y`
    #[inline(always)]
    pub(super) fn plus<T: Lanes>(
        self,
        x: Vector<T, S>,
        factor: f64,
        y: Vector<T, S>,
    ) -> Vector<T, S> {
        T::fused(self.0, T::splat(self.0, T::from_f64(factor)), y, x)
    }

    /// `[x + y, x − y]`: the values at a point and at its negative from their even and odd parts.
    #[inline(always)]
    pub(super) fn pair<T: Lanes>(self, x: Vector<T, S>, y: Vector<T, S>) -> [Vector<T, S>; 2] {
        [T::plus(self.0, x, y), T::minus(self.0, x, y)]
    }
}
