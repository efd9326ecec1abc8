//! Blocks of transformed tiles: of images, and multiplied with kernels and with each other.

use super::SIDE;
use super::kernels::KERNELS;
use super::tiles::{LiftInput, LiftOutput, Share, Tiling};
use super::transform::Scheme;
use crate::cpu::parallel::{self, Making};
use crate::cpu::{Lanes, Segment, Strides, dispatch, product, product_into};
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::window::Window;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Tiles in a block, about: enough rows for matrix products to run well.
const TILES: usize = 16;

/// Bytes of transformed tiles that are in work at a time, about.
const BYTES: usize = 8 << 20;

/// Blocks that one task multiplies at a place.
const GROUP: usize = 8;

/// Rows of the weights' adjoint that one task adds to.
const ROWS: usize = 64;

/// Transforms an image into its tiles.
type Lift<'a, T> = dyn Fn(&[T], &mut [MaybeUninit<T>], Share) + Sync + 'a;

/// One of the products that make up a sum.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    /// The value or place of the tiles.
    tiles: usize,
    /// The value of the kernels.
    kernel: usize,
}

/// How a batch divides into blocks of images.
#[derive(Clone, Copy)]
pub(super) struct Blocks<W, const VALUES: usize, const PLACES: usize> {
    pub(super) tiling: Tiling<W, VALUES, PLACES>,
    batch: usize,
    /// Images a block.
    pub(super) images: usize,
}

