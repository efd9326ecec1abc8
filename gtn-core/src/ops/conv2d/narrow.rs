//! Convolution to few channels, as at a generator's end, where vectors of outputs would be mostly
//! empty. Their lanes hold what every pixel adds to the outputs around it, or channels of the input.

use super::Terms;
use super::direct::image_of;
use super::geometry::Geometry;
use super::weights;
use super::window::Window;
use crate::cpu::{Lanes, Segment, Strides, parallel, product};
use std::borrow::Cow;

/// Output channels up to which this is faster than [`super::direct`].
const NARROW: usize = 4;

/// Whether these functions apply, and pay.
pub(super) fn applies(g: &Geometry) -> bool {
    g.stride == 1
        && g.out_channels <= NARROW
        && g.channels > NARROW
        && g.padding[0] < g.kernel_h
        && g.padding[1] < g.kernel_w
}

/// `Σ w∗x` over pairs of images and weights: a product gives what each pixel adds through each tap.
pub(super) fn forward<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let parts = g.kernel_h * g.kernel_w * g.out_channels;
    let weights: Vec<Vec<T>> = terms.iter().map(|(_, w)| weights::in_taps(g, w)).collect();
    let (pixels, c) = (g.height * g.width, g.channels);
    let strides = Strides { a_row: c, a_inner: 1, b_inner: parts, out_row: parts };
    parallel::filled(g.batch * g.output(), g.output(), &|n, out| {
        let segments: Vec<Segment<'_, T>> = terms
            .iter()
            .zip(&weights)
            .map(|((x, _), w)| Segment { a: image_of(x, g.image(), n), b: w, count: c })
            .collect();
        let mut added = vec![T::zero(); pixels * parts];
        product((pixels, parts), strides, &segments, &mut added, false);
        gather(g, &added, out);
    })
}

/// The outputs of one image, of which `added[pixel][tap][out]` are the parts.
fn gather<T: Lanes>(g: &Geometry, added: &[T], out: &mut [T]) {
    let (o, parts) = (g.out_channels, g.kernel_h * g.kernel_w * g.out_channels);
    for (y, line) in out.chunks_exact_mut(g.out_w * o).enumerate() {
        for ky in 0..g.kernel_h {
            let Some(from_y) = (y + ky).checked_sub(g.padding[0]).filter(|&y| y < g.height) else {
                continue;
            };
            for kx in 0..g.kernel_w {
                let first = g.padding[1].saturating_sub(kx);
                let end = (g.width + g.padding[1]).saturating_sub(kx).min(g.out_w);
                if first >= end {
                    continue;
                }
                let from = from_y * g.width + first + kx - g.padding[1];
                let tap = (ky * g.kernel_w + kx) * o;
                let pixels = added[from * parts..].chunks(parts);
                for (out, parts) in line[first * o..end * o].chunks_exact_mut(o).zip(pixels) {
                    for (out, &part) in out.iter_mut().zip(&parts[tap..]) {
                        *out += part;
                    }
                }
            }
        }
    }
}

/// `Σ gy∗x` over pairs of images and output adjoints, the adjoint of the weights: the adjoints that a
/// pixel's taps see, times the pixel.
pub(super) fn weight_gradient<T: Lanes>(g: &Geometry, terms: &Terms<'_, T>) -> Vec<T> {
    let (o, c) = (g.out_channels, g.channels);
    // Tap `(ky, kx)` of pixel `(y, x)` sees output `(y + padding − ky, x + padding − kx)`.
    let window = Window {
        height: g.out_h,
        width: g.out_w,
        channels: o,
        top: g.kernel_h - 1 - g.padding[0],
        left: g.kernel_w - 1 - g.padding[1],
        rows: g.height + g.kernel_h - 1,
        columns: g.width + g.kernel_w - 1,
    };
    let strides = Strides { a_row: 1, a_inner: o, b_inner: c, out_row: c };
    let images = g.images_per_part();
    let parts: Vec<Vec<T>> = parallel::map(g.batch.div_ceil(images), &|part| {
        let mut sum = vec![T::zero(); g.weights()];
        for n in part * images..((part + 1) * images).min(g.batch) {
            let pairs: Vec<(&[T], Cow<'_, [T]>)> = terms
                .iter()
                .map(|(x, gy)| {
                    (image_of(x, g.image(), n), window.framed(image_of(gy, g.output(), n)))
                })
                .collect();
            let mut segments = Vec::with_capacity(pairs.len() * g.height);
            for (ky, sum) in sum.chunks_exact_mut(g.kernel_w * o * c).enumerate() {
                segments.clear();
                for (x, gy) in &pairs {
                    for y in 0..g.height {
                        segments.push(Segment {
                            a: &gy[(y + g.kernel_h - 1 - ky) * window.columns * o..],
                            b: &x[y * g.width * c..],
                            count: g.width,
                        });
                    }
                }
                product((g.kernel_w * o, c), strides, &segments, sum, true);
            }
        }
        sum
    });
    weights::from_taps_reversed(g, &weights::total(parts))
}
