//! Convolution to fewer channels than it comes from, as at a generator's end: patches of the images would be many
//! times as large as the images. Instead, a product gives what every pixel adds to the outputs around it, and these
//! add up: each function is that of the opposite direction, seen from the outputs, with mirrored weights.

use super::{Factor, Geometry, Launch, channels_last, empty, prepared, product};
use crate::Result;
use crate::layout::channels_first;
use candle_core::Tensor;

/// Whether this way is open and likely the faster one.
pub(super) fn applies(g: &Geometry) -> bool {
    g.stride == 1
        && 2 * g.out_channels <= g.channels
        && g.padding[0] < g.kernel_h
        && g.padding[1] < g.kernel_w
        && !g.pointwise()
}

/// The convolution from outputs to images that is this one's transpose.
fn transposed(g: &Geometry) -> Geometry {
    Geometry {
        channels: g.out_channels,
        height: g.out_h,
        width: g.out_w,
        out_channels: g.channels,
        out_h: g.height,
        out_w: g.width,
        padding: [g.kernel_h - 1 - g.padding[0], g.kernel_w - 1 - g.padding[1]],
        ..*g
    }
}

/// The matrix `(taps · outputs, inputs)` of weights, the last tap first.
fn mirrored(g: &Geometry, w: &Tensor) -> Result<Tensor> {
    let w = channels_last(w)?;
    turned(g, &w, [g.kernel_h, g.kernel_w, g.out_channels, g.channels], false)
}

fn turned(g: &Geometry, w: &Tensor, shape: [usize; 4], back: bool) -> Result<Tensor> {
    let turned = empty(w, &shape)?;
    Launch::each("mirror_taps", w, w.elem_count())?
        .tensors([w, &turned])?
        .ints([g.out_channels, g.kernel_h * g.kernel_w, g.channels, usize::from(back)])?
        .run()?;
    Ok(turned)
}

/// `Σ w∗x` over the pairs `(x, w)`.
pub(super) fn forward(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let back = transposed(g);
    let terms = prepared(terms, |x, w| Ok((channels_last(x)?, mirrored(g, w)?)))?;
    let rows = empty(&terms[0].0, &[back.pixels(), back.patch()])?;
    let factors: Vec<_> =
        terms.iter().map(|(x, w)| (Factor::rows(x), Factor::columns(w))).collect();
    product([back.pixels(), back.patch(), g.channels], &factors, &rows)?;
    back.patches_adjoint(rows)
}

/// `Σ wᵀ∗gy` over the pairs `(gy, w)`.
pub(super) fn input_gradient(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let back = transposed(g);
    let terms = prepared(terms, |gy, w| Ok((back.patches(gy)?, mirrored(g, w)?)))?;
    let x = empty(&terms[0].0, &[g.batch, g.height, g.width, g.channels])?;
    let factors: Vec<_> =
        terms.iter().map(|(rows, w)| (Factor::rows(rows), Factor::rows(w))).collect();
    product([back.pixels(), g.channels, back.patch()], &factors, &x)?;
    channels_first(x)
}

/// `Σ gy∗x` over the pairs `(x, gy)`.
pub(super) fn weight_gradient(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let back = transposed(g);
    let terms = prepared(terms, |x, gy| Ok((channels_last(x)?, back.patches(gy)?)))?;
    let w = empty(&terms[0].0, &[back.patch(), g.channels])?;
    let factors: Vec<_> =
        terms.iter().map(|(x, rows)| (Factor::columns(rows), Factor::rows(x))).collect();
    product([back.patch(), g.channels, back.pixels()], &factors, &w)?;
    channels_first(turned(g, &w, [g.out_channels, g.kernel_h, g.kernel_w, g.channels], true)?)
}
