//! Winograd's convolution for 3×3 kernels of stride 1 (Lavin & Gray, arXiv 1509.09308),
//! F(2×2, 3×3): 16 products where the direct way needs 36.
//!
//! `y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A` on overlapping 4×4 tiles of `x`, which make 2×2 tiles of `y`. Summed over
//! channels, the elementwise product becomes one matrix product for each of the 16
//! places of a tile. Gradients are the transpose of the same three steps, so they
//! work on the same transformed tiles: with `Ȳ = A ȳ Aᵀ`, `x̄ = B[(G w Gᵀ) ⊙ Ȳ]Bᵀ` and
//! `w̄ = Gᵀ[Ȳ ⊙ (Bᵀ x B)]G`.

use super::Terms;
use super::geometry::Geometry;
use super::weights;
use super::window::Window;
use crate::cpu::{Lanes, Mask, Segment, Strides, dispatch, product};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Places of a transformed tile.
const PLACES: usize = 16;

/// Tiles that are transformed together, at least: enough for matrix products
/// to run well, few enough to stay in the second-level cache.
const TILES: usize = 48;

/// Whether this way is open and likely the faster one.
pub(super) fn applies(g: &Geometry) -> bool {
    (g.kernel_h, g.kernel_w, g.stride) == (3, 3, 1)
        && g.channels >= 16
        && g.out_channels >= 16
        && g.out_h >= 2
        && g.out_w >= 2
}

/// How images divide into tiles.
#[derive(Clone, Copy)]
struct Tiling {
    down: usize,
    across: usize,
    /// Images that are worked on together.
    images: usize,
    input: Window,
    output: Window,
}

impl Tiling {
    fn new(g: &Geometry) -> Self {
        let (down, across) = (g.out_h.div_ceil(2), g.out_w.div_ceil(2));
        Self {
            down,
            across,
            images: TILES.div_ceil(down * across),
            input: Window {
                height: g.height,
                width: g.width,
                channels: g.channels,
                top: g.padding[0],
                left: g.padding[1],
                rows: 2 * down + 2,
                columns: 2 * across + 2,
            },
            output: Window {
                height: g.out_h,
                width: g.out_w,
                channels: g.out_channels,
                top: 0,
                left: 0,
                rows: 2 * down,
                columns: 2 * across,
            },
        }
    }

    /// Tiles of an image.
    fn tiles(&self) -> usize {
        self.down * self.across
    }
}

type Vector<T, S> = <T as Lanes>::Vector<S>;

/// A transform along one axis of a tile, from `N` to `M` values.
trait Axis<const N: usize, const M: usize> {
    fn apply<T: Lanes, S: Simd>(simd: S, x: [Vector<T, S>; N]) -> [Vector<T, S>; M];
}

/// `Bᵀ`: of an input tile.
struct Input;

/// `B`: its transpose.
struct InputBack;

/// `Aᵀ`: to an output tile.
struct Output;

/// `A`: its transpose.
struct OutputBack;

/// `G`: of a kernel.
struct Kernel;

/// `Gᵀ`: its transpose.
struct KernelBack;

impl Axis<4, 4> for Input {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, d: [Vector<T, S>; 4]) -> [Vector<T, S>; 4] {
        [
            T::minus(simd, d[0], d[2]),
            T::plus(simd, d[1], d[2]),
            T::minus(simd, d[2], d[1]),
            T::minus(simd, d[1], d[3]),
        ]
    }
}

impl Axis<4, 4> for InputBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, v: [Vector<T, S>; 4]) -> [Vector<T, S>; 4] {
        [
            v[0],
            T::plus(simd, T::minus(simd, v[1], v[2]), v[3]),
            T::minus(simd, T::plus(simd, v[1], v[2]), v[0]),
            T::minus(simd, T::splat(simd, T::zero()), v[3]),
        ]
    }
}

impl Axis<4, 2> for Output {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, m: [Vector<T, S>; 4]) -> [Vector<T, S>; 2] {
        [
            T::plus(simd, T::plus(simd, m[0], m[1]), m[2]),
            T::minus(simd, T::minus(simd, m[1], m[2]), m[3]),
        ]
    }
}

