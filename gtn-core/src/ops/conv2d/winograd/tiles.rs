//! Images divided into tiles, transformed and back.

use super::STEP;
use super::channels::{Channels, Patch};
use super::transform::Scheme;
use crate::cpu::Lanes;
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::window::Window;
use pulp::{Simd, WithSimd};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// How images divide into tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiling<W, const VALUES: usize, const PLACES: usize> {
    scheme: PhantomData<W>,
    down: usize,
    across: usize,
    /// Pixels from one input tile to the next.
    step: usize,
    /// The image with a border, so that it holds whole tiles.
    pub(super) input: Window,
    /// The output image, likewise.
    pub(super) output: Window,
}

impl<W, const VALUES: usize, const PLACES: usize> Tiling<W, VALUES, PLACES> {
    pub(super) fn new(g: &Geometry) -> Self {
        let step = STEP * g.stride;
        let (down, across) = (g.out_h.div_ceil(STEP), g.out_w.div_ceil(STEP));
        Self {
            scheme: PhantomData,
            down,
            across,
            step,
            input: Window {
                height: g.height,
                width: g.width,
                channels: g.channels,
                top: g.padding[0],
                left: g.padding[1],
                rows: step * (down - 1) + VALUES,
                columns: step * (across - 1) + VALUES,
            },
            output: Window {
                height: g.out_h,
                width: g.out_w,
                channels: g.out_channels,
                top: 0,
                left: 0,
                rows: STEP * down,
                columns: STEP * across,
            },
        }
    }

    /// Tiles of an image.
    pub(super) fn tiles(&self) -> usize {
        self.down * self.across
    }
}

/// Where an image's tiles are among transformed tiles, square matrices of matrices `[tile][channel]`: rows `first..` of
/// each.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) first: usize,
    /// Elements from one matrix to the next.
    pub(super) cell: usize,
}

impl Share {
    #[inline(always)]
    fn patch<const SIDE: usize>(self, tile: usize, channel: usize, channels: usize) -> Patch {
        Patch {
            corner: (self.first + tile) * channels + channel,
            row: SIDE * self.cell,
            column: self.cell,
        }
    }
}

impl<W: Copy, const VALUES: usize, const PLACES: usize> Tiling<W, VALUES, PLACES> {
    /// Where an input tile lies in a framed image.
    #[inline(always)]
    fn input_patch(self, tile: usize, channel: usize) -> Patch {
        self.patch(self.input, self.step, tile, channel)
    }

    /// Where an output tile lies in a framed image.
    #[inline(always)]
    fn output_patch(self, tile: usize, channel: usize) -> Patch {
        self.patch(self.output, STEP, tile, channel)
    }

    #[inline(always)]
    fn patch(self, window: Window, step: usize, tile: usize, channel: usize) -> Patch {
        let (y, x) = (step * (tile / self.across), step * (tile % self.across));
        Patch {
            corner: (y * window.columns + x) * window.channels + channel,
            row: window.columns * window.channels,
            column: window.channels,
        }
    }
}

/// `Bᵀ x B` of a framed image: every value of its tiles is written.
pub(super) struct LiftInput<'a, T, W, const VALUES: usize, const PLACES: usize> {
    pub(super) tiling: Tiling<W, VALUES, PLACES>,
    pub(super) image: &'a [T],
    pub(super) lifted: &'a mut [MaybeUninit<T>],
    pub(super) share: Share,
}

impl<T: Lanes, W: Scheme<VALUES, PLACES>, const VALUES: usize, const PLACES: usize> WithSimd
    for LiftInput<'_, T, W, VALUES, PLACES>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, image, lifted, share } = self;
        let channels = Channels::<T, S>::new(simd, tiling.input.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let d = channels.read::<VALUES>(image, tiling.input_patch(tile, c), width);
                let v = channels.transform::<W::Input, VALUES, VALUES>(d);
                channels.write(lifted, share.patch::<VALUES>(tile, c, channels.count), width, v);
            }
        }
    }
}

/// `B v Bᵀ`, added to a framed image: the transpose of [`LiftInput`].
pub(super) struct LowerInput<'a, T, W, const VALUES: usize, const PLACES: usize> {
    pub(super) tiling: Tiling<W, VALUES, PLACES>,
    pub(super) lifted: &'a [T],
    pub(super) image: &'a mut [T],
    pub(super) share: Share,
}

impl<T: Lanes, W: Scheme<VALUES, PLACES>, const VALUES: usize, const PLACES: usize> WithSimd
    for LowerInput<'_, T, W, VALUES, PLACES>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, lifted, image, share } = self;
        let channels = Channels::<T, S>::new(simd, tiling.input.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let v = channels.read::<VALUES>(
                    lifted,
                    share.patch::<VALUES>(tile, c, channels.count),
                    width,
                );
                let d = channels.transform::<W::InputBack, VALUES, VALUES>(v);
                channels.add(image, tiling.input_patch(tile, c), width, d);
            }
        }
    }
}

/// `Aᵀ m A` into an output image, as far as it reaches: every pixel is written.
pub(super) struct LowerOutput<'a, T, W, const VALUES: usize, const PLACES: usize> {
    pub(super) tiling: Tiling<W, VALUES, PLACES>,
    pub(super) lifted: &'a [T],
    pub(super) image: &'a mut [MaybeUninit<T>],
    pub(super) share: Share,
}

impl<T: Lanes, W: Scheme<VALUES, PLACES>, const VALUES: usize, const PLACES: usize> WithSimd
    for LowerOutput<'_, T, W, VALUES, PLACES>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, lifted, image, share } = self;
        let Window { channels: count, height, width: image_width, .. } = tiling.output;
        let channels = Channels::<T, S>::new(simd, count);
        for tile in 0..tiling.tiles() {
            let (y, x) = (STEP * (tile / tiling.across), STEP * (tile % tiling.across));
            for c in (0..count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let m =
                    channels.read::<PLACES>(lifted, share.patch::<PLACES>(tile, c, count), width);
                let out = channels.transform::<W::Output, PLACES, STEP>(m);
                for i in 0..STEP.min(height - y) {
                    for j in 0..STEP.min(image_width - x) {
                        let at = ((y + i) * image_width + x + j) * count + c;
                        channels.store(image, at, width, out[i][j]);
                    }
                }
            }
        }
    }
}

/// `A ȳ Aᵀ` of a framed output image: the transpose of [`LowerOutput`].
/// Every place of its tiles is written.
pub(super) struct LiftOutput<'a, T, W, const VALUES: usize, const PLACES: usize> {
    pub(super) tiling: Tiling<W, VALUES, PLACES>,
    pub(super) image: &'a [T],
    pub(super) lifted: &'a mut [MaybeUninit<T>],
    pub(super) share: Share,
}

impl<T: Lanes, W: Scheme<VALUES, PLACES>, const VALUES: usize, const PLACES: usize> WithSimd
    for LiftOutput<'_, T, W, VALUES, PLACES>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, image, lifted, share } = self;
        let channels = Channels::<T, S>::new(simd, tiling.output.channels);
        for tile in 0..tiling.tiles() {
            for c in (0..channels.count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let y = channels.read::<STEP>(image, tiling.output_patch(tile, c), width);
                let m = channels.transform::<W::OutputBack, STEP, PLACES>(y);
                channels.write(lifted, share.patch::<PLACES>(tile, c, channels.count), width, m);
            }
        }
    }
}
