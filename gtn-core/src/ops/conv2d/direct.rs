//! Convolution as products of matrices that are read in place: a row of
//! output pixels is a row of patches, and a patch's rows lie contiguous in an
//! image whose channels come last.

use super::Terms;
use super::geometry::Geometry;
use super::weights;
use super::window::Window;
use crate::cpu::{Lanes, Segment, Strides, parallel, product};
use std::borrow::Cow;
use std::ops::Range;

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
    let weights: Vec<_> =
        terms.iter().map(|(_, w)| Panels::new(&weights::in_out(g, w), g.out_channels)).collect();
    let window = g.padded();
    parallel::filled(g.batch * g.output(), g.output(), &|n, out| {
        let images: Vec<Cow<'_, [T]>> =
            terms.iter().map(|(x, _)| window.framed(image_of(x, g.image(), n))).collect();
        forward_image(g, window, &images, &weights, out);
    })
}

/// Image `n` of a batch with so many elements each.
pub(super) fn image_of<'a, T>(images: &&'a [T], size: usize, n: usize) -> &'a [T] {
    &images[n * size..(n + 1) * size]
}

fn forward_image<T: Lanes>(
    g: &Geometry,
    window: Window,
    images: &[Cow<'_, [T]>],
    weights: &[Panels<T>],
    out: &mut [T],
) {
    let patch_row = g.kernel_w * g.channels;
    // Where rows of patches follow each other without a gap, they are one long row.
    let pointwise = g.kernel_h == 1 && g.kernel_w == 1 && g.stride == 1;
    let (rows, width) = if pointwise { (1, g.out_h * g.out_w) } else { (g.out_h, g.out_w) };
    let mut segments = Vec::with_capacity(images.len() * g.kernel_h);
    for columns in weights[0].columns() {
        let strides = Strides {
            a_row: g.stride * g.channels,
            a_inner: 1,
            b_inner: columns.len(),
            out_row: g.out_channels,
        };
        for y in 0..rows {
            segments.clear();
            for (image, weights) in images.iter().zip(weights) {
                for ky in 0..g.kernel_h {
                    segments.push(Segment {
                        a: &image[(y * g.stride + ky) * window.columns * g.channels..],
                        b: weights.rows(ky * patch_row, &columns),
                        count: patch_row,
                    });
                }
            }
            let out = &mut out[y * width * g.out_channels + columns.start..];
            product((width, columns.len()), strides, &segments, out, false);
        }
    }
}

/// A matrix cut into panels of columns, so that a panel's rows lie close together and the whole
/// panel stays in a core's cache while all rows of an image pass by.
struct Panels<T> {
    data: Vec<T>,
    rows: usize,
    width: usize,
}

impl<T: Lanes> Panels<T> {
    /// Columns of a panel.
    const COLUMNS: usize = 64;

    fn new(matrix: &[T], width: usize) -> Self {
        let rows = matrix.len() / width;
        let mut panels = Self { data: Vec::with_capacity(matrix.len()), rows, width };
        for columns in panels.columns() {
            for row in matrix.chunks_exact(width) {
                panels.data.extend_from_slice(&row[columns.clone()]);
            }
        }
        panels
    }

    /// The columns of each panel.
    fn columns(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let width = self.width;
        (0..width)
            .step_by(Self::COLUMNS)
            .map(move |first| first..(first + Self::COLUMNS).min(width))
    }

    /// A panel from row `first` on.
    fn rows(&self, first: usize, columns: &Range<usize>) -> &[T] {
        let from = columns.start * self.rows;
        &self.data[from..from + columns.len() * self.rows][first * columns.len()..]
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

/// Channels up to which an image's adjoint is not worth vectors of its own.
const NARROW: usize = 4;

/// `Σ wᵀ∗gy` over pairs of output adjoints and weights: the adjoint of the images.
pub(super) fn input_gradient<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    if g.channels <= NARROW { spread_patches(g, terms) } else { gather_outputs(g, terms) }
}

/// The adjoint of images of few channels: the adjoint of every patch, added to its pixels.
fn spread_patches<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let taps = g.kernel_h * g.kernel_w;
    let patch = taps * g.channels;
    // `[out][ky][kx][in]`
    let weights: Vec<Vec<T>> = terms
        .iter()
        .map(|(_, w)| {
            let place = |i: usize| (i / patch, i % patch / g.channels, i % g.channels);
            let at = |(o, tap, c): (usize, usize, usize)| w[(o * g.channels + c) * taps + tap];
            (0..w.len()).map(|i| at(place(i))).collect()
        })
        .collect();
    let o = g.out_channels;
    let strides = Strides { a_row: o, a_inner: 1, b_inner: patch, out_row: patch };
    let window = g.padded();
    parallel::filled(g.batch * g.image(), g.image(), &|n, out| {
        let segments: Vec<Segment<'_, T>> = terms
            .iter()
            .zip(&weights)
            .map(|((gy, _), w)| Segment { a: image_of(gy, g.output(), n), b: w, count: o })
            .collect();
        let outputs = g.out_h * g.out_w;
        let mut patches = vec![T::zero(); outputs * patch];
        product((outputs, patch), strides, &segments, &mut patches, false);
        let mut framed = vec![T::zero(); window.len()];
        let row = g.kernel_w * g.channels;
        for (at, patch) in patches.chunks_exact(patch).enumerate() {
            let (y, x) = (at / g.out_w * g.stride, at % g.out_w * g.stride);
            for (ky, values) in patch.chunks_exact(row).enumerate() {
                let pixels = &mut framed[((y + ky) * window.columns + x) * g.channels..][..row];
                for (pixel, &value) in pixels.iter_mut().zip(values) {
                    *pixel += value;
                }
            }
        }
        window.unframe(&framed, out);
    })
}

/// The adjoint of images of many channels: at every pixel, a product over the outputs that see it.
fn gather_outputs<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
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
    let taps: Vec<Vec<Panels<T>>> = vertical
        .iter()
        .flat_map(|v| horizontal.iter().map(move |h| (v, h)))
        .map(|(v, h)| {
            let weights = packed.iter().map(|w| phase_weights(g, w, v, h));
            weights.map(|w| Panels::new(&w, g.channels)).collect()
        })
        .collect();
    parallel::filled(g.batch * g.image(), g.image(), &|n, out| {
        let framed: Vec<Cow<'_, [T]>> =
            terms.iter().map(|(gy, _)| window.framed(image_of(gy, g.output(), n))).collect();
        let phases = (&vertical[..], &horizontal[..]);
        gather_image(g, window, phases, &framed, &taps, out);
    })
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

fn gather_image<T: Lanes>(
    g: &Geometry,
    window: Window,
    (vertical, horizontal): (&[Phase], &[Phase]),
    adjoints: &[Cow<'_, [T]>],
    taps: &[Vec<Panels<T>>],
    out: &mut [T],
) {
    let o = g.out_channels;
    let mut segments = Vec::with_capacity(adjoints.len() * g.kernel_h);
    let mut pair = taps.iter();
    for v in vertical {
        for h in horizontal {
            let weights = pair.next().expect("weights for each pair of phases");
            let x = (window.left as isize + h.start).max(0) as usize;
            for channels in weights[0].columns() {
                let strides = Strides {
                    a_row: o,
                    a_inner: 1,
                    b_inner: channels.len(),
                    out_row: g.stride * g.channels,
                };
                for j in 0..v.count {
                    segments.clear();
                    for (gy, weights) in adjoints.iter().zip(weights) {
                        for tap in 0..if h.taps == 0 { 0 } else { v.taps } {
                            let y = (window.top as isize + v.start) as usize + j + tap;
                            segments.push(Segment {
                                a: &gy[(y * window.columns + x) * o..],
                                b: weights.rows(tap * h.taps * o, &channels),
                                count: h.taps * o,
                            });
                        }
                    }
                    let to = ((v.first + j * g.stride) * g.width + h.first) * g.channels;
                    let size = (h.count, channels.len());
                    product(size, strides, &segments, &mut out[to + channels.start..], false);
                }
            }
        }
    }
}

/// Images whose share of the weights' adjoint is added at once.
const TOGETHER: usize = 4;

/// `Σ gy∗x` over pairs of images and output adjoints: the adjoint of the weights.
pub(super) fn weight_gradient<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let window = g.padded();
    let images = g.images_per_part();
    let parts: Vec<Vec<T>> = parallel::map(g.batch.div_ceil(images), &|part| {
        let mut sum = vec![T::zero(); g.weights()];
        let part: Vec<usize> = (part * images..((part + 1) * images).min(g.batch)).collect();
        for together in part.chunks(TOGETHER) {
            let pairs: Vec<(Cow<'_, [T]>, &[T])> = together
                .iter()
                .flat_map(|&n| terms.iter().map(move |(x, gy)| (n, x, gy)))
                .map(|(n, x, gy)| {
                    (window.framed(image_of(x, g.image(), n)), image_of(gy, g.output(), n))
                })
                .collect();
            add_weight_gradient(g, window, &pairs, &mut sum);
        }
        sum
    });
    weights::from_in_out(g, &weights::total(parts))
}

fn add_weight_gradient<T: Lanes>(
    g: &Geometry,
    window: Window,
    pairs: &[(Cow<'_, [T]>, &[T])],
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