impl Axis<2, 4> for OutputBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, y: [Vector<T, S>; 2]) -> [Vector<T, S>; 4] {
        let minus_last = T::minus(simd, T::splat(simd, T::zero()), y[1]);
        [y[0], T::plus(simd, y[0], y[1]), T::minus(simd, y[0], y[1]), minus_last]
    }
}

impl Axis<3, 4> for Kernel {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, w: [Vector<T, S>; 3]) -> [Vector<T, S>; 4] {
        let half = T::splat(simd, T::from_f64(0.5));
        let ends = T::times(simd, half, T::plus(simd, w[0], w[2]));
        let middle = T::times(simd, half, w[1]);
        [w[0], T::plus(simd, ends, middle), T::minus(simd, ends, middle), w[2]]
    }
}

impl Axis<4, 3> for KernelBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, u: [Vector<T, S>; 4]) -> [Vector<T, S>; 3] {
        let half = T::splat(simd, T::from_f64(0.5));
        let sum = T::times(simd, half, T::plus(simd, u[1], u[2]));
        let difference = T::times(simd, half, T::minus(simd, u[1], u[2]));
        [T::plus(simd, u[0], sum), difference, T::plus(simd, sum, u[3])]
    }
}

/// The image under a tile: where its corner is, and how far its rows lie apart.
#[derive(Clone, Copy)]
struct Patch {
    corner: usize,
    row: usize,
    column: usize,
}

/// Transforms tiles of vectors of channels along both axes.
///
/// A plain function under `#[inline(always)]` and loops rather than
/// closures: only what is inlined is compiled for the machine's vectors.
#[derive(Clone, Copy)]
struct Channels<T: Lanes, S: Simd> {
    simd: S,
    count: usize,
    mask: Mask<T, S>,
}

impl<T: Lanes, S: Simd> Channels<T, S> {
    #[inline(always)]
    fn new(simd: S, count: usize) -> Self {
        Self { simd, count, mask: T::first(simd, count % T::lanes::<S>()) }
    }

    /// Lanes of the vector that starts at channel `c`.
    #[inline(always)]
    fn width(&self, c: usize) -> usize {
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
    fn store(&self, to: &mut [T], at: usize, width: usize, value: Vector<T, S>) {
        let to = &mut to[at..at + width];
        // SAFETY: the slice holds the lanes that are written.
        unsafe {
            if width == T::lanes::<S>() {
                T::store(self.simd, to.as_mut_ptr(), value);
            } else {
                T::store_first(self.simd, self.mask, to.as_mut_ptr(), value);
            }
        }
    }

    #[inline(always)]
    fn read<const N: usize>(&self, from: &[T], at: Patch, width: usize) -> [[Vector<T, S>; N]; N] {
        let mut tile = [[T::splat(self.simd, T::zero()); N]; N];
        for i in 0..N {
            for j in 0..N {
                tile[i][j] = self.load(from, at.corner + i * at.row + j * at.column, width);
            }
        }
        tile
    }

    #[inline(always)]
    fn write<const N: usize>(
        &self,
        to: &mut [T],
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
    fn transform<A: Axis<N, M>, const N: usize, const M: usize>(
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

/// `G w Gᵀ` of weights `[ky][kx][row][column]`: `[place][row][column]`.
fn lift_weights<T: Lanes>(packed: &[T], size: usize) -> Vec<T> {
    struct Lift<'a, 'b, T>(&'a [T], &'a mut [&'b mut [T]], usize, usize);
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
                let u = channels.transform::<Kernel, 3, 4>(w);
                for place in 0..PLACES {
                    channels.store(out[place], c, width, u[place / 4][place % 4]);
                }
            }
        }
    }

    let mut lifted = vec![T::zero(); PLACES * size];
    let chunk = size.div_ceil(16).max(64);
    let mut places: Vec<_> = lifted.chunks_mut(size).map(|p| p.chunks_mut(chunk)).collect();
    let mut tasks: Vec<Vec<&mut [T]>> = (0..size.div_ceil(chunk))
        .map(|_| places.iter_mut().map(|p| p.next().expect("equal chunks")).collect())
        .collect();
    tasks.par_iter_mut().enumerate().for_each(|(task, out)| {
        dispatch(Lift(packed, out, task * chunk, size));
    });
    lifted
}

/// `Gᵀ u G` of `[place][row][column]`: `[ky][kx][row][column]`.
fn lower_weights<T: Lanes>(lifted: &[T], size: usize) -> Vec<T> {
    struct Lower<'a, T>(&'a [T], &'a mut [T], usize);
    impl<T: Lanes> WithSimd for Lower<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(lifted, out, size) = self;
            let channels = Channels::<T, S>::new(simd, size);
            for c in (0..size).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let from = Patch { corner: c, row: 4 * size, column: size };
                let u = channels.read::<4>(lifted, from, width);
                let w = channels.transform::<KernelBack, 4, 3>(u);
                let to = Patch { row: 3 * size, ..from };
                channels.write(out, to, width, w);
            }
        }
    }

