//! Winograd's convolution on a CUDA device: its stages are kernels and one batch of cuBLAS products.
//!
//! The tiles of a tangent's two terms lie beside each other, and so do their weights, so that one
//! product adds them up. The adjoint of images is the convolution with mirrored weights.

use super::{SIDE, STEP};
use crate::Result;
use crate::cuda::{Factor, Launch, TILE, empty, exact_products, products};
use crate::layout::{channels_first, channels_last};
use crate::ops::Forward;
use crate::ops::conv2d::geometry::Geometry;
use candle_core::Tensor;

/// Places of a transformed tile.
const PLACES: usize = SIDE * SIDE;

/// Whether this way is open and likely the faster one. Factors that are rounded would spoil the transforms.
pub(in crate::ops::conv2d) fn applies(g: &Geometry, like: &Tensor) -> Result<bool> {
    let small_padding = g.padding.iter().all(|&padding| padding <= 2);
    Ok(super::applies(g) && g.stride == 1 && small_padding && exact_products(like)?)
}

/// How the matrices of two terms lie.
#[derive(Clone, Copy)]
enum Joined {
    Beside,
    Below,
}

/// Tiles of 4×4 pixels on images of this size.
struct Tiles {
    batch: usize,
    down: usize,
    across: usize,
}

impl Tiles {
    fn new(g: &Geometry) -> Self {
        let [down, across] = [g.out_h, g.out_w].map(|size| size.div_ceil(STEP));
        Self { batch: g.batch, down, across }
    }

    fn count(&self) -> usize {
        self.batch * self.down * self.across
    }

    /// The transformed tiles, by way of the kernel `name`, of one or two feature maps on which the first tile
    /// begins `padding` before the first pixel: `(places, tiles · channels · terms)`.
    fn lifted(
        &self,
        name: &'static str,
        maps: &[&Tensor],
        padding: [usize; 2],
        joined: Joined,
    ) -> Result<Tensor> {
        let (_, channels, height, width) = maps[0].dims4()?;
        let maps = maps.iter().map(|map| channels_last(map)).collect::<Result<Vec<_>>>()?;
        let n = self.count() * channels * maps.len();
        let tiles = empty(&maps[0], &[PLACES, n])?;
        Launch::each(name, &maps[0], n)?
            .tensors([&maps[0]])?
            .optional([maps.get(1)])?
            .tensors([&tiles])?
            .ints([height, width, channels, self.down, self.across])?
            .ints(padding)?
            .ints([maps.len(), joined as usize])?
            .run()?;
        Ok(tiles)
    }
}

/// The transformed weights, one or two: `(places, outputs · inputs · terms)`.
fn lifted_weights(weights: &[&Tensor], mirrored: bool, joined: Joined) -> Result<Tensor> {
    let inputs = weights[0].dim(1)?;
    let n = weights[0].elem_count() / 9 * weights.len();
    let weights = weights.iter().map(|w| channels_last(w)).collect::<Result<Vec<_>>>()?;
    let lifted = empty(&weights[0], &[PLACES, n])?;
    Launch::each("winograd_lift_kernel", &weights[0], n)?
        .tensors([&weights[0]])?
        .optional([weights.get(1)])?
        .tensors([&lifted])?
        .ints([inputs, usize::from(mirrored), weights.len(), joined as usize])?
        .run()?;
    Ok(lifted)
}

/// `Σ w∗x` over the pairs `(x, w)`.
pub(in crate::ops::conv2d) fn forward(
    g: &Geometry,
    terms: &[(&Tensor, &Tensor)],
) -> Result<Tensor> {
    let (x, w): (Vec<_>, Vec<_>) = terms.iter().copied().unzip();
    outputs(g, &lifted_images(g, &x, Joined::Beside)?, &w)
}

/// `w∗x`, and the transformed tiles of the images.
pub(in crate::ops::conv2d) fn forward_once(
    g: &Geometry,
    x: &Tensor,
    w: &Tensor,
) -> Result<Forward> {
    // A single term lies neither beside nor below another.
    let tiles = lifted_images(g, &[x], Joined::Beside)?;
    Ok(Forward { y: outputs(g, &tiles, &[w])?, aux: vec![tiles] })
}

