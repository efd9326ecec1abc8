//! Winograd's convolution for 3×3 kernels of stride 1 (Lavin & Gray, arXiv 1509.09308),
//! F(4×4, 3×3): 36 products where the direct way needs 144.
//!
//! `y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A` on overlapping 6×6 tiles of `x`, which make 4×4 tiles of `y`. Summed over
//! channels, the elementwise product becomes one matrix product for each of the 36
//! places of a tile. Gradients are the transpose of the same three steps, so they
//! work on the same transformed tiles: with `Ȳ = A ȳ Aᵀ`, `x̄ = B[(G w Gᵀ) ⊙ Ȳ]Bᵀ` and
//! `w̄ = Gᵀ[Ȳ ⊙ (Bᵀ x B)]G`.
//!
//! The images are worked on in batches whose transformed tiles fit into the cache that the cores
//! share. In a batch every block of images is lifted (transformed) on its own, every place is a
//! matrix product on its own, so that its weights stay in a core's cache, and every block is
//! lowered on its own. No sum depends on how the tasks were shared out.

mod channels;
#[cfg(feature = "cuda")]
pub(super) mod cuda;
mod kernels;
mod tiles;
mod transform;

use super::Terms;
use super::geometry::Geometry;
use super::weights;
use crate::cpu::parallel::{self, Making};
use crate::cpu::{Lanes, Segment, Strides, dispatch, product, product_into};
use std::mem::MaybeUninit;
use std::ops::Range;
use tiles::{LiftInput, LiftOutput, LowerInput, LowerOutput, Place, Tiling};

/// Side of an output tile: the step from one tile to the next.
const STEP: usize = 4;

/// Side of a transformed tile.
const SIDE: usize = 6;

/// Places of a transformed tile.
const PLACES: usize = SIDE * SIDE;

/// Tiles in a block, about: enough rows for matrix products to run well.
const TILES: usize = 16;

/// Bytes of transformed tiles that are in work at a time, about.
const BYTES: usize = 8 << 20;

/// Blocks that one task multiplies at a place.
const GROUP: usize = 8;

/// Whether this way is open and likely the faster one.
pub(super) fn applies(g: &Geometry) -> bool {
    (g.kernel_h, g.kernel_w, g.stride) == (3, 3, 1)
        && g.channels >= 16
        && g.out_channels >= 16
        && g.out_h >= 3
        && g.out_w >= 3
}

/// Transforms an image, given by its number, into its tiles.
type Lift<'a, T> = dyn Fn(usize, &mut [MaybeUninit<T>], Place) + Sync + 'a;

/// How a batch divides into blocks of images.
#[derive(Clone, Copy)]
struct Blocks {
    tiling: Tiling,
    batch: usize,
    /// Images a block.
    images: usize,
}

impl Blocks {
    fn new(g: &Geometry) -> Self {
        let tiling = Tiling::new(g);
        let images = TILES.div_ceil(tiling.tiles()).min(g.batch).max(1);
        Self { tiling, batch: g.batch, images }
    }

    /// Rows of a block's transformed tiles; the last block may leave some at zero.
    fn rows(&self) -> usize {
        self.images * self.tiling.tiles()
    }

    /// The images of a block.
    fn images(&self, block: usize) -> Range<usize> {
        block * self.images..((block + 1) * self.images).min(self.batch)
    }

    /// The blocks, as many at a time as fit into [`BYTES`] with `channels` channels a tile.
    fn batches<T>(&self, channels: usize) -> impl Iterator<Item = Range<usize>> {
        let blocks = self.batch.div_ceil(self.images);
        let bytes = PLACES * self.rows() * channels * size_of::<T>();
        let batches = blocks.div_ceil((BYTES / bytes.max(1)).max(1));
        // Evenly, so that no batch is left with a few.
        (0..batches).map(move |i| i * blocks / batches..(i + 1) * blocks / batches)
    }

    /// The transformed tiles `[block][place][row][channel]` of images.
    ///
    /// # Safety
    /// `lift` gets an image's number, its block's tiles, and where in them its own are, all of which it writes.
    unsafe fn lifted<T: Lanes>(
        &self,
        blocks: &Range<usize>,
        channels: usize,
        lift: &Lift<'_, T>,
    ) -> Vec<T> {
        let block = PLACES * self.rows() * channels;
        let making = Making::new(blocks.len() * block, block);
        parallel::for_each(blocks.len(), &|b| {
            // SAFETY: its images' tiles are all that a block holds, unless it is the last.
            let lifted = unsafe { making.unwritten(b) };
            let images = self.images(blocks.start + b);
            if images.len() < self.images {
                lifted.fill(MaybeUninit::new(T::zero()));
            }
            for (i, n) in images.enumerate() {
                lift(n, lifted, Place { first: i * self.tiling.tiles(), rows: self.rows() });
            }
        });
        making.finish()
    }