    let mut packed = vec![T::zero(); 9 * size];
    dispatch(Lower(lifted, &mut packed, size));
    packed
}

/// The transformed tiles of several images: `[place][tile][channel]`. An
/// image's tiles are rows `first..` of the `rows` of each place.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
}

impl Place {
    #[inline(always)]
    fn patch(self, tile: usize, channel: usize, channels: usize) -> Patch {
        Patch {
            corner: (self.first + tile) * channels + channel,
            row: 4 * self.rows * channels,
            column: self.rows * channels,
        }
    }
}

impl Tiling {
    /// Where a tile lies in a framed image.
    #[inline(always)]
    fn patch(self, window: Window, tile: usize, channel: usize) -> Patch {
        let (y, x) = (2 * (tile / self.across), 2 * (tile % self.across));
        Patch {
            corner: (y * window.columns + x) * window.channels + channel,
            row: window.columns * window.channels,
            column: window.channels,
        }
    }
}

/// `Bᵀ x B` of a framed image.
struct LiftInput<'a, T> {
    tiling: Tiling,
    image: &'a [T],
    lifted: &'a mut [T],
    place: Place,
}

impl<T: Lanes> WithSimd for LiftInput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, image, lifted, place } = self;
        let channels = Channels::<T, S>::new(simd, tiling.input.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let d = channels.read::<4>(image, tiling.patch(tiling.input, tile, c), width);
                let v = channels.transform::<Input, 4, 4>(d);
                channels.write(lifted, place.patch(tile, c, channels.count), width, v);
            }
        }
    }
}

/// `B v Bᵀ`, added to a framed image: the transpose of [`LiftInput`].
struct LowerInput<'a, T> {
    tiling: Tiling,
    lifted: &'a [T],
    image: &'a mut [T],
    place: Place,
}

impl<T: Lanes> WithSimd for LowerInput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, lifted, image, place } = self;
        let channels = Channels::<T, S>::new(simd, tiling.input.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let v = channels.read::<4>(lifted, place.patch(tile, c, channels.count), width);
                let d = channels.transform::<InputBack, 4, 4>(v);
                let at = tiling.patch(tiling.input, tile, c);
                let mut sum = channels.read::<4>(image, at, width);
                for i in 0..4 {
                    for j in 0..4 {
                        sum[i][j] = T::plus(simd, sum[i][j], d[i][j]);
                    }
                }
                channels.write(image, at, width, sum);
            }
        }
    }
}

/// `Aᵀ m A` into an output image, as far as it reaches.
struct LowerOutput<'a, T> {
    tiling: Tiling,
    lifted: &'a [T],
    image: &'a mut [T],
    place: Place,
}

impl<T: Lanes> WithSimd for LowerOutput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, lifted, image, place } = self;
        let Window { channels: count, height, width: image_width, .. } = tiling.output;
        let channels = Channels::<T, S>::new(simd, count);
        for tile in 0..tiling.tiles() {
            let (y, x) = (2 * (tile / tiling.across), 2 * (tile % tiling.across));
            for c in (0..count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let m = channels.read::<4>(lifted, place.patch(tile, c, count), width);
                let out = channels.transform::<Output, 4, 2>(m);
                for i in 0..2.min(height - y) {
                    for j in 0..2.min(image_width - x) {
                        let at = ((y + i) * image_width + x + j) * count + c;
                        channels.store(image, at, width, out[i][j]);
                    }
                }
            }
        }
    }
}

