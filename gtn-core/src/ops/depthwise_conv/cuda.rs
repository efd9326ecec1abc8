//! Convolution of each channel by itself on a CUDA device.

use super::Geometry;
use crate::Result;
use crate::cuda::{Sums, transposed};
use crate::layout::channels_last;
use crate::ops::cuda::feature_map;
use candle_core::Tensor;

impl Geometry {
    fn sizes(&self) -> [usize; 10] {
        let [_, channels, height, width] = self.input;
        let [_, _, out_h, out_w] = self.output();
        let ([kernel_h, kernel_w], [down, across]) = (self.kernel, self.op.padding);
        let stride = self.op.stride;
        [height, width, channels, out_h, out_w, kernel_h, kernel_w, stride, down, across]
    }
}

/// A pair of operands, or two, one after the other.
fn operands(
    terms: &[(&Tensor, &Tensor)],
    second: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<[Option<Tensor>; 4]> {
    let mut all = [const { None }; 4];
    for (i, (a, b)) in terms.iter().enumerate() {
        (all[2 * i], all[2 * i + 1]) = (Some(channels_last(a)?), Some(second(b)?));
    }
    Ok(all)
}

pub(super) fn correlate(
    g: &Geometry,
    kernel: &'static str,
    terms: &[(&Tensor, &Tensor)],
    to: &[usize],
) -> Result<Tensor> {
    let operands = operands(terms, |w| Ok(w.contiguous()?))?;
    feature_map(kernel, operands.each_ref().map(Option::as_ref), to, g.sizes())
}

pub(super) fn weight_gradient(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let operands = operands(terms, channels_last)?;
    let like = operands[0].as_ref().expect("there is a pair at least");
    let [batch, channels, out_h, out_w] = g.output();
    let size = [batch * out_h * out_w, channels, 1, g.taps()];
    let kernel = "depthwise_conv_weight";
    let sums = Sums::new(kernel, like, size, |launch, partial, parts| {
        let launch = launch.optional(operands.iter().map(Option::as_ref))?;
        launch.tensors([partial])?.int(parts)?.ints(g.sizes())
    })?;
    let sums = sums.total(&[g.taps(), channels])?;
    transposed(&sums, [g.taps(), channels], &[channels, 1, g.kernel[0], g.kernel[1]])
}
