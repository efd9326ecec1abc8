//! Images divided into tiles, transformed and back.

use super::channels::{Channels, Patch};
use super::transform::{Input, InputBack, Output, OutputBack};
use super::{SIDE, STEP};
use crate::cpu::{Lanes, unwritten};
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::window::Window;
use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// How images divide into tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    down: usize,
    across: usize,
    /// The image with a border, so that it holds whole tiles.
    pub(super) input: Window,
    /// The output image, likewise.
    pub(super) output: Window,
}

impl Tiling {
    pub(super) fn new(g: &Geometry) -> Self {
        let (down, across) = (g.out_h.div_ceil(STEP), g.out_w.div_ceil(STEP));
        Self {
            down,
            across,
            input: Window {
                height: g.height,
                width: g.width,
                channels: g.channels,
                top: g.padding[0],
                left: g.padding[1],
                rows: STEP * down + 2,
                columns: STEP * across + 2,
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

/// The transformed tiles of several images: `[place][tile][channel]`. An
/// image's tiles are rows `first..` of the `rows` of each place.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) first: usize,
    pub(super) rows: usize,
}

impl Place {
    #[inline(always)]
    fn patch(self, tile: usize, channel: usize, channels: usize) -> Patch {
        Patch {
            corner: (self.first + tile) * channels + channel,
            row: SIDE * self.rows * channels,
            column: self.rows * channels,
        }
    }
}

impl Tiling {
    /// Where a tile lies in a framed image.
    #[inline(always)]
    fn patch(self, window: Window, tile: usize, channel: usize) -> Patch {
        let (y, x) = (STEP * (tile / self.across), STEP * (tile % self.across));
        Patch {
            corner: (y * window.columns + x) * window.channels + channel,
            row: window.columns * window.channels,
            column: window.channels,
        }
    }
}

/// `Bᵀ x B` of a framed image: every place of its tiles is written.
pub(super) struct LiftInput<'a, T> {
    pub(super) tiling: Tiling,
    pub(super) image: &'a [T],
    pub(super) lifted: &'a mut [MaybeUninit<T>],
    pub(super) place: Place,
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
                let d = channels.read::<SIDE>(image, tiling.patch(tiling.input, tile, c), width);
                let v = channels.transform::<Input, SIDE, SIDE>(d);
                channels.write(lifted, place.patch(tile, c, channels.count), width, v);
            }
        }
    }
}

/// `B v Bᵀ`, added to a framed image: the transpose of [`LiftInput`].
pub(super) struct LowerInput<'a, T> {
    pub(super) tiling: Tiling,
    pub(super) lifted: &'a [T],
    pub(super) image: &'a mut [T],
    pub(super) place: Place,
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
                let v = channels.read::<SIDE>(lifted, place.patch(tile, c, channels.count), width);
                let d = channels.transform::<InputBack, SIDE, SIDE>(v);
                let at = tiling.patch(tiling.input, tile, c);
                let mut sum = channels.read::<SIDE>(image, at, width);
                for i in 0..SIDE {
                    for j in 0..SIDE {
                        sum[i][j] = T::plus(simd, sum[i][j], d[i][j]);
                    }
                }
                // SAFETY: numbers are written where numbers were.
                channels.write(unsafe { unwritten(image) }, at, width, sum);
            }
        }
    }
}

/// `Aᵀ m A` into an output image, as far as it reaches: every pixel is written.
pub(super) struct LowerOutput<'a, T> {
    pub(super) tiling: Tiling,
    pub(super) lifted: &'a [T],
    pub(super) image: &'a mut [MaybeUninit<T>],
    pub(super) place: Place,
}

impl<T: Lanes> WithSimd for LowerOutput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, lifted, image, place } = self;
        let Window { channels: count, height, width: image_width, .. } = tiling.output;
        let channels = Channels::<T, S>::new(simd, count);
        for tile in 0..tiling.tiles() {
            let (y, x) = (STEP * (tile / tiling.across), STEP * (tile % tiling.across));
            for c in (0..count).step_by(T::lanes::<S>()) {
                let width = channels.width(c);
                let m = channels.read::<SIDE>(lifted, place.patch(tile, c, count), width);
                let out = channels.transform::<Output, SIDE, STEP>(m);
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
pub(super) struct LiftOutput<'a, T> {
    pub(super) tiling: Tiling,
    pub(super) image: &'a [T],
    pub(super) lifted: &'a mut [MaybeUninit<T>],
    pub(super) place: Place,
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
                let y = channels.read::<STEP>(image, tiling.patch(tiling.output, tile, c), width);
                let m = channels.transform::<OutputBack, STEP, SIDE>(y);
                channels.write(lifted, place.patch(tile, c, channels.count), width, m);
            }
        }
    }
}
