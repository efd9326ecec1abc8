//! Convolution as products of matrices that are read in place: a row of
//! output pixels is a row of patches, and a patch's rows lie contiguous in an
//! image whose channels come last.

use super::Terms;
use super::geometry::Geometry;
use super::weights;
use super::window::Window;
use crate::cpu::{Lanes, Segment, Strides, product};
use rayon::prelude::*;

impl Geometry {
    /// The image with its padding, as far as the kernel reaches.
    fn padded(&self) -> Window {
        Window {
            height: self.height,
            width: self.width,
            channels: self.channels,
            top: self.padding[0],
            left: self.padding[1],
            rows: (self.out_h - 1) * self.stride + self.kernel_h,
            columns: (self.out_w - 1) * self.stride + self.kernel_w,
        }
    }
}

/// `Σ w∗x` over pairs of images and weights.
pub(super) fn forward<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let packed: Vec<Vec<T>> = terms.iter().map(|(_, w)| weights::in_out(g, w)).collect();
    let window = g.padded();
    let mut out = vec![T::zero(); g.batch * g.output()];
    out.par_chunks_mut(g.output()).enumerate().for_each_init(
        || vec![window.scratch::<T>(); terms.len()],
        |scratch, (n, out)| {
            let framed: Vec<&[T]> = terms
                .iter()
                .zip(scratch)
                .map(|((x, _), scratch)| window.framed(image_of(x, g.image(), n), scratch))
                .collect();
            forward_image(g, window, &framed, &packed, out);
        },
    );
    out
}

fn image_of<'a, T>(images: &&'a [T], size: usize, n: usize) -> &'a [T] {
    &images[n * size..(n + 1) * size]
}

fn forward_image<T: Lanes>(
    g: &Geometry,
    window: Window,
    images: &[&[T]],
    weights: &[Vec<T>],
    out: &mut [T],
) {
    let patch_row = g.kernel_w * g.channels;
    let strides = Strides {
        a_row: g.stride * g.channels,
        a_inner: 1,
        b_inner: g.out_channels,
        out_row: g.out_channels,
    };
    // Where rows of patches follow each other without a gap, they are one long row.
    let pointwise = g.kernel_h == 1 && g.kernel_w == 1 && g.stride == 1;
    let (rows, width) = if pointwise { (1, g.out_h * g.out_w) } else { (g.out_h, g.out_w) };
    let mut segments = Vec::with_capacity(images.len() * g.kernel_h);
    for (y, out) in out.chunks_mut(width * g.out_channels).enumerate().take(rows) {
        segments.clear();
        for (image, weights) in images.iter().zip(weights) {
            for ky in 0..g.kernel_h {
                segments.push(Segment {
                    a: &image[(y * g.stride + ky) * window.columns * g.channels..],
                    b: &weights[ky * patch_row * g.out_channels..],
                    count: patch_row,
                });
            }
        }
        product((width, g.out_channels), strides, &segments, out, false);
    }
}

/// Along one axis: the input pixels `first, first + stride, …` and the taps of the kernel that
/// reach them. They see a window of neighboring outputs, as in a convolution without stride.
#[derive(Clone, Copy)]
struct Phase {
    first: usize,
    /// Input pixels.
    count: usize,
    /// Taps: the kernel's `tap, tap + stride, …`.
    taps: usize,
    tap: usize,
    /// The output that the last tap of the first pixel sees; it may lie before the first.
    start: isize,
}

impl Phase {
    fn all(size: usize, kernel: usize, stride: usize, padding: usize) -> Vec<Self> {
        (0..stride.min(size))
            .map(|first| {
                let tap = (first + padding) % stride;
                let taps = kernel.saturating_sub(tap).div_ceil(stride);
                let seen_by_first_tap = ((first + padding - tap) / stride) as isize;
                Self {
                    first,
                    count: (size - first).div_ceil(stride),
                    taps,
                    tap,
                    start: seen_by_first_tap - taps as isize + 1,
                }
            })
            .collect()
    }

    /// How many outputs before the first, and in all, the pixels of these phases look at.
    fn reach(phases: &[Self], outputs: usize) -> (usize, usize) {
        let before = phases.iter().map(|p| p.start.min(0).unsigned_abs()).max().unwrap_or(0);
        let end = phases.iter().map(|p| p.start + (p.count + p.taps) as isize - 1).max();
        (before, before + end.map_or(0, |e| e.max(0) as usize).max(outputs))
    }
}