    fn lifted_inputs<T: Lanes>(&self, blocks: &Range<usize>, x: &[T]) -> Vec<T> {
        let (tiling, window) = (self.tiling, self.tiling.input);
        let size = window.height * window.width * window.channels;
        let lift = |n: usize, lifted: &mut [MaybeUninit<T>], place| {
            let mut scratch = window.scratch::<T>();
            let image = window.framed(&x[n * size..(n + 1) * size], &mut scratch);
            dispatch(LiftInput { tiling, image, lifted, place });
        };
        // SAFETY: the transform writes all places of an image's tiles.
        unsafe { self.lifted(blocks, window.channels, &lift) }
    }

    fn lifted_outputs<T: Lanes>(&self, blocks: &Range<usize>, gy: &[T]) -> Vec<T> {
        let (tiling, window) = (self.tiling, self.tiling.output);
        let size = window.height * window.width * window.channels;
        let lift = |n: usize, lifted: &mut [MaybeUninit<T>], place| {
            let mut scratch = window.scratch::<T>();
            let image = window.framed(&gy[n * size..(n + 1) * size], &mut scratch);
            dispatch(LiftOutput { tiling, image, lifted, place });
        };
        // SAFETY: the transform writes all places of an image's tiles.
        unsafe { self.lifted(blocks, window.channels, &lift) }
    }

    /// At every place and for every block, `Σ tiles·kernels` over pairs of tiles
    /// `[block][place][row][inner]` and kernels, for each place `[inner][column]`.
    fn products<T: Lanes>(
        &self,
        blocks: usize,
        (inner, columns): (usize, usize),
        terms: &[(&[T], &[Vec<T>])],
    ) -> Vec<T> {
        let rows = self.rows();
        let strides = Strides { a_row: inner, a_inner: 1, b_inner: columns, out_row: columns };
        let cells = Making::new(blocks * PLACES * rows * columns, rows * columns);
        let groups = blocks.div_ceil(GROUP);
        parallel::for_each(PLACES * groups, &|task| {
            let (place, group) = (task / groups, task % groups);
            for block in group * GROUP..((group + 1) * GROUP).min(blocks) {
                let cell = block * PLACES + place;
                let segments: Vec<Segment<'_, T>> = terms
                    .iter()
                    .map(|(tiles, kernels)| Segment {
                        a: &tiles[cell * rows * inner..],
                        b: &kernels[place],
                        count: inner,
                    })
                    .collect();
                // SAFETY: the product writes all of it.
                let out = unsafe { cells.unwritten(cell) };
                product_into((rows, columns), strides, &segments, out);
            }
        });
        cells.finish()
    }

    /// Adds to the sums `[place][in][out]` what pairs of transformed images and output adjoints give.
    fn add_weight_sums<T: Lanes>(&self, blocks: usize, terms: &[(&[T], &[T])], sums: &mut [T]) {
        let rows = self.rows();
        let (c, o) = (self.tiling.input.channels, self.tiling.output.channels);
        let strides = Strides { a_row: 1, a_inner: c, b_inner: o, out_row: o };
        parallel::update(sums, c * o, &|place, sum| {
            let segments: Vec<Segment<'_, T>> = terms
                .iter()
                .flat_map(|(x, gy)| {
                    (0..blocks).map(move |block| {
                        let cell = (block * PLACES + place) * rows;
                        Segment { a: &x[cell * c..], b: &gy[cell * o..], count: rows }
                    })
                })
                .collect();
            product((c, o), strides, &segments, sum, true);
        });
    }
}

