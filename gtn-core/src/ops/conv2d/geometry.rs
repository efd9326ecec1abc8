//! The sizes of one convolution.

use super::Conv2d;
use crate::ops::nchw;
use crate::ops::window::outputs;
use crate::{Error, Result};

/// Sizes of images, kernel and outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) out_channels: usize,
    pub(super) kernel_h: usize,
    pub(super) kernel_w: usize,
    pub(super) out_h: usize,
    pub(super) out_w: usize,
    pub(super) stride: usize,
    /// Above and on the left.
    pub(super) padding: [usize; 2],
}

impl Geometry {
    pub(super) fn new(op: Conv2d, x: &[usize], w: &[usize]) -> Result<Self> {
        let [batch, channels, height, width] = nchw("conv", x)?;
        let [out_channels, in_channels, kernel_h, kernel_w] = nchw("conv", w)?;
        if in_channels != channels {
            return Err(Error::shape(
                "conv",
                format!("weights for {in_channels} channels met an image of {channels}"),
            ));
        }
        let Conv2d { stride, padding } = op;
        let out = |size, kernel, padding| outputs("conv", size, kernel, stride, [padding; 2]);
        Ok(Self {
            batch,
            channels,
            height,
            width,
            out_channels,
            kernel_h,
            kernel_w,
            out_h: out(height, kernel_h, padding[0])?,
            out_w: out(width, kernel_w, padding[1])?,
            stride,
            padding,
        })
    }

    /// Elements of an input image.
    pub(super) fn image(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Elements of an output image.
    pub(super) fn output(&self) -> usize {
        self.out_channels * self.out_h * self.out_w
    }

    /// Elements of the weights.
    pub(super) fn weights(&self) -> usize {
        self.out_channels * self.channels * self.kernel_h * self.kernel_w
    }

    /// The parts of the batch that a weight gradient is summed in. Depends on
    /// sizes only, so that the result does not depend on the number of threads;
    /// few where the sums themselves are large.
    pub(super) fn images_per_part(&self) -> usize {
        let parts = if self.weights() > 1 << 17 { 4 } else { 8 };
        self.batch.div_ceil(parts).max(1)
    }
}
