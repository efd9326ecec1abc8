//! On a CUDA device: images of one channel, kernels of three by three, and windows of two or three. Each kernel goes
//! over the pooled map; the map between, which is several times as large, is written nowhere.

use super::PooledConv2d;
use crate::Result;
use crate::cuda::{DeviceRepr, Launch, Sums, empty, empty_of, int, lanes, transposed};
use crate::layout::{channels_first, channels_last};
use crate::ops::Forward;
use crate::ops::conv2d::geometry::Geometry;
use candle_core::{DType, Tensor};

/// Of a kernel.
const TAPS: usize = 9;

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

/// Both operations, of images and weights of a size for which there are kernels.
pub(super) struct Fused {
    x: Tensor,
    w: Tensor,
    conv: Geometry,
    sizes: Sizes,
    /// `(batch, height, width, channels)`.
    pooled: [usize; 4],
}

impl Fused {
    /// `None` on a CPU, and where there are no such kernels.
    pub(super) fn new(op: &PooledConv2d, x: &Tensor, w: &Tensor) -> Result<Option<Self>> {
        let conv = Geometry::new(op.conv, x.dims(), w.dims())?;
        let kernel = [conv.channels, conv.kernel_h, conv.kernel_w, conv.stride];
        if !x.device().is_cuda() || kernel != [1, 3, 3, 1] || ![2, 3].contains(&op.pool.kernel) {
            return Ok(None);
        }
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
        let (x, w) = (channels_last(x)?, channels_last(w)?);
        Ok(Some(Self { x, w, conv, sizes, pooled }))
    }

    /// The threads for weights `w`, each with a strip of outputs, or with several channels of it.
    fn strips(&self, name: &'static str, w: &Tensor) -> Result<Launch> {
        let [batch, height, width, channels] = self.pooled;
        let n = batch * height * width.div_ceil(STRIP) * channels;
        Launch::channels(name, w, n, channels)
    }

    /// The maxima, and at which place of its window each was found.
    pub(super) fn forward(&self) -> Result<Forward> {
        let Self { x, w, .. } = self;
        let (y, winner) = (empty(x, &self.pooled)?, empty_of(DType::U8, x, &self.pooled)?);
        self.strips("pooled_conv", w)?
            .tensors([x, w, &y])?
            .tensor(&winner, DType::U8)?
            .structure(self.sizes)
            .run()?;
        Ok(Forward { y: channels_first(y)?, aux: vec![winner] })
    }

    /// The outputs' tangent where the weights move along `dw`, and the images do not.
    pub(super) fn tangent(&self, winner: &Tensor, dw: &Tensor) -> Result<Tensor> {
        let dw = channels_last(dw)?;
        let dy = empty(&self.x, &self.pooled)?;
        self.strips("pooled_conv_tangent", &dw)?
            .tensors([&self.x, &dw])?
            .tensor(winner, DType::U8)?
            .tensors([&dy])?
            .structure(self.sizes)
            .run()?;
        channels_first(dy)
    }

    /// The adjoint of the weights from that of the outputs.
    pub(super) fn weight_gradient(&self, winner: &Tensor, gy: &Tensor) -> Result<Tensor> {
        let gy = channels_last(gy)?;
        let [batch, height, width, channels] = self.pooled;
        let size = [batch * height * width, channels, TAPS, 1];
        let sums = Sums::new("pooled_conv_weights", &gy, size, |launch, partial, parts| {
            let launch = launch.tensors([&self.x, &gy])?.tensor(winner, DType::U8)?;
            Ok(launch.tensors([partial])?.int(parts)?.structure(self.sizes))
        })?;
        let shape = [channels, 3, 3, 1];
        channels_first(sums.finished("pooled_conv_weights_total", &shape, channels, &[])?)
    }

    /// The adjoint of the images: of one pair or two of the outputs' adjoint and weights, the sum.
    pub(super) fn input_gradient(
        &self,
        winner: &Tensor,
        terms: &[(&Tensor, &Tensor)],
    ) -> Result<Tensor> {
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
