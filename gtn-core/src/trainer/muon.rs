//! Orthogonal steps for matrices: Muon (Jordan et al., 2024), scaled as by Liu et al. (arXiv 2502.16982).
//!
//! A gradient of a layer's weights is long along the few directions that many samples share. Of its singular values all are set
//! to about 1, so that a step goes as far along the others.

use crate::Result;
use crate::device::on_cuda;
use crate::network::Params;
use crate::ops::matrix_product;
use crate::tensors::inner_product;
use candle_core::{DType, Tensor};

/// Of the polynomial `a·x + b·x³ + c·x⁵`, which brings singular values from 0.002 to 1 between 0.6 and 1.3 when it is applied [`TIMES`] times.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
const TIMES: usize = 5;

/// Elements of a step are as large as is usual for Adam: so many learning rates in the quadratic mean.
const SIZE: f64 = 0.2;

/// What is learned after a step, where `weights` go from `before` against the direction of `means`, and all else is where `others` has it.
pub(super) fn stepped(
    before: &Params,
    others: Params,
    means: &Params,
    weights: &[String],
    lr: f64,
) -> Result<Params> {
    let layout = before.layout();
    let parts = layout.slots().iter().map(|slot| {
        if !weights.contains(&slot.name) {
            return others.get(&slot.name).map(Some);
        }
        let outputs = slot.shape[0];
        let direction = orthogonal(&means.get(&slot.name)?.reshape((outputs, ()))?)?;
        let longest = outputs.max(direction.dim(1)?) as f64;
        let step = (direction * (lr * SIZE * longest.sqrt()))?.reshape(&slot.shape[..])?;
        Ok(Some((before.get(&slot.name)? - step)?))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let flat = before.flat();
    Params::gather(layout, &parts, DType::F32, flat.device())
}

/// The matrix with singular values between 0.6 and 1.3 in place of its own, but for those below 0.002 of its norm. Zero stays zero.
///
/// The polynomial multiplies `x` by `f = a + b·g + c·g²`, of the Gram matrix `g = x·xᵀ` alone, which becomes `f·g·f`. All of these
/// commute, so that products of the smaller side do but for the first and the last.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let given = matrix.dtype();
    let matrix = &matrix.to_dtype(working_type(matrix)?)?;
    let (rows, columns) = matrix.dims2()?;
    let tall = rows > columns;
    // On the device, so that nobody waits. Of nothing it is this little.
    let norm = (inner_product(matrix, matrix)?.sqrt()? + 1e-30)?.to_dtype(matrix.dtype())?;
    let unit = matrix.broadcast_div(&norm)?;
    let transposed = unit.t()?.contiguous()?;
    let (wide, long) = if tall { (&transposed, &unit) } else { (&unit, &transposed) };

    let [a, b, c] = COEFFICIENTS;
    let mut gram = matrix_product(wide, long)?;
    let one = Tensor::eye(rows.min(columns), matrix.dtype(), matrix.device())?;
    let mut multiplier = one.clone();
    for time in 0..TIMES {
        let square = matrix_product(&gram, &gram)?;
        let factor = (((&one * a)? + (&gram * b)?)? + (square * c)?)?;
        multiplier = if time == 0 { factor.clone() } else { matrix_product(&factor, &multiplier)? };
        if time + 1 < TIMES {
            gram = matrix_product(&matrix_product(&factor, &gram)?, &factor)?;
        }
    }
    let found =
        if tall { matrix_product(long, &multiplier) } else { matrix_product(&multiplier, wide) };
    Ok(found?.to_dtype(given)?)
}

/// The type to compute in. What is rounded away from a Gram matrix grows by [`COEFFICIENTS`]`[0]`² each time where
/// it should be nothing: little of single precision's 24 bits, too much of TF32's 11.
fn working_type(matrix: &Tensor) -> Result<DType> {
    on_cuda!(matrix => {
        let exact = crate::cuda::exact_products(matrix)?;
        Ok(if exact { matrix.dtype() } else { DType::F64 })
    });
    Ok(matrix.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Precision, cuda, cuda_or_skip};
    use crate::network::{Init, Layout};
    use crate::ops::check::uniform;
    use candle_core::Device;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Tensor {
        uniform(&[rows, columns], seed).to_dtype(DType::F32).unwrap()
    }

    fn values(x: &Tensor) -> Vec<Vec<f32>> {
        x.to_vec2().unwrap()
    }

    #[test]
    fn singular_values_come_close_to_one() {
        // Of diagonal matrices they stand on the diagonal.
        let singular = [3f32, 1.0, 0.3, 0.007];
        let mut diagonal = vec![vec![0f32; 6]; 4];
        for (i, &value) in singular.iter().enumerate() {
            diagonal[i][i] = value;
        }
        let wide = Tensor::new(diagonal, &Device::Cpu).unwrap();
        for m in [wide.clone(), wide.t().unwrap().contiguous().unwrap()] {
            for (i, row) in values(&orthogonal(&m).unwrap()).iter().enumerate() {
                for (j, &x) in row.iter().enumerate() {
                    let fits = if i == j && i < 4 { (0.6..1.3).contains(&x) } else { x == 0.0 };
                    assert!(fits, "{x} at {i}, {j}");
                }
            }
        }
        let none = Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(values(&orthogonal(&none).unwrap()), values(&none));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// Singular vectors stay: `mᵀ·o` is symmetric then, and has the singular values of `m` times the new ones.
        #[test]
        fn singular_vectors_stay(rows in 1usize..9, columns in 1usize..9, seed: u64, length in 1e-6f64..1e6) {
            let m = (matrix(rows, columns, seed) * length).unwrap();
            let o = orthogonal(&m).unwrap();
            let product = values(&m.t().unwrap().matmul(&o).unwrap());
            let largest = length as f32 * (rows * columns) as f32;
            for i in 0..columns {
                prop_assert!(product[i][i] >= -1e-5 * largest);
                for j in 0..i {
                    prop_assert!((product[i][j] - product[j][i]).abs() < 1e-5 * largest);
                }
            }
        }
    }

    #[test]
    fn a_cuda_device_finds_the_same() {
        let Some(device) = cuda_or_skip() else { return };
        for (rows, columns) in [(20, 70), (70, 20)] {
            let m = matrix(rows, columns, 1);
            let expected = orthogonal(&m).unwrap();
            let found = orthogonal(&m.to_device(device).unwrap()).unwrap();
            let found = found.to_device(&Device::Cpu).unwrap();
            for (found, expected) in
                values(&found).iter().flatten().zip(values(&expected).iter().flatten())
            {
                assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
            }
        }
    }

    /// On a device whose products round their factors to TF32, too.
    #[test]
    fn weak_directions_end_where_they_should_whatever_the_precision() {
        let mut diagonal = vec![vec![0f32; 24]; 16];
        for (i, row) in diagonal.iter_mut().enumerate() {
            row[i] = if i < 8 { 1.0 } else { 0.01 };
        }
        let diagonal = Tensor::new(diagonal, &Device::Cpu).unwrap();
        // Reflections mix all directions.
        let mirrored = |size, seed| {
            let v = matrix(size, 1, seed);
            let length = v.sqr().unwrap().sum_all().unwrap();
            let outer = v.matmul(&v.t().unwrap()).unwrap().broadcast_div(&length).unwrap();
            let one = Tensor::eye(size, DType::F32, &Device::Cpu).unwrap();
            (one - (outer * 2.0).unwrap()).unwrap()
        };
        let (left, right) = (mirrored(16, 1), mirrored(24, 2));
        let mixed = left.matmul(&diagonal).unwrap().matmul(&right).unwrap();
        let mut devices = vec![Device::Cpu];
        if cuda_or_skip().is_some() {
            devices.push(cuda(0, Precision::Tf32).unwrap());
        }
        for device in devices {
            let found = orthogonal(&mixed.to_device(&device).unwrap()).unwrap();
            let found = found.to_device(&Device::Cpu).unwrap();
            let found = left.t().unwrap().matmul(&found).unwrap().matmul(&right.t().unwrap());
            for (i, row) in values(&found.unwrap()).iter().enumerate() {
                assert!((0.6..1.3).contains(&row[i]), "{} at {i} on {device:?}", row[i]);
            }
        }
    }

    #[test]
    fn only_weights_take_such_steps() {
        let mut layout = Layout::default();
        layout.push("conv", &[4, 2, 3, 3], Init::Constant(1.0)).unwrap();
        layout.push("noise", &[5, 2], Init::Constant(1.0)).unwrap();
        let layout = Arc::new(layout);
        let drawn = |seed| {
            Params::from_flat(layout.clone(), matrix(1, layout.len(), seed).flatten_all().unwrap())
        };
        let (before, others, means) = (drawn(1), drawn(2), drawn(3));
        let lr = 0.5;
        let after = stepped(&before, others.clone(), &means, &["conv".into()], lr).unwrap();
        let flat = |params: &Params, name: &str| -> Vec<f32> {
            params.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(flat(&after, "noise"), flat(&others, "noise"));
        let step: Vec<f64> = flat(&before, "conv")
            .iter()
            .zip(flat(&after, "conv"))
            .map(|(b, a)| f64::from(b - a))
            .collect();
        // Four singular values of about 1, scaled by the root of the longer side, 18.
        let size = (step.iter().map(|s| s * s).sum::<f64>() / step.len() as f64).sqrt();
        assert!((0.6..1.3).contains(&(size / (lr * SIZE))), "{size}");
        let along: f64 = step.iter().zip(flat(&means, "conv")).map(|(s, m)| s * f64::from(m)).sum();
        assert!(along > 0.0);
    }
}