/// `Σ wᵀ∗gy` over pairs of output adjoints and weights: the adjoint of the images.
pub(super) fn input_gradient<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let vertical = Phase::all(g.height, g.kernel_h, g.stride, g.padding[0]);
    let horizontal = Phase::all(g.width, g.kernel_w, g.stride, g.padding[1]);
    let (top, rows) = Phase::reach(&vertical, g.out_h);
    let (left, columns) = Phase::reach(&horizontal, g.out_w);
    let window = Window {
        height: g.out_h,
        width: g.out_w,
        channels: g.out_channels,
        top,
        left,
        rows,
        columns,
    };
    let packed: Vec<Vec<T>> = terms.iter().map(|(_, w)| weights::out_in(g, w)).collect();
    // For each pair of phases and each term, its taps from the last to the first.
    let taps: Vec<Vec<Vec<T>>> = vertical
        .iter()
        .flat_map(|v| horizontal.iter().map(move |h| (v, h)))
        .map(|(v, h)| packed.iter().map(|w| phase_weights(g, w, v, h)).collect())
        .collect();
    let mut out = vec![T::zero(); g.batch * g.image()];
    out.par_chunks_mut(g.image()).enumerate().for_each_init(
        || vec![window.scratch::<T>(); terms.len()],
        |scratch, (n, out)| {
            let framed: Vec<&[T]> = terms
                .iter()
                .zip(scratch)
                .map(|((gy, _), scratch)| window.framed(image_of(gy, g.output(), n), scratch))
                .collect();
            let phases = (&vertical[..], &horizontal[..]);
            input_gradient_image(g, window, phases, &framed, &taps, out);
        },
    );
    out
}

/// The weights of a pair of phases: `[tap][tap][out][in]`, taps reversed.
fn phase_weights<T: Lanes>(g: &Geometry, out_in: &[T], v: &Phase, h: &Phase) -> Vec<T> {
    let size = g.out_channels * g.channels;
    let mut weights = Vec::with_capacity(v.taps * h.taps * size);
    for y in (0..v.taps).rev() {
        for x in (0..h.taps).rev() {
            let tap = (v.tap + y * g.stride) * g.kernel_w + h.tap + x * g.stride;
            weights.extend_from_slice(&out_in[tap * size..(tap + 1) * size]);
        }
    }
    weights
}

fn input_gradient_image<T: Lanes>(
    g: &Geometry,
    window: Window,
    (vertical, horizontal): (&[Phase], &[Phase]),
    adjoints: &[&[T]],
    taps: &[Vec<Vec<T>>],
    out: &mut [T],
) {
    let o = g.out_channels;
    let strides =
        Strides { a_row: o, a_inner: 1, b_inner: g.channels, out_row: g.stride * g.channels };
    let mut segments = Vec::with_capacity(adjoints.len() * g.kernel_h);
    let mut pair = taps.iter();
    for v in vertical {
        for h in horizontal {
            let weights = pair.next().expect("weights for each pair of phases");
            let x = (window.left as isize + h.start).max(0) as usize;
            for j in 0..v.count {
                segments.clear();
                for (gy, weights) in adjoints.iter().zip(weights) {
                    for tap in 0..if h.taps == 0 { 0 } else { v.taps } {
                        let y = (window.top as isize + v.start) as usize + j + tap;
                        segments.push(Segment {
                            a: &gy[(y * window.columns + x) * o..],
                            b: &weights[tap * h.taps * o * g.channels..],
                            count: h.taps * o,
                        });
                    }
                }
                let to = ((v.first + j * g.stride) * g.width + h.first) * g.channels;
                let size = (h.count, g.channels);
                product(size, strides, &segments, &mut out[to..], false);
            }
        }
    }
}

/// `Σ gy∗x` over pairs of images and output adjoints: the adjoint of the weights.
pub(super) fn weight_gradient<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let window = g.padded();
    let images = g.images_per_part();
    let parts: Vec<Vec<T>> = (0..g.batch.div_ceil(images))
        .into_par_iter()
        .map(|part| {
            let mut sum = vec![T::zero(); g.weights()];
            let mut scratch = vec![window.scratch::<T>(); terms.len()];
            for n in part * images..((part + 1) * images).min(g.batch) {
                let pairs: Vec<(&[T], &[T])> = terms
                    .iter()
                    .zip(&mut scratch)
                    .map(|((x, gy), scratch)| {
                        let image = window.framed(image_of(x, g.image(), n), scratch);
                        (image, image_of(gy, g.output(), n))
                    })
                    .collect();
                add_weight_gradient(g, window, &pairs, &mut sum);
            }
            sum
        })
        .collect();
    weights::from_in_out(g, &weights::total(parts))
}

fn add_weight_gradient<T: Lanes>(
    g: &Geometry,
    window: Window,
    pairs: &[(&[T], &[T])],
    sum: &mut [T],
) {
    let patch_row = g.kernel_w * g.channels;
    let strides = Strides {
        a_row: 1,
        a_inner: g.stride * g.channels,
        b_inner: g.out_channels,
        out_row: g.out_channels,
    };
    let mut segments = Vec::with_capacity(pairs.len() * g.out_h);
    for (ky, sum) in sum.chunks_mut(patch_row * g.out_channels).enumerate() {
        segments.clear();
        for (image, gy) in pairs {
            for y in 0..g.out_h {
                segments.push(Segment {
                    a: &image[(y * g.stride + ky) * window.columns * g.channels..],
                    b: &gy[y * g.out_w * g.out_channels..],
                    count: g.out_w,
                });
            }
        }
        product((patch_row, g.out_channels), strides, &segments, sum, true);
    }
}
