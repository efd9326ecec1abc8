//! Convolution on a CUDA device: patches become rows of a matrix, and cuBLAS multiplies; where it
//! applies, Winograd's way.

mod narrow;

use super::geometry::Geometry;
use super::winograd::cuda as winograd;
use crate::Result;
use crate::cuda::{Factor, Launch, empty, product};
use crate::layout::{channels_first, channels_last};
use crate::ops::Forward;
use candle_core::Tensor;

impl Geometry {
    /// Pixels of all outputs.
    pub(super) fn pixels(&self) -> usize {
        self.batch * self.out_h * self.out_w
    }

    /// Elements of a patch.
    fn patch(&self) -> usize {
        self.kernel_h * self.kernel_w * self.channels
    }

    /// Whether an image's pixels are its patches.
    fn pointwise(&self) -> bool {
        [self.kernel_h, self.kernel_w, self.stride] == [1; 3] && self.padding == [0; 2]
    }

    fn sizes(&self) -> [usize; 10] {
        let Self { height, width, channels, out_h, out_w, kernel_h, kernel_w, stride, .. } = *self;
        let [down, across] = self.padding;
        [height, width, channels, out_h, out_w, kernel_h, kernel_w, stride, down, across]
    }

    /// The patches `(pixels, patch)` of images.
    fn patches(&self, x: &Tensor) -> Result<Tensor> {
        let x = channels_last(x)?;
        if self.pointwise() {
            return Ok(x);
        }
        let rows = empty(&x, &[self.pixels(), self.patch()])?;
        Launch::channels("patches", &x, rows.elem_count(), self.channels)?
            .tensors([&x, &rows])?
            .ints(self.sizes())?
            .run()?;
        Ok(rows)
    }

    /// The adjoint of the images from that of their patches.
    pub(super) fn patches_adjoint(&self, rows: Tensor) -> Result<Tensor> {
        let shape = [self.batch, self.height, self.width, self.channels];
        if self.pointwise() {
            return channels_first(rows.reshape(&shape)?);
        }
        let x = empty(&rows, &shape)?;
        Launch::channels("patches_adjoint", &rows, x.elem_count(), self.channels)?
            .tensors([&rows, &x])?
            .ints(self.sizes())?
            .run()?;
        channels_first(x)
    }
}

/// Both operands of each pair, by way of `prepare`.
fn prepared<'a>(
    terms: &[(&'a Tensor, &'a Tensor)],
    prepare: impl Fn(&Tensor, &Tensor) -> Result<(Tensor, Tensor)>,
) -> Result<Vec<(Tensor, Tensor)>> {
    terms.iter().map(|(a, b)| prepare(a, b)).collect()
}

/// `w∗x`, and what was made of the images on the way: [`weight_gradient`] needs it again.
pub(super) fn forward_once(g: &Geometry, x: &Tensor, w: &Tensor) -> Result<Forward> {
    if winograd::applies(g, x)? {
        return winograd::forward_once(g, x, w);
    }
    if narrow::applies(g) {
        return Ok(Forward::plain(narrow::forward(g, &[(x, w)])?));
    }
    let rows = g.patches(x)?;
    let aux = if g.pointwise() { Vec::new() } else { vec![rows.clone()] };
    Ok(Forward { y: outputs(g, &[(rows, channels_last(w)?)])?, aux })
}

/// `Σ w∗x` over the pairs `(x, w)`.
pub(super) fn forward(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    if winograd::applies(g, terms[0].0)? {
        return winograd::forward(g, terms);
    }
    if narrow::applies(g) {
        return narrow::forward(g, terms);
    }
    outputs(g, &prepared(terms, |x, w| Ok((g.patches(x)?, channels_last(w)?)))?)
}

/// The outputs, from patches and weights.
fn outputs(g: &Geometry, terms: &[(Tensor, Tensor)]) -> Result<Tensor> {
    let y = empty(&terms[0].0, &[g.batch, g.out_h, g.out_w, g.out_channels])?;
    let factors: Vec<_> =
        terms.iter().map(|(rows, w)| (Factor::rows(rows), Factor::columns(w))).collect();
    product([g.pixels(), g.out_channels, g.patch()], &factors, &y)?;
    channels_first(y)
}

/// The adjoints of images and of weights over the pairs of each, where there are any; `made` as in
/// [`weight_gradient`].
pub(super) fn backward(
    g: &Geometry,
    input: &[(&Tensor, &Tensor)],
    weight: &[(&Tensor, &Tensor)],
    made: Option<&Tensor>,
) -> Result<Vec<Option<Tensor>>> {
    Ok(vec![
        (!input.is_empty()).then(|| input_gradient(g, input)).transpose()?,
        (!weight.is_empty()).then(|| weight_gradient(g, weight, made)).transpose()?,
    ])
}

/// `Σ wᵀ∗gy` over the pairs `(gy, w)`: the adjoint of the images. The adjoints of the patches are added
/// up before they are put together.
fn input_gradient(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    if winograd::applies(g, terms[0].0)? {
        return winograd::input_gradient(g, terms);
    }
    if narrow::applies(g) {
        return narrow::input_gradient(g, terms);
    }
    let terms = prepared(terms, |gy, w| Ok((channels_last(gy)?, channels_last(w)?)))?;
    let rows = empty(&terms[0].0, &[g.pixels(), g.patch()])?;
    let factors: Vec<_> = terms.iter().map(|(gy, w)| (Factor::rows(gy), Factor::rows(w))).collect();
    product([g.pixels(), g.patch(), g.out_channels], &factors, &rows)?;
    g.patches_adjoint(rows)
}

/// `Σ gy∗x` over the pairs `(x, gy)`: the adjoint of the weights. Of a single pair, `made` may be what
/// [`forward_once`] made of the images.
fn weight_gradient(
    g: &Geometry,
    terms: &[(&Tensor, &Tensor)],
    made: Option<&Tensor>,
) -> Result<Tensor> {
    if winograd::applies(g, terms[0].0)? {
        return winograd::weight_gradient(g, terms, made);
    }
    if narrow::applies(g) {
        return narrow::weight_gradient(g, terms);
    }
    let patches = |x: &Tensor| made.map_or_else(|| g.patches(x), |made| Ok(made.clone()));
    let terms = prepared(terms, |x, gy| Ok((patches(x)?, channels_last(gy)?)))?;
    let w = empty(&terms[0].0, &[g.out_channels, g.kernel_h, g.kernel_w, g.channels])?;
    let factors: Vec<_> =
        terms.iter().map(|(rows, gy)| (Factor::columns(gy), Factor::rows(rows))).collect();
    product([g.out_channels, g.patch(), g.pixels()], &factors, &w)?;
    channels_first(w)
}
