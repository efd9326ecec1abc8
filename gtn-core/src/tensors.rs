//! What all layers ask of tensors, wherever these lie.

use crate::Result;
use crate::cpu::{self, by_dtype};
use crate::device::on_cuda;
use candle_core::{DType, Device, Tensor, WithDType};

/// The sum of two tensors of one shape.
pub(crate) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    on_cuda!(x => crate::cuda::add(x, y));
    cpu::add(x, y)
}

/// `a·x`.
pub(crate) fn scaled(a: f64, x: &Tensor) -> Result<Tensor> {
    on_cuda!(x => crate::cuda::combined(x, None, a, 0.0));
    by_dtype!(x, T => {
        let a = T::from_f64(a);
        cpu::map::<T>(x, #[inline(always)] move |x| a * x)
    })
}

/// `x` times each of two factors.
pub(crate) fn multiples(x: &Tensor, factors: [f64; 2]) -> Result<[Tensor; 2]> {
    on_cuda!(x => crate::cuda::multiples(x, factors));
    let [a, b] = factors.map(|factor| scaled(factor, x));
    Ok([a?, b?])
}

/// A one of the floating-point type and on the device of `like`: a scalar.
pub(crate) fn one_like(like: &Tensor) -> Result<Tensor> {
    on_cuda!(like => crate::cuda::one_like(like));
    Ok(Tensor::ones((), like.dtype(), like.device())?)
}

/// The inner product of two tensors of one size, in an order fixed by their size: an f64 scalar
/// where they lie.
pub(crate) fn inner_product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    on_cuda!(x => crate::cuda::inner_product(x, y));
    let product = by_dtype!(x, T => cpu::inner_product::<T>(x, y))?;
    cpu::tensor(vec![product], &[])
}

/// Zeros.
pub(crate) fn zeros(shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    if shape.contains(&0) {
        // Some devices refuse to allocate nothing.
        return Ok(Tensor::zeros(1, dtype, device)?.narrow(0, 0, 0)?.reshape(shape)?);
    }
    Ok(Tensor::zeros(shape, dtype, device)?)
}

/// Zeros of the floating-point type and on the device of `like`.
pub(crate) fn zeros_like(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
    zeros(shape, like.dtype(), like.device())
}

/// Vectors end to end, each with its length; `None` stands for zeros.
pub(crate) fn joined(
    parts: &[(Option<Tensor>, usize)],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    if parts.is_empty() {
        return zeros(&[0], dtype, device);
    }
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return crate::cuda::joined(parts, dtype, device, None, [0.0, 1.0]);
    }
    let parts = parts.iter().map(|(part, len)| match part {
        Some(part) => Ok(part.clone()),
        None => zeros(&[*len], dtype, device),
    });
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
}

/// `a·x`, plus `b` times vectors end to end as in [`joined`].
pub(crate) fn combined_with_joined(
    a: f64,
    x: &Tensor,
    b: f64,
    parts: &[(Option<Tensor>, usize)],
) -> Result<Tensor> {
    if parts.is_empty() {
        return Ok(x.clone());
    }
    on_cuda!(x => crate::cuda::joined(parts, x.dtype(), x.device(), Some(x), [a, b]));
    by_dtype!(x, T => cpu::combined_with_joined::<T>(a, x, b, parts))
}