/// `Σ w∗x` over pairs of images and weights.
pub(super) fn forward<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let (c, o) = (g.channels, g.out_channels);
    let blocks = Blocks::new(g);
    let tiling = blocks.tiling;
    let kernels: Vec<_> =
        terms.iter().map(|(_, w)| kernels::lift(&weights::in_out(g, w), c * o)).collect();
    let out = Making::new(g.batch * g.output(), blocks.images * g.output());
    for batch in blocks.batches::<T>(terms.len() * c + o) {
        let lifted: Vec<Vec<T>> =
            terms.iter().map(|(x, _)| blocks.lifted_inputs(&batch, x)).collect();
        let pairs: Vec<(&[T], &[Vec<T>])> =
            lifted.iter().zip(&kernels).map(|(x, w)| (&x[..], &w[..])).collect();
        let products = blocks.products(batch.len(), (c, o), &pairs);
        let block = PLACES * blocks.rows() * o;
        parallel::for_each(batch.len(), &|b| {
            let lifted = &products[b * block..(b + 1) * block];
            // SAFETY: the transform writes every pixel of every image.
            let images = unsafe { out.unwritten(batch.start + b) };
            for (i, image) in images.chunks_mut(g.output()).enumerate() {
                let place = Place { first: i * tiling.tiles(), rows: blocks.rows() };
                dispatch(LowerOutput { tiling, lifted, image, place });
            }
        });
    }
    out.finish()
}

/// Output adjoints, each once, and which of them a term names.
fn distinct<'a, T>(slices: impl Iterator<Item = &'a [T]>) -> (Vec<&'a [T]>, Vec<usize>) {
    let mut unique: Vec<&[T]> = Vec::new();
    let which = slices
        .map(|s| {
            unique.iter().position(|u| std::ptr::eq(*u, s)).unwrap_or_else(|| {
                unique.push(s);
                unique.len() - 1
            })
        })
        .collect();
    (unique, which)
}

/// The adjoints of images (`input`: pairs of output adjoints and weights) and of weights (`weight`: pairs
/// of images and output adjoints), each where it has terms. They share the transformed output adjoints.
pub(super) fn backward<T: Lanes>(
    g: &Geometry,
    input: &Terms<'_, T>,
    weight: &Terms<'_, T>,
) -> (Vec<T>, Vec<T>) {
    let (c, o) = (g.channels, g.out_channels);
    let blocks = Blocks::new(g);
    let tiling = blocks.tiling;
    let kernels: Vec<_> =
        input.iter().map(|(_, w)| kernels::lift(&weights::out_in(g, w), c * o)).collect();
    let (adjoints, which) = distinct(input.iter().map(|t| t.0).chain(weight.iter().map(|t| t.1)));
    let (of_input, of_weight) = which.split_at(input.len());

    let images = if input.is_empty() { 0 } else { g.batch * g.image() };
    let out = Making::new(images, blocks.images * g.image());
    let mut sums = vec![T::zero(); if weight.is_empty() { 0 } else { PLACES * c * o }];
    for batch in blocks.batches::<T>(adjoints.len() * o + weight.len().max(1) * c) {
        let lifted: Vec<Vec<T>> =
            adjoints.iter().map(|gy| blocks.lifted_outputs(&batch, gy)).collect();
        if !input.is_empty() {
            let pairs: Vec<(&[T], &[Vec<T>])> =
                of_input.iter().zip(&kernels).map(|(&gy, w)| (&lifted[gy][..], &w[..])).collect();
            let products = blocks.products(batch.len(), (o, c), &pairs);
            let block = PLACES * blocks.rows() * c;
            parallel::for_each(batch.len(), &|b| {
                let lifted = &products[b * block..(b + 1) * block];
                let mut framed = vec![T::zero(); tiling.input.len()];
                for (i, out) in out.part(batch.start + b).chunks_mut(g.image()).enumerate() {
                    framed.fill(T::zero());
                    let place = Place { first: i * tiling.tiles(), rows: blocks.rows() };
                    dispatch(LowerInput { tiling, lifted, image: &mut framed, place });
                    tiling.input.unframe(&framed, out);
                }
            });
        }
        if !weight.is_empty() {
            let inputs: Vec<Vec<T>> =
                weight.iter().map(|(x, _)| blocks.lifted_inputs(&batch, x)).collect();
            let pairs: Vec<(&[T], &[T])> =
                inputs.iter().zip(of_weight).map(|(x, &gy)| (&x[..], &lifted[gy][..])).collect();
            blocks.add_weight_sums(batch.len(), &pairs, &mut sums);
        }
    }
    let gradient = if weight.is_empty() {
        Vec::new()
    } else {
        weights::from_in_out(g, &kernels::lower(&sums, c * o))
    };
    (out.finish(), gradient)
}
