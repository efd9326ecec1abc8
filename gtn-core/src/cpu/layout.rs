//! Channels last: how feature maps lie in memory on a CPU.
//!
//! A tensor `(batch, channels, height, width)` keeps its shape, but the
//! channels of a pixel are neighbors: its strides are those of
//! `(batch, height, width, channels)`. Kernels then read and write whole vectors of channels,
//! whatever the image's size. Tensors in the usual order are taken too, and copied.

use super::{Float, parallel, tensor, unsupported, view};
use crate::Result;
use candle_core::{DType, Tensor};

/// Side of the squares that [`transpose`] works in.
const BLOCK: usize = 16;

/// A feature map as a contiguous `(batch, height, width, channels)`; a matrix as it is.
pub(crate) fn channels_last(x: &Tensor) -> Result<Tensor> {
    if x.dims().len() != 4 {
        return Ok(x.contiguous()?);
    }
    let last = x.permute((0, 2, 3, 1))?;
    if last.is_contiguous() {
        return Ok(last);
    }
    let (batch, channels, height, width) = x.dims4()?;
    let x = x.contiguous()?;
    let shape = [batch, height, width, channels];
    match x.dtype() {
        DType::F32 => transposed::<f32>(&x, channels, height * width, &shape),
        DType::F64 => transposed::<f64>(&x, channels, height * width, &shape),
        other => Err(unsupported(other)),
    }
}

/// The inverse of [`channels_last`]: the feature map's usual shape around the same memory.
pub(crate) fn channels_first(x: Tensor) -> Result<Tensor> {
    if x.dims().len() != 4 {
        return Ok(x);
    }
    Ok(x.permute((0, 3, 1, 2))?)
}

/// The elements in the order of the shape.
pub(crate) fn contiguous(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() || x.dims().len() != 4 {
        return Ok(x.contiguous()?);
    }
    let last = x.permute((0, 2, 3, 1))?;
    if !last.is_contiguous() {
        return Ok(x.contiguous()?);
    }
    let (_, channels, height, width) = x.dims4()?;
    match x.dtype() {
        DType::F32 => transposed::<f32>(&last, height * width, channels, x.dims()),
        DType::F64 => transposed::<f64>(&last, height * width, channels, x.dims()),
        other => Err(unsupported(other)),
    }
}

/// Tensors of one shape, all in the same order in memory: that of the first.
pub(crate) fn aligned<const N: usize>(inputs: [&Tensor; N]) -> Result<([Tensor; N], bool)> {
    let last = !inputs[0].is_contiguous() && inputs[0].dims().len() == 4;
    let one = |x: &Tensor| if last { channels_last(x) } else { contiguous(x) };
    let all = inputs.iter().map(|x| one(x)).collect::<Result<Vec<_>>>()?;
    Ok((all.try_into().expect("one for each input"), last))
}

/// Transposes the `rows × columns` matrices that `x` is a row of.
fn transposed<T: Float>(
    x: &Tensor,
    rows: usize,
    columns: usize,
    shape: &[usize],
) -> Result<Tensor> {
    let x = view::<T>(x)?;
    let x = &*x;
    let size = rows * columns;
    let out = parallel::filled(x.len(), size, &|matrix, out| {
        let x = &x[matrix * size..][..size];
        for i in (0..rows).step_by(BLOCK) {
            for j in (0..columns).step_by(BLOCK) {
                for i in i..(i + BLOCK).min(rows) {
                    for j in j..(j + BLOCK).min(columns) {
                        out[j * rows + i] = x[i * columns + j];
                    }
                }
            }
        }
    });
    tensor(out, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::uniform;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_and_back(
            batch in 1usize..3, channels in 1usize..40, height in 1usize..6, width in 1usize..6,
        ) {
            let x = uniform(&[batch, channels, height, width], 1);
            let last = channels_first(channels_last(&x).unwrap()).unwrap();
            prop_assert_eq!(last.dims(), x.dims());
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            prop_assert_eq!(flat(&last), flat(&x));
            prop_assert_eq!(flat(&contiguous(&last).unwrap()), flat(&x));
        }
    }
}
