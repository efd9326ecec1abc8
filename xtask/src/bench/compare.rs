//! Whether two results agree.

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use std::path::Path;

/// The largest ‖ours − peer's‖/‖peer's‖ over the tensors of two result files.
pub(super) fn max_rel_diff(ours: &Path, peer: &Path) -> Result<f64> {
    let load = |file: &Path| {
        candle_core::safetensors::load(file, &Device::Cpu)
            .with_context(|| format!("the results {} could not be read", file.display()))
    };
    let (ours, peer) = (load(ours)?, load(peer)?);
    ensure!(
        ours.len() == peer.len() && ours.keys().all(|name| peer.contains_key(name)),
        "the two sides report different results: {:?} here, {:?} in the peer",
        ours.keys(),
        peer.keys()
    );
    let mut worst = 0.0f64;
    for (name, ours) in &ours {
        let diff = rel_diff(ours, &peer[name])
            .with_context(|| format!("`{name}` could not be compared"))?;
        worst = worst.max(diff);
    }
    Ok(worst)
}

fn rel_diff(a: &Tensor, b: &Tensor) -> Result<f64> {
    ensure!(a.dims() == b.dims(), "its shape is {:?} here, {:?} in the peer", a.dims(), b.dims());
    let norm = |t: &Tensor| -> Result<f64> { Ok(t.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt()) };
    let (a, b) = (a.to_dtype(DType::F64)?, b.to_dtype(DType::F64)?);
    let (difference, size) = (norm(&(&a - &b)?)?, norm(&b)?);
    let diff = if difference == 0.0 { 0.0 } else { difference / size };
    ensure!(diff.is_finite(), "one side has values that are infinite, not numbers, or all zero");
    Ok(diff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn the_difference_is_relative_to_the_peer() {
        assert_eq!(rel_diff(&tensor(&[3.0, 5.0]), &tensor(&[3.0, 4.0])).unwrap(), 0.2);
        assert_eq!(rel_diff(&tensor(&[0.0]), &tensor(&[0.0])).unwrap(), 0.0);
    }

    #[test]
    fn results_that_cannot_be_compared_are_errors() {
        assert!(rel_diff(&tensor(&[1.0]), &tensor(&[1.0, 1.0])).is_err());
        assert!(rel_diff(&tensor(&[f32::NAN]), &tensor(&[1.0])).is_err());
        assert!(rel_diff(&tensor(&[1.0]), &tensor(&[0.0])).is_err());
    }
}
