//! On a CUDA device: each kernel goes over the outputs, but for the adjoint of images, for which threads share
//! the channels of a pixel of the map.

use super::{PooledConv2d, TAPS, Terms};
use crate::Result;
use crate::cuda::{DeviceRepr, Launch, Sums, empty, empty_of, int, lanes, transposed};
use crate::layout::{channels_first, channels_last};
use crate::ops::Forward;
use crate::ops::conv2d::geometry::Geometry;
use crate::tensors::add;
use candle_core::{DType, Tensor};

/// Outputs of a thread's strip, as in `pooled.cu`.
const STRIP: usize = 7;

/// Pixels of the map that a block works on at a time, as in `pooled.cu`.
const PIXELS: usize = 16;

/// As in `pooled.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Sizes {
    height: i32,
    width: i32,
    map_h: i32,
    map_w: i32,
    channels: i32,
    out_h: i32,
    out_w: i32,
    kernel: i32,
    stride: i32,
    before: i32,
    pad_h: i32,
    pad_w: i32,
}

// SAFETY: plain numbers, laid out as the struct `PooledConv` in pooled.cu.
unsafe impl DeviceRepr for Sizes {}

/// The sizes of both operations.
pub(super) struct Passes {
    conv: Geometry,
    sizes: Sizes,
    /// `(batch, height, width, channels)`.
    pooled: [usize; 4],
}

impl Passes {
    pub(super) fn new(op: &PooledConv2d, conv: &Geometry) -> Result<Self> {
        let map = [conv.batch, conv.out_channels, conv.out_h, conv.out_w];
        int(map.iter().product())?;
        let window = op.pool.window()?.sizes(map)?;
        let [map_h, map_w, channels, out_h, out_w, kernel, stride, before] = window;
        let pooled = [conv.batch, out_h, out_w, channels];
        let sizes = Sizes {
            height: int(conv.height)?,
            width: int(conv.width)?,
            map_h: int(map_h)?,
            map_w: int(map_w)?,
            channels: int(channels)?,
            out_h: int(out_h)?,
            out_w: int(out_w)?,
            kernel: int(kernel)?,
            stride: int(stride)?,
            before: int(before)?,
            pad_h: int(conv.padding[0])?,
            pad_w: int(conv.padding[1])?,
        };
        Ok(Self { conv: *conv, sizes, pooled })
    }

    /// A thread for a strip of outputs, or for several channels of it, as the memory of the weights allows.
    fn strips(&self, name: &'static str, w: &Tensor) -> Result<Launch> {
        let [batch, height, width, channels] = self.pooled;
        let n = batch * height * width.div_ceil(STRIP) * channels;
        Launch::channels(name, w, n, channels)
    }

    /// The maxima, and at which place of its window each was found.
    pub(super) fn forward(&self, x: &Tensor, w: &Tensor) -> Result<Forward> {
        let (x, w) = (channels_last(x)?, channels_last(w)?);
        let (y, winner) = (empty(&x, &self.pooled)?, empty_of(DType::U8, &x, &self.pooled)?);
        self.strips("pooled_conv", &w)?
            .tensors([&x, &w, &y])?
            .tensor(&winner, DType::U8)?
            .structure(self.sizes)
            .run()?;
        Ok(Forward { y: channels_first(y)?, aux: vec![winner] })
    }

    /// The sum over pairs of images and weights of the convolutions that won.
    pub(super) fn taken(&self, winner: &Tensor, terms: Terms<'_>) -> Result<Tensor> {
        added_up(terms, |x, w| {
            let (x, w) = (channels_last(x)?, channels_last(w)?);
            let y = empty(&x, &self.pooled)?;
            self.strips("pooled_conv_taken", &w)?
                .tensors([&x, &w])?
                .tensor(winner, DType::U8)?
                .tensors([&y])?
                .structure(self.sizes)
                .run()?;
            channels_first(y)
        })
    }

    /// The adjoint of the weights, over pairs of images and the outputs' adjoint.
    pub(super) fn weight_gradient(&self, winner: &Tensor, terms: Terms<'_>) -> Result<Tensor> {
        let [batch, height, width, channels] = self.pooled;
        let size = [batch * height * width, channels, TAPS, 1];
        added_up(terms, |x, gy| {
            let (x, gy) = (channels_last(x)?, channels_last(gy)?);
            let sums = Sums::new("pooled_conv_weights", &gy, size, |launch, partial, parts| {
                let launch = launch.tensors([&x, &gy])?.tensor(winner, DType::U8)?;
                Ok(launch.tensors([partial])?.int(parts)?.structure(self.sizes))
            })?;
            let shape = [channels, 3, 3, 1];
            channels_first(sums.finished("pooled_conv_weights_total", &shape, channels, &[])?)
        })
    }

    /// The adjoint of the images, over one pair or two of the outputs' adjoint and weights.
    pub(super) fn input_gradient(&self, winner: &Tensor, terms: Terms<'_>) -> Result<Tensor> {
        let channels = self.conv.out_channels;
        let gy = terms.iter().map(|(gy, _)| channels_last(gy)).collect::<Result<Vec<_>>>()?;
        let taps = |w| transposed(&channels_last(w)?, [channels, TAPS], &[TAPS, channels]);
        let w = terms.iter().map(|(_, w)| taps(w)).collect::<Result<Vec<_>>>()?;
        let pixels = self.conv.pixels();
        let rows = empty(&gy[0], &[pixels, TAPS])?;
        let lanes = lanes(&gy.iter().collect::<Vec<_>>(), channels);
        Launch::blocks("pooled_conv_patches", &rows, pixels.div_ceil(PIXELS), pixels * TAPS)?
            .int(lanes)?
            .tensors([&gy[0], &w[0]])?
            .optional([gy.get(1), w.get(1)])?
            .tensor(winner, DType::U8)?
            .tensors([&rows])?
            .structure(self.sizes)
            .run()?;
        self.conv.patches_adjoint(rows)
    }
}

/// The sum of what `each` makes of a pair. While learning there is one pair: images do not move.
fn added_up(terms: Terms<'_>, each: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let sums = terms.iter().map(|(a, b)| each(a, b));
    sums.reduce(|a, b| add(&a?, &b?)).expect("there is a pair")
}
