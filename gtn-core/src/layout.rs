//! Channels last: how feature maps lie in memory.
//!
//! A tensor `(batch, channels, height, width)` keeps its shape, but the
//! channels of a pixel are neighbors: its strides are those of
//! `(batch, height, width, channels)`. Kernels then read and write whole vectors of channels,
//! whatever the image's size. Tensors in the usual order are taken too, and copied.

use crate::Result;
use crate::cpu::{Float, by_dtype, parallel, tensor, view};
use crate::device::on_cuda;
use candle_core::Tensor;

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
    let shape = [batch, height, width, channels];
    on_cuda!(x => match one_for_all(x)? {
        Some(v) => crate::cuda::add_channels(None, &v, 1.0, &shape),
        None => crate::cuda::transposed(&x.contiguous()?, [channels, height * width], &shape),
    });
    let x = x.contiguous()?;
    by_dtype!(x, T => transposed::<T>(&x, channels, height * width, &shape))
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
    on_cuda!(x => crate::cuda::transposed(&last, [height * width, channels], x.dims()));
    by_dtype!(x, T => transposed::<T>(&last, height * width, channels, x.dims()))
}

/// Tensors of one shape, all in the same order in memory: that of the first.
pub(crate) fn aligned<const N: usize>(inputs: [&Tensor; N]) -> Result<([Tensor; N], bool)> {
    let last = !inputs[0].is_contiguous() && inputs[0].dims().len() == 4;
    let one = |x: &Tensor| if last { channels_last(x) } else { contiguous(x) };
    let all = inputs.iter().map(|x| one(x)).collect::<Result<Vec<_>>>()?;
    Ok((all.try_into().expect("one for each input"), last))
}

/// `v (channels)` at every pixel of a feature map, without memory of its own.
/// [`crate::tensors::add`] knows such tensors.
pub(crate) fn everywhere(v: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let mut shape = vec![1; dims.len()];
    shape[1] = dims[1];
    Ok(v.reshape(shape)?.broadcast_as(dims)?)
}

/// The vector that [`everywhere`] made a feature map of, if it did.
pub(crate) fn one_for_all(x: &Tensor) -> Result<Option<Tensor>> {
    let repeats = x.stride().iter().enumerate().all(|(axis, &stride)| (axis == 1) == (stride == 1));
    if !repeats || x.stride().iter().sum::<usize>() != 1 {
        return Ok(None);
    }
    let mut first = x.clone();
    for axis in (0..x.dims().len()).filter(|&axis| axis != 1) {
        first = first.narrow(axis, 0, 1)?;
    }
    Ok(Some(first.flatten_all()?))
}

/// Transposes the `rows × columns` matrices that `x` is a row of.
pub(crate) fn transposed<T: Float>(
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