/// The values of scalars of one element type. This is where the host waits for a device: once, for
/// all of them.
pub(crate) fn read(scalars: &[Tensor]) -> Result<Vec<f64>> {
    let Some(first) = scalars.first() else { return Ok(Vec::new()) };
    let parts = scalars.iter().map(|scalar| Ok((Some(scalar.reshape(1)?), 1)));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let all = joined(&parts, first.dtype(), first.device())?.to_device(&Device::Cpu)?;
    Ok(all.to_dtype(DType::F64)?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cuda_or_skip;
    use crate::layout::{channels_first, channels_last, contiguous, everywhere};
    use crate::ops::check::uniform;
    use proptest::prelude::*;

    fn values(t: &Tensor) -> Vec<f64> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The CPU, and a CUDA device where there is one.
    fn devices() -> impl Iterator<Item = &'static Device> {
        std::iter::once(&Device::Cpu).chain(cuda_or_skip())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn vectors_are_added_in_order(
            lens in prop::collection::vec(prop_oneof![0usize..9, 15_000usize..20_000], 1..9), seed: u64,
        ) {
            let draw = |i: usize, len: usize| uniform(&[len + 1], seed.wrapping_add(i as u64)).narrow(0, 1, len);
            let all = lens.iter().sum();
            let x = draw(lens.len(), all).unwrap();
            let mut expected = values(&x);
            let (mut parts, mut end) = (Vec::new(), 0);
            for (i, &len) in lens.iter().enumerate() {
                let part = (i % 3 != 0).then(|| draw(i, len).unwrap());
                for (place, v) in part.iter().flat_map(values).enumerate() {
                    expected[end + place] -= 0.5 * v;
                }
                end += len;
                parts.push((part, len));
            }
            for device in devices() {
                let place = |t: &Tensor| t.to_device(device).unwrap();
                let parts: Vec<_> =
                    parts.iter().map(|(part, len)| (part.as_ref().map(place), *len)).collect();
                let sum = combined_with_joined(1.0, &place(&x), -0.5, &parts).unwrap();
                prop_assert_eq!(values(&sum), expected.clone());
            }
        }

        #[test]
        fn vectors_are_joined_in_order(lens in prop::collection::vec(0usize..9, 0..200), seed: u64) {
            for device in devices() {
                let mut expected = Vec::new();
                let mut parts = Vec::new();
                for (i, &len) in lens.iter().enumerate() {
                    let part = uniform(&[len + 1], seed.wrapping_add(i as u64));
                    let part = part.to_device(device).unwrap().narrow(0, 1, len).unwrap();
                    let zeros = i % 3 == 0;
                    expected.extend(if zeros { vec![0.0; len] } else { values(&part) });
                    parts.push(((!zeros).then_some(part), len));
                }
                let all = joined(&parts, DType::F64, device).unwrap();
                prop_assert_eq!(values(&all), expected);
            }
        }

        #[test]
        fn sums_and_products_are_those_of_the_elements(
            batch in 1usize..3, channels in 1usize..40, size in 1usize..9, seed: u64,
        ) {
            let dims = [batch, channels, size, size];
            for device in devices() {
                let place = |t: Tensor| t.to_device(device).unwrap();
                let (x, y) = (place(uniform(&dims, seed)), place(uniform(&dims, seed ^ 1)));
                let v = place(uniform(&[channels], seed ^ 2));
                let plain = (&x + &y).unwrap();
                let last = channels_first(channels_last(&y).unwrap()).unwrap();
                prop_assert_eq!(values(&add(&x, &last).unwrap()), values(&plain));
                prop_assert_eq!(values(&add(&last, &x).unwrap()), values(&plain));
                let repeated = everywhere(&v, &dims).unwrap();
                let plain = x.broadcast_add(&v.reshape((1, channels, 1, 1)).unwrap()).unwrap();
                prop_assert_eq!(values(&add(&x, &repeated).unwrap()), values(&plain));
                let spread = channels_first(channels_last(&repeated).unwrap()).unwrap();
                prop_assert_eq!(values(&contiguous(&spread).unwrap()), values(&repeated));

                let (x, y) = (x.flatten_all().unwrap(), y.flatten_all().unwrap());
                let expected: f64 = values(&(&x * &y).unwrap()).iter().sum();
                let found = read(&[inner_product(&x, &y).unwrap()]).unwrap()[0];
                prop_assert!((found - expected).abs() < 1e-10 * (1.0 + x.elem_count() as f64));
                let whole = [(Some(y.clone()), y.elem_count())];
                let mixed = values(&combined_with_joined(2.0, &x, -0.5, &whole).unwrap());
                for (m, (a, b)) in mixed.iter().zip(values(&x).iter().zip(&values(&y))) {
                    prop_assert!((m - (2.0 * a - 0.5 * b)).abs() < 1e-12);
                }
                let [double, third] = multiples(&x, [2.0, 1.0 / 3.0]).unwrap();
                for (x, (d, t)) in values(&x).iter().zip(values(&double).iter().zip(&values(&third))) {
                    prop_assert!(*d == 2.0 * x && *t == 1.0 / 3.0 * x);
                }
                let halved = values(&scaled(0.5, &x).unwrap());
                prop_assert!(halved.iter().zip(&values(&x)).all(|(h, x)| *h == 0.5 * x));
            }
        }
    }

    #[test]
    fn products_of_large_numbers_stay_finite() {
        for device in devices() {
            let x = Tensor::new(&[1e25f32, 1.0, -1e25], device).unwrap();
            let square = read(&[inner_product(&x, &x).unwrap()]).unwrap()[0];
            assert!((square / 2e50 - 1.0).abs() < 1e-6, "{square}");
        }
    }

    #[test]
    fn nothing_has_a_place_on_every_device() {
        for device in devices() {
            assert_eq!(zeros(&[0], DType::F32, device).unwrap().dims(), [0]);
            assert_eq!(joined(&[], DType::F32, device).unwrap().dims(), [0]);
            let nothing = zeros(&[0], DType::F64, device).unwrap();
            assert_eq!(scaled(2.0, &nothing).unwrap().dims(), [0]);
            let parts = [(Some(nothing.clone()), 0)];
            assert_eq!(combined_with_joined(2.0, &nothing, 1.0, &parts).unwrap().dims(), [0]);
        }
        assert!(read(&[]).unwrap().is_empty());
    }
}
