//! Winograd's convolution for 3×3 kernels (Lavin & Gray, arXiv 1509.09308): with stride 1
//! 36 products where the direct way needs 144, with stride 2 81.
//!
//! `y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A` on overlapping tiles of `x`, which make 4×4 tiles of `y`. Summed over
//! channels, the elementwise product becomes one matrix product for each value of a transformed tile. Gradients are
//! the transpose of the same three steps, so they work on the same transformed tiles: with
//! `Ȳ = A ȳ Aᵀ`, `x̄ = B[(G w Gᵀ) ⊙ Ȳ]Bᵀ` and `w̄ = Gᵀ[Ȳ ⊙ (Bᵀ x B)]G`.
//!
//! The images are worked on in batches whose transformed tiles fit into the cache that the cores
//! share. In a batch every block of images is lifted (transformed) on its own, every place is a
//! matrix product on its own, so that its weights stay in a core's cache, and every block is
//! lowered on its own. No sum depends on how the tasks were shared out.

mod blocks;
mod channels;
#[cfg(feature = "cuda")]
pub(super) mod cuda;
mod kernels;
mod passes;
mod stride1;
mod stride2;
mod tiles;
mod transform;

use super::Terms;
use super::geometry::Geometry;
use crate::cpu::Lanes;
use stride1::Stride1;
use stride2::Stride2;

/// Side of an output tile: the step from one tile to the next.
const STEP: usize = 4;

/// Side of a transformed kernel.
const SIDE: usize = 6;

/// Channels from which on it pays, by stride.
const CHANNELS: [usize; 2] = [16, 32];

/// Whether this way is open and likely the faster one.
pub(super) fn applies(g: &Geometry) -> bool {
    (g.kernel_h, g.kernel_w) == (3, 3)
        && CHANNELS.get(g.stride - 1).is_some_and(|&c| g.channels.min(g.out_channels) >= c)
        && g.out_h >= 3
        && g.out_w >= 3
}

/// `Σ w∗x` over pairs of images and weights.
pub(super) fn forward<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    match g.stride {
        1 => passes::forward::<T, Stride1, 6, 6>(g, terms),
        _ => passes::forward::<T, Stride2, 9, 5>(g, terms),
    }
}

/// The adjoints of images (`input`: pairs of output adjoints and weights) and of weights (`weight`: pairs
/// of images and output adjoints), each where it has terms.
pub(super) fn backward<T: Lanes>(
    g: &Geometry,
    input: &Terms<'_, T>,
    weight: &Terms<'_, T>,
) -> (Vec<T>, Vec<T>) {
    match g.stride {
        1 => passes::backward::<T, Stride1, 6, 6>(g, input, weight),
        _ => passes::backward::<T, Stride2, 9, 5>(g, input, weight),
    }
}