/// `A ȳ Aᵀ` of a framed output image: the transpose of [`LowerOutput`].
struct LiftOutput<'a, T> {
    tiling: Tiling,
    image: &'a [T],
    lifted: &'a mut [T],
    place: Place,
}

impl<T: Lanes> WithSimd for LiftOutput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, image, lifted, place } = self;
        let channels = Channels::<T, S>::new(simd, tiling.output.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let y = channels.read::<2>(image, tiling.patch(tiling.output, tile, c), width);
                let m = channels.transform::<OutputBack, 2, 4>(y);
                channels.write(lifted, place.patch(tile, c, channels.count), width, m);
            }
        }
    }
}

/// One matrix product for each place: `out[place] = Σ a[place]·b[place]`.
struct Products<'a, T> {
    /// Rows and columns of a place's result.
    size: (usize, usize),
    /// Length of the inner index.
    count: usize,
    strides: Strides,
    terms: &'a [(&'a [T], &'a [T])],
    out: &'a mut [T],
    accumulate: bool,
}

impl<T: Lanes> Products<'_, T> {
    fn run(self) {
        let Self { size, count, strides, terms, out, accumulate } = self;
        let mut segments = Vec::with_capacity(terms.len());
        for (place, out) in out.chunks_mut(size.0 * size.1).enumerate().take(PLACES) {
            segments.clear();
            for (a, b) in terms {
                let (a_size, b_size) = (a.len() / PLACES, b.len() / PLACES);
                segments.push(Segment {
                    a: &a[place * a_size..(place + 1) * a_size],
                    b: &b[place * b_size..(place + 1) * b_size],
                    count,
                });
            }
            product(size, strides, &segments, out, accumulate);
        }
    }
}

/// Lifts the images `range` of `x` into `lifted`, by way of `scratch` where they need a border.
fn lift_images<T: Lanes>(
    tiling: Tiling,
    x: &[T],
    range: std::ops::Range<usize>,
    scratch: &mut [T],
    lifted: &mut [T],
) {
    let size = tiling.input.height * tiling.input.width * tiling.input.channels;
    let rows = range.len() * tiling.tiles();
    for (i, n) in range.enumerate() {
        let image = tiling.input.framed(&x[n * size..(n + 1) * size], scratch);
        let place = Place { first: i * tiling.tiles(), rows };
        dispatch(LiftInput { tiling, image, lifted, place });
    }
}

