//! Synaptic flow.

use crate::Result;
use candle_core::{DType, Tensor};
use gtn_core::Error;
use gtn_core::data::ImageShape;
use gtn_core::network::{Network, Params};

/// `Σ θ · ∂R/∂θ`, all parameters being replaced by their magnitudes.
///
/// None of the terms is negative, but for those of weight normalization's directions. These add up to nothing, and
/// lengths get what the weights would have got: the sum is that of the network without weight normalization.
pub(super) fn score(network: &Network, params: &Params, image: ImageShape) -> Result<f64> {
    let [channels, height, width] = image.dims();
    let device = params.flat().device();
    // Flows of deep networks need room.
    let magnitudes = params.flat().abs().and_then(|flat| flat.to_dtype(DType::F64));
    let params = params.with_flat(magnitudes.map_err(Error::from)?);
    let running = network.fresh_running(DType::F64, device)?;
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F64, device).map_err(Error::from);
    let images = ones(&[1, channels, height, width])?;
    let classes = network.logits(&params, &running, &images)?.elem_count();
    let (_, gradient) =
        network.output_gradient(&params, &running, &images, &ones(&[1, classes])?)?;
    let flow =
        (params.flat() * gradient.flat()).and_then(|flow| flow.sum_all()?.to_scalar::<f64>());
    Ok(flow.map_err(Error::from)?)
}
