//! How differently rectifiers see images.

use crate::Result;
use crate::linalg::Cholesky;
use candle_core::{DType, Tensor};
use gtn_core::Error;
use gtn_core::data::Batch;
use gtn_core::network::{Network, Params};

/// `ln |K|`, where `K` counts for each pair of images the rectifiers that are in the same state for both.
/// Not finite where two different images look the same to all rectifiers.
pub(super) fn score(network: &Network, params: &Params, batch: &Batch) -> Result<f64> {
    let images = distinct(&batch.images).map_err(Error::from)?;
    let codes = network.rectifier_codes(params, &images)?;
    let same = agreement(&codes).map_err(Error::from)?;
    let cholesky = Cholesky::of(same.len(), |i, j| f64::from(same[i][j]));
    Ok(cholesky.map_or(f64::NEG_INFINITY, |cholesky| cholesky.log_determinant()))
}

/// The images without those that are there before: they look the same to every network, which says nothing about one.
fn distinct(images: &Tensor) -> candle_core::Result<Tensor> {
    let rows: Vec<Vec<f32>> = images.flatten_from(1)?.to_dtype(DType::F32)?.to_vec2()?;
    let first = |place: &usize| !rows[..*place].contains(&rows[*place]);
    let places: Vec<u32> = (0..rows.len()).filter(first).map(|place| place as u32).collect();
    if places.len() == rows.len() {
        return Ok(images.clone());
    }
    images.index_select(&Tensor::new(places, images.device())?, 0)
}

fn agreement(codes: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    let (images, rectifiers) = codes.dims2()?;
    if rectifiers == 0 {
        return Ok(vec![vec![0.0; images]; images]);
    }
    // ±1 each: products are 1 where they agree and −1 where they do not. Exact in f32 up to 2²⁴.
    let signs = ((codes.to_dtype(DType::F32)? * 2.0)? - 1.0)?;
    let product = signs.matmul(&signs.t()?.contiguous()?)?;
    ((product + rectifiers as f64)? * 0.5)?.to_vec2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn equal_images_count_once() {
        let of = |rows: &[[f32; 2]]| {
            Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap()
        };
        let rows = |images: &Tensor| distinct(images).unwrap().to_vec2::<f32>().unwrap();
        let images = of(&[[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [0.0, 0.0]]);
        assert_eq!(rows(&images), [[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]]);
        let different = of(&[[1.0, 2.0], [2.0, 1.0]]);
        assert_eq!(rows(&different), [[1.0, 2.0], [2.0, 1.0]]);
    }

    #[test]
    fn agreement_counts_equal_states() {
        let codes =
            Tensor::new(&[[1u8, 0, 1, 1], [1, 1, 0, 1], [0, 1, 0, 0]], &Device::Cpu).unwrap();
        let expected = [[4.0, 2.0, 0.0], [2.0, 4.0, 2.0], [0.0, 2.0, 4.0]].map(Vec::from);
        assert_eq!(agreement(&codes).unwrap(), expected);
        let none = Tensor::zeros((2, 0), DType::U8, &Device::Cpu).unwrap();
        assert_eq!(agreement(&none).unwrap(), [[0.0; 2]; 2].map(Vec::from));
    }
}