fn lifted_images(g: &Geometry, x: &[&Tensor], joined: Joined) -> Result<Tensor> {
    Tiles::new(g).lifted("winograd_lift_input", x, g.padding, joined)
}

/// The outputs, from the transformed tiles of images that lie beside each other, and weights.
fn outputs(g: &Geometry, x: &Tensor, w: &[&Tensor]) -> Result<Tensor> {
    let inner = g.channels * w.len();
    let w = lifted_weights(w, false, Joined::Beside)?;
    let (x, w) = (Factor::rows(x), Factor::columns(&w));
    lowered(g, &Tiles::new(g), [g.out_channels, inner], x, w)
}

/// `Σ wᵀ∗gy` over the pairs `(gy, w)`: the adjoint of the images.
pub(in crate::ops::conv2d) fn input_gradient(
    g: &Geometry,
    terms: &[(&Tensor, &Tensor)],
) -> Result<Tensor> {
    let (gy, w): (Vec<_>, Vec<_>) = terms.iter().copied().unzip();
    let back = Geometry { out_h: g.height, out_w: g.width, ..*g };
    let tiles = Tiles::new(&back);
    let padding = g.padding.map(|padding| 2 - padding);
    let gy = tiles.lifted("winograd_lift_input", &gy, padding, Joined::Beside)?;
    let w = lifted_weights(&w, true, Joined::Below)?;
    let inner = g.out_channels * terms.len();
    lowered(&back, &tiles, [g.channels, inner], Factor::rows(&gy), Factor::rows(&w))
}

/// The feature map whose tiles are the products at all places.
fn lowered(
    g: &Geometry,
    tiles: &Tiles,
    [channels, inner]: [usize; 2],
    a: Factor<'_>,
    b: Factor<'_>,
) -> Result<Tensor> {
    let n = tiles.count() * channels;
    let lifted = empty(a.tensor(), &[PLACES, n])?;
    products(PLACES, [tiles.count(), channels, inner], &[(a, b)], &lifted)?;
    let y = empty(&lifted, &[g.batch, g.out_h, g.out_w, channels])?;
    Launch::each("winograd_lower_output", &y, n)?
        .tensors([&lifted, &y])?
        .ints([g.out_h, g.out_w, channels, tiles.down, tiles.across])?
        .run()?;
    channels_first(y)
}

/// `Σ gy∗x` over the pairs `(x, gy)`: the adjoint of the weights. Of a single pair, `made` may be the
/// transformed tiles of the images.
pub(in crate::ops::conv2d) fn weight_gradient(
    g: &Geometry,
    terms: &[(&Tensor, &Tensor)],
    made: Option<&Tensor>,
) -> Result<Tensor> {
    let (x, gy): (Vec<_>, Vec<_>) = terms.iter().copied().unzip();
    let tiles = Tiles::new(g);
    let x = match made {
        Some(made) => made.clone(),
        None => lifted_images(g, &x, Joined::Below)?,
    };
    let gy = tiles.lifted("winograd_lift_output", &gy, [0; 2], Joined::Below)?;
    // The products are small, so each is cut into several.
    let rows = tiles.count() * terms.len();
    let parts = [8, 4, 2].into_iter().find(|&parts| rows.is_multiple_of(parts)).unwrap_or(1);
    let (n, batch) = (g.out_channels * g.channels, PLACES * parts);
    let lifted = empty(&x, &[batch, n])?;
    let size = [g.out_channels, g.channels, rows / parts];
    products(batch, size, &[(Factor::columns(&gy), Factor::rows(&x))], &lifted)?;
    let w = empty(&lifted, &[g.out_channels, 3, 3, g.channels])?;
    Launch::blocks("winograd_lower_kernel", &w, n.div_ceil(TILE), n)?
        .tensors([&lifted, &w])?
        .ints([g.channels, parts])?
        .run()?;
    channels_first(w)
}
