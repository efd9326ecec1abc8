//! Convolution of each channel by itself.

#[cfg(feature = "cuda")]
mod cuda;

use super::product_rule::{Pairs, adjoint_tangent_terms, adjoint_terms, product_rule};
use super::window::{Axis, outputs, seen_by, sees};
use super::{Forward, Keep, Kept, Op, arity, nchw, weight_multiply_adds};
use crate::cpu::{self, Float, by_dtype, from_rows, parallel, vectorize, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use crate::{Error, Result};
use candle_core::Tensor;

/// Depthwise convolution of images `(batch, channels, height, width)` with weights
/// `(channels, 1, kernel_h, kernel_w)`, one kernel for each channel; zero padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv {
    /// Pixels from one output to the next, at least 1.
    pub stride: usize,
    /// Zeros added above and below, and on the left and the right: height first, as in the
    /// kernel. Half of an odd kernel keeps the image's size.
    pub padding: [usize; 2],
}

impl Op for DepthwiseConv {
    fn name(&self) -> &'static str {
        "depthwise_conv"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, w] = arity("depthwise_conv", args)?;
        let g = Geometry::new(*self, x, w)?;
        Ok(g.output().to_vec())
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, w) = (args[0], args[1]);
        let g = Geometry::new(*self, x.dims(), w.dims())?;
        Ok(Forward::plain(by_dtype!(x, T => forward::<T>(&g, &[(x, w)]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let g = Geometry::new(*self, kept.dims(0), kept.dims(1))?;
        gradients(&g, adjoint_terms(kept, gy, wants), gy)
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        let terms = product_rule((x, w), (dargs[0], dargs[1]));
        if terms.is_empty() {
            return Ok(None);
        }
        let g = Geometry::new(*self, x.dims(), w.dims())?;
        by_dtype!(x, T => forward::<T>(&g, &terms)).map(Some)
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let g = Geometry::new(*self, kept.dims(0), kept.dims(1))?;
        gradients(&g, adjoint_tangent_terms(kept, dargs, (gy, dgy), wants), gy)
    }

    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        weight_multiply_adds(self, args)
    }
}

/// The sums of the terms of both adjoints, of the type of `like`; none without terms.
fn gradients(
    g: &Geometry,
    [input, weight]: [Pairs<'_>; 2],
    like: &Tensor,
) -> Result<Vec<Option<Tensor>>> {
    by_dtype!(like, T => Ok(vec![
        (!input.is_empty()).then(|| input_gradient::<T>(g, &input)).transpose()?,
        (!weight.is_empty()).then(|| weight_gradient::<T>(g, &weight)).transpose()?,
    ]))
}

/// Sizes, and which pixels each output sees, downward and across.
#[derive(Debug)]
struct Geometry {
    input: [usize; 4],
    kernel: [usize; 2],
    sees: [Axis; 2],
    #[cfg(feature = "cuda")]
    op: DepthwiseConv,
}

impl Geometry {
    fn new(op: DepthwiseConv, x: &[usize], w: &[usize]) -> Result<Self> {
        const NAME: &str = "depthwise_conv";
        let input = nchw(NAME, x)?;
        let [channels, one, kernel_h, kernel_w] = nchw(NAME, w)?;
        if [channels, one] != [input[1], 1] {
            return Err(Error::shape(
                NAME,
                format!(
                    "expected weights ({}, 1, kernel_h, kernel_w) for an image of {} channels, found {w:?}",
                    input[1], input[1]
                ),
            ));
        }
        let axis = |size, kernel, padding| {
            let outputs = outputs(NAME, size, kernel, op.stride, [padding; 2])?;
            Ok::<_, Error>(sees(size, outputs, kernel, op.stride, padding))
        };
        Ok(Self {
            input,
            kernel: [kernel_h, kernel_w],
            sees: [
                axis(input[2], kernel_h, op.padding[0])?,
                axis(input[3], kernel_w, op.padding[1])?,
            ],
            #[cfg(feature = "cuda")]
            op,
        })
    }

    fn output(&self) -> [usize; 4] {
        let [batch, channels, ..] = self.input;
        [batch, channels, self.sees[0].len(), self.sees[1].len()]
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Weights as `[ky][kx][channel]`.
    fn packed<T: Float>(&self, w: &Tensor) -> Result<Vec<T>> {
        let w = w.contiguous()?;
        let w = view::<T>(&w)?;
        let (channels, taps) = (self.input[1], self.taps());
        Ok((0..w.len()).map(|i| w[i % channels * taps + i / channels]).collect())
    }

    /// The inverse of [`Geometry::packed`].
    fn unpacked<T: Float>(&self, packed: &[T]) -> Result<Tensor> {
        let (channels, taps) = (self.input[1], self.taps());
        let w = (0..packed.len()).map(|i| packed[i % taps * channels + i / taps]).collect();
        cpu::tensor(w, &[channels, 1, self.kernel[0], self.kernel[1]])
    }
}

/// `Σ w∗x` over the pairs `(x, w)`.
fn forward<T: Float>(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    on_cuda!(terms[0].0 => cuda::correlate(g, "depthwise_conv", terms, &g.output()));
    correlate::<T>(g, terms, [g.input, g.output()], &g.sees)
}

/// `Σ wᵀ∗gy` over the pairs `(gy, w)`: the adjoint of the images.
fn input_gradient<T: Float>(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    on_cuda!(terms[0].0 => cuda::correlate(g, "depthwise_conv_input", terms, &g.input));
    let [_, _, height, width] = g.input;
    let seen = [seen_by(&g.sees[0], height), seen_by(&g.sees[1], width)];
    correlate::<T>(g, terms, [g.output(), g.input], &seen)
}

/// Channels whose sums stay in registers together.
const LANES: usize = 16;

/// Over the pairs of feature maps of shape `from` and weights: for each pixel of shape `to`, the
/// sum over the places of the kernel of the pixel there times the weight.
fn correlate<T: Float>(
    g: &Geometry,
    terms: &[(&Tensor, &Tensor)],
    [from, to]: [[usize; 4]; 2],
    [down, across]: &[Axis; 2],
) -> Result<Tensor> {
    let maps = terms.iter().map(|(map, _)| channels_last(map)).collect::<Result<Vec<_>>>()?;
    let maps = maps.iter().map(view::<T>).collect::<Result<Vec<_>>>()?;
    let weights = terms.iter().map(|(_, w)| g.packed::<T>(w)).collect::<Result<Vec<_>>>()?;
    let terms: Vec<(&[T], &[T])> =
        maps.iter().zip(&weights).map(|(map, weights)| (&**map, &**weights)).collect();
    let [_, c, height, width] = to;
    let (terms, down, across) = (&terms[..], &down[..], &across[..]);
    from_rows::<T>(
        &to,
        #[inline(always)]
        move |pixel, row| {
            let (line, column) = (pixel / width, pixel % width);
            let sight = Sight {
                terms,
                first_line: line / height * from[2],
                width: from[3],
                channels: c,
                kernel_w: g.kernel[1],
                rows: &down[line % height],
                columns: &across[column],
            };
            let (chunks, rest) = row.as_chunks_mut::<LANES>();
            let done = chunks.len() * LANES;
            for (chunk, to) in chunks.iter_mut().enumerate() {
                let mut sums = [T::zero(); LANES];
                sight.add_up(chunk * LANES, &mut sums);
                *to = sums;
            }
            sight.add_up(done, rest);
        },
    )
}

/// What one pixel is the sum of.
struct Sight<'a, T> {
    terms: &'a [(&'a [T], &'a [T])],
    /// The image's first line among those of all images.
    first_line: usize,
    width: usize,
    channels: usize,
    kernel_w: usize,
    rows: &'a [(usize, usize)],
    columns: &'a [(usize, usize)],
}

impl<T: Float> Sight<'_, T> {
    /// Adds the channels from `first` on, as many as `sums` has.
    #[inline(always)]
    fn add_up(&self, first: usize, sums: &mut [T]) {
        for &(ky, y) in self.rows {
            for &(kx, x) in self.columns {
                let pixel = ((self.first_line + y) * self.width + x) * self.channels + first;
                let tap = (ky * self.kernel_w + kx) * self.channels + first;
                for (map, weights) in self.terms {
                    let pairs = map[pixel..][..sums.len()].iter().zip(&weights[tap..]);
                    for (sum, (&v, &w)) in sums.iter_mut().zip(pairs) {
                        *sum += v * w;
                    }
                }
            }
        }
    }
}

/// Parts of the batch that a weight gradient is summed in: a constant, so that the result does
/// not depend on the number of threads.
const PARTS: usize = 8;

/// `Σ gy∗x` over pairs of images and output adjoints: the adjoint of the weights.
fn weight_gradient<T: Float>(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    on_cuda!(terms[0].0 => cuda::weight_gradient(g, terms));
    let last = |map: &Tensor| channels_last(map);
    let maps = terms.iter().map(|(x, gy)| Ok((last(x)?, last(gy)?))).collect::<Result<Vec<_>>>()?;
    let maps = maps.iter().map(|(x, gy)| Ok((view::<T>(x)?, view::<T>(gy)?)));
    let maps = maps.collect::<Result<Vec<_>>>()?;
    let terms: Vec<(&[T], &[T])> = maps.iter().map(|(x, gy)| (&**x, &**gy)).collect();
    let images = g.input[0].div_ceil(PARTS).max(1);
    let parts = parallel::map(g.input[0].div_ceil(images), &|part| {
        let mut sums = vec![T::zero(); g.taps() * g.input[1]];
        vectorize(
            #[inline(always)]
            || {
                for image in part * images..((part + 1) * images).min(g.input[0]) {
                    add_weight_gradient(g, image, &terms, &mut sums);
                }
            },
        );
        sums
    });
    let mut total = vec![T::zero(); g.taps() * g.input[1]];
    for part in parts {
        for (total, v) in total.iter_mut().zip(part) {
            *total += v;
        }
    }
    g.unpacked(&total)
}

#[inline(always)]
fn add_weight_gradient<T: Float>(
    g: &Geometry,
    image: usize,
    terms: &[(&[T], &[T])],
    sums: &mut [T],
) {
    let [_, c, height, width] = g.input;
    let [down, across] = &g.sees;
    for (x, gy) in terms {
        let mut outputs = gy[image * down.len() * across.len() * c..].chunks_exact(c);
        for rows in down {
            for (columns, gy) in across.iter().zip(&mut outputs) {
                for &(ky, y) in rows {
                    for &(kx, at) in columns {
                        let pixel = &x[((image * height + y) * width + at) * c..][..c];
                        let sums = &mut sums[(ky * g.kernel[1] + kx) * c..][..c];
                        for (sum, (&v, &gy)) in sums.iter_mut().zip(pixel.iter().zip(gy)) {
                            *sum += v * gy;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..4, channels in prop_oneof![1usize..4, 15usize..19],
            (height, width) in (1usize..7, 1usize..7),
            (kernel_h, kernel_w) in (1usize..4, 1usize..4),
            stride in 1usize..4, padding in [0usize..3, 0usize..3], seed: u64,
        ) {
            let args = vec![
                uniform(&[batch, channels, height, width], seed),
                uniform(&[channels, 1, kernel_h, kernel_w], seed ^ 1),
            ];
            let op = DepthwiseConv { stride, padding };
            prop_assume!(op.shape(&[args[0].dims(), args[1].dims()]).is_ok());
            check(&op, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn forward_agrees_with_candle() {
        let x = uniform(&[10, 18, 9, 7], 1);
        for (kernel, stride, padding) in
            [([3, 3], 1, [1, 1]), ([5, 5], 2, [2, 2]), ([1, 7], 1, [0, 3]), ([2, 3], 3, [1, 0])]
        {
            let w = uniform(&[18, 1, kernel[0], kernel[1]], 2);
            let ours = DepthwiseConv { stride, padding }.forward(&[&x, &w]).unwrap().y;
            let padded = x.pad_with_zeros(2, padding[0], padding[0]).unwrap();
            let padded = padded.pad_with_zeros(3, padding[1], padding[1]).unwrap();
            let theirs = padded.conv2d(&w, 0, stride, 1, 18).unwrap();
            let gap = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
            assert!(gap.to_scalar::<f64>().unwrap() < 1e-12, "{kernel:?}");
        }
    }

    #[test]
    fn weights_of_other_channels_are_refused() {
        let op = DepthwiseConv { stride: 1, padding: [1; 2] };
        let message = op.shape(&[&[1, 4, 5, 5], &[4, 4, 3, 3]]).unwrap_err().to_string();
        assert_eq!(
            message,
            "depthwise_conv: expected weights (4, 1, kernel_h, kernel_w) for an image of 4 channels, found [4, 4, 3, 3]"
        );
    }
}