impl<W: Scheme<VALUES, PLACES>, const VALUES: usize, const PLACES: usize>
    Blocks<W, VALUES, PLACES>
{
    /// Values of a transformed input tile.
    const VALUES: usize = VALUES * VALUES;

    /// Places of a transformed output tile.
    const PLACES: usize = PLACES * PLACES;

    pub(super) fn new(g: &Geometry) -> Self {
        let tiling = Tiling::new(g);
        let images = TILES.div_ceil(tiling.tiles()).min(g.batch).max(1);
        Self { tiling, batch: g.batch, images }
    }

    /// The place to which a value of an input tile goes.
    fn place(value: usize) -> usize {
        value / VALUES % PLACES * PLACES + value % VALUES % PLACES
    }

    /// The value of the kernel that a value of an input tile meets.
    fn kernel(value: usize) -> usize {
        (value / VALUES).min(SIDE - 1) * SIDE + (value % VALUES).min(SIDE - 1)
    }

    /// The values of an input tile, by what `key`, a number below `keys`, says of them.
    fn values_by(keys: usize, key: fn(usize) -> usize) -> Vec<Vec<usize>> {
        let mut values = vec![Vec::new(); keys];
        for value in 0..Self::VALUES {
            values[key(value)].push(value);
        }
        values
    }

    /// What an output has at every place: products of inputs.
    pub(super) fn sums_at_places(&self) -> Vec<Vec<Factors>> {
        let factors = |value| Factors { tiles: value, kernel: Self::kernel(value) };
        let values = Self::values_by(Self::PLACES, Self::place);
        values.into_iter().map(|values| values.into_iter().map(factors).collect()).collect()
    }

    /// What an input's adjoint has at every value: a product of an output's adjoint.
    pub(super) fn sums_at_values(&self) -> Vec<Vec<Factors>> {
        let factors = |value| Factors { tiles: Self::place(value), kernel: Self::kernel(value) };
        (0..Self::VALUES).map(|value| vec![factors(value)]).collect()
    }

    /// Rows of a block's transformed tiles; the last block may leave some at zero.
    fn rows(&self) -> usize {
        self.images * self.tiling.tiles()
    }

    /// Elements from one value or place of a block to the next: an odd number of the cache's lines, for a
    /// transform touches them all at once, and lines a power of two apart would push each other out.
    fn cell<T>(&self, channels: usize) -> usize {
        const LINE: usize = 64;
        let lines = (self.rows() * channels * size_of::<T>()).div_ceil(LINE) | 1;
        lines * LINE / size_of::<T>()
    }

    /// Elements of a block with so many values or places.
    pub(super) fn block<T>(&self, cells: usize, channels: usize) -> usize {
        cells * self.cell::<T>(channels)
    }

    /// Where an image's tiles are in a block.
    pub(super) fn share<T>(&self, image: usize, channels: usize) -> Share {
        Share { first: image * self.tiling.tiles(), cell: self.cell::<T>(channels) }
    }

    /// The images of a block.
    fn images(&self, block: usize) -> Range<usize> {
        block * self.images..((block + 1) * self.images).min(self.batch)
    }

    /// The blocks, as many at a time as fit into [`BYTES`] where a tile has `elements` once transformed.
    pub(super) fn batches<T>(&self, elements: usize) -> impl Iterator<Item = Range<usize>> {
        let blocks = self.batch.div_ceil(self.images);
        let bytes = self.rows() * elements * size_of::<T>();
        let batches = blocks.div_ceil((BYTES / bytes.max(1)).max(1));
        // Evenly, so that no batch is left with a few.
        (0..batches).map(move |i| i * blocks / batches..(i + 1) * blocks / batches)
    }

    /// The transformed tiles of images in a window, `[block][value or place][row][channel]`, with
    /// [`Self::cell`] elements a value or place.
    ///
    /// # Safety
    /// `lift` gets a framed image, its block's tiles, and where in them its own are, all of which it writes.
    unsafe fn lifted<T: Lanes>(
        &self,
        blocks: &Range<usize>,
        (images, window): (&[T], Window),
        cells: usize,
        lift: &Lift<'_, T>,
    ) -> Vec<T> {
        let size = window.height * window.width * window.channels;
        let block = self.block::<T>(cells, window.channels);
        let making = Making::new(blocks.len() * block, block);
        parallel::for_each(blocks.len(), &|b| {
            // SAFETY: its images' tiles, and zeros after them, are all that a value or place holds.
            let lifted = unsafe { making.unwritten(b) };
            let numbers = self.images(blocks.start + b);
            let written = numbers.len() * self.tiling.tiles() * window.channels;
            for cell in lifted.chunks_exact_mut(self.cell::<T>(window.channels)) {
                cell[written..].fill(MaybeUninit::new(T::zero()));
            }
            for (i, n) in numbers.enumerate() {
                let share = self.share::<T>(i, window.channels);
                lift(&window.framed(&images[n * size..(n + 1) * size]), lifted, share);
            }
        });
        making.finish()
    }

    pub(super) fn lifted_inputs<T: Lanes>(&self, blocks: &Range<usize>, x: &[T]) -> Vec<T> {
        let tiling = self.tiling;
        let lift = |image: &[T], lifted: &mut [MaybeUninit<T>], share| {
            dispatch(LiftInput { tiling, image, lifted, share });
        };
        // SAFETY: the transform writes all values of an image's tiles.
        unsafe { self.lifted(blocks, (x, tiling.input), Self::VALUES, &lift) }
    }

    pub(super) fn lifted_outputs<T: Lanes>(&self, blocks: &Range<usize>, gy: &[T]) -> Vec<T> {
        let tiling = self.tiling;
        let lift = |image: &[T], lifted: &mut [MaybeUninit<T>], share| {
            dispatch(LiftOutput { tiling, image, lifted, share });
        };
        // SAFETY: the transform writes all places of an image's tiles.
        unsafe { self.lifted(blocks, (gy, tiling.output), Self::PLACES, &lift) }
    }

    /// For every block the `sums`, each of products `tiles·kernels` over its factors and over `terms`: pairs of
    /// tiles `[block][value or place][row][inner]`, with `of` values or places a block, and kernels, for each
    /// value `[inner][column]`. The result is `[block][sum][row][column]`.
    pub(super) fn products<T: Lanes>(
        &self,
        blocks: usize,
        (inner, columns): (usize, usize),
        of: usize,
        terms: &[(&[T], &[Vec<T>])],
        sums: &[Vec<Factors>],
    ) -> Vec<T> {
        let rows = self.rows();
        let (cell, sum_cell) = (self.cell::<T>(inner), self.cell::<T>(columns));
        let strides = Strides { a_row: inner, a_inner: 1, b_inner: columns, out_row: columns };
        let out = Making::new(blocks * sums.len() * sum_cell, sum_cell);
        let groups = blocks.div_ceil(GROUP);
        parallel::for_each(sums.len() * groups, &|task| {
            let (sum, group) = (task / groups, task % groups);
            for block in group * GROUP..((group + 1) * GROUP).min(blocks) {
                let mut segments = Vec::with_capacity(terms.len() * sums[sum].len());
                for (tiles, kernels) in terms {
                    for factors in &sums[sum] {
                        segments.push(Segment {
                            a: &tiles[(block * of + factors.tiles) * cell..],
                            b: &kernels[factors.kernel],
                            count: inner,
                        });
                    }
                }
                // SAFETY: the product writes all of it, except for what is filled here.
                let out = unsafe { out.unwritten(block * sums.len() + sum) };
                out[rows * columns..].fill(MaybeUninit::new(T::zero()));
                product_into((rows, columns), strides, &segments, out);
            }
        });
        out.finish()
    }

    /// Adds to the sums `[kernel's value][in][out]` what pairs of transformed images and output adjoints give.
    pub(super) fn add_weight_sums<T: Lanes>(
        &self,
        blocks: usize,
        terms: &[(&[T], &[T])],
        sums: &mut [T],
    ) {
        let rows = self.rows();
        let (c, o) = (self.tiling.input.channels, self.tiling.output.channels);
        let (input, output) = (self.cell::<T>(c), self.cell::<T>(o));
        let strides = Strides { a_row: 1, a_inner: c, b_inner: o, out_row: o };
        let values = Self::values_by(KERNELS, Self::kernel);
        parallel::update(sums, c * o, &|kernel, sum| {
            // Several values of a tile may meet this one, which makes a sum longer than others.
            parallel::update(sum, ROWS * o, &|part, sum| {
                let mut segments = Vec::with_capacity(terms.len() * blocks * values[kernel].len());
                for (x, gy) in terms {
                    for block in 0..blocks {
                        for &value in &values[kernel] {
                            let place = Self::place(value);
                            segments.push(Segment {
                                a: &x[(block * Self::VALUES + value) * input + part * ROWS..],
                                b: &gy[(block * Self::PLACES + place) * output..],
                                count: rows,
                            });
                        }
                    }
                }
                product((sum.len() / o, o), strides, &segments, sum, true);
            });
        });
    }
}