/// `Σ w∗x` over pairs of images and weights.
pub(super) fn forward<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let (c, o) = (g.channels, g.out_channels);
    let tiling = Tiling::new(g);
    let weights: Vec<Vec<T>> =
        terms.iter().map(|(_, w)| lift_weights(&weights::in_out(g, w), c * o)).collect();
    let most = PLACES * tiling.images * tiling.tiles();
    let mut out = vec![T::zero(); g.batch * g.output()];
    out.par_chunks_mut(tiling.images * g.output()).enumerate().for_each_init(
        || {
            let inputs = vec![vec![T::zero(); most * c]; terms.len()];
            (tiling.input.scratch::<T>(), inputs, vec![T::zero(); most * o])
        },
        |(scratch, inputs, products), (chunk, out)| {
            let images = out.len() / g.output();
            let first = chunk * tiling.images;
            let rows = images * tiling.tiles();
            for ((x, _), lifted) in terms.iter().zip(inputs.iter_mut()) {
                let lifted = &mut lifted[..PLACES * rows * c];
                lift_images(tiling, x, first..first + images, scratch, lifted);
            }
            let pairs: Vec<(&[T], &[T])> = inputs
                .iter()
                .zip(&weights)
                .map(|(v, u)| (&v[..PLACES * rows * c], u.as_slice()))
                .collect();
            let products = &mut products[..PLACES * rows * o];
            Products {
                size: (rows, o),
                count: c,
                strides: Strides { a_row: c, a_inner: 1, b_inner: o, out_row: o },
                terms: &pairs,
                out: products,
                accumulate: false,
            }
            .run();
            for (i, image) in out.chunks_mut(g.output()).enumerate() {
                let place = Place { first: i * tiling.tiles(), rows };
                dispatch(LowerOutput { tiling, lifted: products, image, place });
            }
        },
    );
    out
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
    let tiling = Tiling::new(g);
    let kernels: Vec<Vec<T>> =
        input.iter().map(|(_, w)| lift_weights(&weights::out_in(g, w), c * o)).collect();
    let (adjoints, which) = distinct(input.iter().map(|t| t.0).chain(weight.iter().map(|t| t.1)));
    let (of_input, of_weight) = which.split_at(input.len());

    let mut out = vec![T::zero(); if input.is_empty() { 0 } else { g.batch * g.image() }];
    let part_images = g.images_per_part();
    let parts = g.batch.div_ceil(part_images);
    let mut slices: Vec<&mut [T]> = out.chunks_mut(part_images * g.image()).collect();
    slices.resize_with(parts, || &mut []);
    let most = PLACES * tiling.images * tiling.tiles();
    let sums: Vec<Vec<T>> = slices
        .into_par_iter()
        .enumerate()
        .map(|(part, out)| {
            let mut sum = vec![T::zero(); if weight.is_empty() { 0 } else { PLACES * c * o }];
            let mut frame_out = tiling.output.scratch::<T>();
            let mut frame_in = tiling.input.scratch::<T>();
            let mut overlapped = vec![T::zero(); tiling.input.len()];
            let mut lifted = vec![vec![T::zero(); most * o]; adjoints.len()];
            let mut images_lifted = vec![vec![T::zero(); most * c]; weight.len().max(1)];
            let end = ((part + 1) * part_images).min(g.batch);
            for first in (part * part_images..end).step_by(tiling.images) {
                let images = tiling.images.min(end - first);
                let rows = images * tiling.tiles();
                for (gy, lifted) in adjoints.iter().zip(&mut lifted) {
                    for i in 0..images {
                        let n = first + i;
                        let gy = &gy[n * g.output()..(n + 1) * g.output()];
                        let image = tiling.output.framed(gy, &mut frame_out);
                        let lifted = &mut lifted[..PLACES * rows * o];
                        let place = Place { first: i * tiling.tiles(), rows };
                        dispatch(LiftOutput { tiling, image, lifted, place });
                    }
                }
                if !input.is_empty() {
                    let terms: Vec<(&[T], &[T])> = of_input
                        .iter()
                        .zip(&kernels)
                        .map(|(&a, u)| (&lifted[a][..PLACES * rows * o], u.as_slice()))
                        .collect();
                    let products = &mut images_lifted[0][..PLACES * rows * c];
                    Products {
                        size: (rows, c),
                        count: o,
                        strides: Strides { a_row: o, a_inner: 1, b_inner: c, out_row: c },
                        terms: &terms,
                        out: products,
                        accumulate: false,
                    }
                    .run();
                    let from = (first - part * part_images) * g.image();
                    for (i, out) in out[from..].chunks_mut(g.image()).take(images).enumerate() {
                        overlapped.fill(T::zero());
                        dispatch(LowerInput {
                            tiling,
                            lifted: products,
                            image: &mut overlapped,
                            place: Place { first: i * tiling.tiles(), rows },
                        });
                        tiling.input.unframe(&overlapped, out);
                    }
                }
                if !weight.is_empty() {
                    for ((x, _), lifted) in weight.iter().zip(&mut images_lifted) {
                        let lifted = &mut lifted[..PLACES * rows * c];
                        lift_images(tiling, x, first..first + images, &mut frame_in, lifted);
                    }
                    let terms: Vec<(&[T], &[T])> = images_lifted
                        .iter()
                        .zip(of_weight)
                        .map(|(v, &a)| (&v[..PLACES * rows * c], &lifted[a][..PLACES * rows * o]))
                        .collect();
                    Products {
                        size: (c, o),
                        count: rows,
                        strides: Strides { a_row: 1, a_inner: c, b_inner: o, out_row: o },
                        terms: &terms,
                        out: &mut sum,
                        accumulate: true,
                    }
                    .run();
                }
            }
            sum
        })
        .collect();
    let gradient = if weight.is_empty() {
        Vec::new()
    } else {
        weights::from_in_out(g, &lower_weights(&weights::total(sums), c * o))
    };
    (out, gradient)
}
