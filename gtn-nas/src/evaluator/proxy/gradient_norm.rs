//! The gradient before the first step.

use crate::Result;
use candle_core::DType;
use gtn_core::data::Batch;
use gtn_core::network::{Network, Params};

/// Length of the gradient of the loss on a batch.
pub(super) fn score(network: &Network, params: &Params, batch: &Batch) -> Result<f64> {
    let lesson = network.learn(params, batch, false)?;
    let gradient = lesson.gradient.flat().to_dtype(DType::F64).map_err(gtn_core::Error::from)?;
    let squares = gradient.sqr().and_then(|squares| squares.sum_all()?.to_scalar::<f64>());
    Ok(squares.map_err(gtn_core::Error::from)?.sqrt())
}
