//! What the operations share on a CPU: slices of tensors, loops that give the
//! same bytes for any number of threads, and the matrix product.

mod columns;
pub(crate) mod parallel;
mod product;
mod simd;

pub(crate) use columns::{
    channel_sums, channelwise, channelwise_summed, from_rows, rows_of, sums_by_channel,
};
pub(crate) use product::{
    Rows, Segment, Strides, inner_products, product, product_into, product_packed,
};
#[cfg(test)]
pub(crate) use simd::tests::with_every_width;
pub(crate) use simd::{Lanes, Mask, dispatch, vector_bits};

use crate::layout::{aligned, channels_first, channels_last, one_for_all};
use crate::{Error, Result};
use candle_core::{CpuStorage, DType, Storage, StorageRef, Tensor, WithDType};
use parallel::Making;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};

/// Elements a task of an elementwise loop works on.
const CHUNK: usize = 1 << 14;

/// The floating-point types that the operations are written for: `f32` to
/// run, `f64` to check.
pub(crate) trait Float: WithDType + num_traits::Float + std::iter::Sum + Default {}

impl Float for f32 {}
impl Float for f64 {}

/// Runs a generic body for the floating-point type of a tensor.
macro_rules! by_dtype {
    ($tensor:expr, $T:ident => $body:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err($crate::cpu::unsupported(other)),
        }
    };
}
pub(crate) use by_dtype;

/// The error of [`by_dtype`] for an element type that is neither f32 nor f64.
pub(crate) fn unsupported(dtype: DType) -> Error {
    Error::spec(format!("tensors must be f32 or f64 here, found {dtype:?}"))
}

/// Memory as a place to write to.
///
/// # Safety
/// Nothing uninitialized is written to it.
pub(crate) unsafe fn unwritten<T>(data: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: the layout is the same; the caller keeps what is initialized so.
    unsafe { std::slice::from_raw_parts_mut(data.as_mut_ptr().cast(), data.len()) }
}

/// A tensor's elements in row-major order, borrowed from its storage.
pub(crate) struct View<'a, T> {
    storage: StorageRef<'a>,
    start: usize,
    len: usize,
    element: PhantomData<T>,
}

impl<T: WithDType> Deref for View<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let Storage::Cpu(storage) = &*self.storage else {
            unreachable!("view() took a CPU tensor")
        };
        let all = T::cpu_storage_as_slice(storage).expect("view() checked the type");
        &all[self.start..self.start + self.len]
    }
}

/// Borrows the elements of a contiguous CPU tensor.
pub(crate) fn view<T: WithDType>(tensor: &Tensor) -> Result<View<'_, T>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else {
        return Err(Error::spec("this operation has no kernel for the tensor's device"));
    };
    T::cpu_storage_as_slice(cpu)?;
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(Error::spec("this operation needs contiguous tensors"));
    };
    Ok(View { storage, start, len: end - start, element: PhantomData })
}

/// A CPU tensor that owns `data`.
pub(crate) fn tensor<T: WithDType>(data: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    let storage: CpuStorage = T::to_cpu_storage_owned(data);
    debug_assert_eq!(shape.iter().product::<usize>(), T::cpu_storage_as_slice(&storage)?.len());
    Ok(Tensor::from_storage(
        Storage::Cpu(storage),
        shape,
        candle_core::op::BackpropOp::none(),
        false,
    ))
}

/// Elementwise functions of `IN` tensors of one shape, `OUT` results at a time: one
/// pass over memory. `f` is compiled for the machine's vectors where it is
/// `#[inline(always)]`, and `move` keeps what it captures in registers.
pub(crate) fn elementwise<T: Float, const IN: usize, const OUT: usize>(
    inputs: [&Tensor; IN],
    f: impl Fn([T; IN]) -> [T; OUT] + Sync + Copy,
) -> Result<[Tensor; OUT]> {
    let (inputs, channels_last) = aligned(inputs)?;
    let views = inputs.iter().map(|t| view::<T>(t)).collect::<Result<Vec<_>>>()?;
    let slices: [&[T]; IN] = std::array::from_fn(|i| &*views[i]);
    let len = inputs[0].elem_count();
    assert!(slices.iter().all(|s| s.len() == len), "elementwise on tensors of different sizes");
    let outputs: [Making<T>; OUT] = std::array::from_fn(|_| Making::new(len, CHUNK));
    parallel::for_each(len.div_ceil(CHUNK), &|task| {
        // SAFETY: the loop below writes every element.
        let out = outputs.each_ref().map(|out| unsafe { out.unwritten(task) });
        let len = out[0].len();
        let inputs: [&[T]; IN] = slices.map(|s| &s[task * CHUNK..][..len]);
        vectorize(
            #[inline(always)]
            move || {
                for i in 0..len {
                    let mut values = [T::zero(); IN];
                    for k in 0..IN {
                        values[k] = inputs[k][i];
                    }
                    let values = f(values);
                    for k in 0..OUT {
                        out[k][i].write(values[k]);
                    }
                }
            },
        );
    });
    let mut results = Vec::with_capacity(OUT);
    for out in outputs {
        let out = tensor(out.finish(), inputs[0].dims())?;
        results.push(if channels_last { channels_first(out)? } else { out });
    }
    Ok(results.try_into().expect("one tensor for each output"))
}

/// `f` of every element.
pub(crate) fn map<T: Float>(x: &Tensor, f: impl Fn(T) -> T + Sync + Copy) -> Result<Tensor> {
    let [y] = elementwise::<T, 1, 1>(
        [x],
        #[inline(always)]
        move |[x]| [f(x)],
    )?;
    Ok(y)
}

/// `f` of every pair of elements of two tensors of one shape.
pub(crate) fn zip<T: Float>(
    x: &Tensor,
    y: &Tensor,
    f: impl Fn(T, T) -> T + Sync + Copy,
) -> Result<Tensor> {
    let [z] = elementwise::<T, 2, 1>(
        [x, y],
        #[inline(always)]
        move |[x, y]| [f(x, y)],
    )?;
    Ok(z)
}

/// The inner product of two tensors of one size, in an order fixed by their size.
pub(crate) fn inner_product<T: Float>(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (x, y) = (view::<T>(x)?, view::<T>(y)?);
    let (x, y) = (&*x, &*y);
    let partial: Vec<f64> = parallel::map(x.len().div_ceil(CHUNK), &|task| {
        let part = task * CHUNK..((task + 1) * CHUNK).min(x.len());
        vectorize(
            #[inline(always)]
            || wide_dot(&x[part.clone()], &y[part.clone()]),
        )
    });
    Ok(partial.into_iter().sum())
}

/// `a·x`, plus `b` times vectors end to end, each with its length; `None` stands for zeros.
pub(crate) fn combined_with_joined<T: Float>(
    a: f64,
    x: &Tensor,
    b: f64,
    parts: &[(Option<Tensor>, usize)],
) -> Result<Tensor> {
    let (a, b) = (T::from_f64(a), T::from_f64(b));
    let views = parts.iter().map(|(part, _)| part.as_ref().map(view::<T>).transpose());
    let views = views.collect::<Result<Vec<_>>>()?;
    let mut end = 0;
    let places = parts.iter().map(|(_, len)| {
        end += len;
        end - len..end
    });
    let parts: Vec<(Option<&[T]>, Range<usize>)> =
        views.iter().map(Option::as_deref).zip(places).collect();
    let all = view::<T>(x)?;
    let x_all = &*all;
    assert_eq!(x_all.len(), end, "vectors as long together as the one that they are added to");
    let out = parallel::filled(end, CHUNK, &|task, out| {
        let start = task * CHUNK;
        let here = start..start + out.len();
        let first = parts.partition_point(|(_, place)| place.end <= here.start);
        for (part, place) in parts[first..].iter().take_while(|(_, place)| place.start < here.end) {
            let both = place.start.max(here.start)..place.end.min(here.end);
            let x = &x_all[both.clone()];
            let out = &mut out[both.start - start..both.end - start];
            match part {
                Some(part) => {
                    let y = &part[both.start - place.start..both.end - place.start];
                    vectorize(
                        #[inline(always)]
                        move || {
                            for (out, (&x, &y)) in out.iter_mut().zip(x.iter().zip(y)) {
                                *out = a * x + b * y;
                            }
                        },
                    );
                }
                None => out.iter_mut().zip(x).for_each(|(out, &x)| *out = a * x),
            }
        }
    });
    tensor(out, x.dims())
}

/// The sum of two tensors of one shape.
pub(crate) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    by_dtype!(x, T => {
        for (dense, repeated) in [(x, y), (y, x)] {
            if let Some(v) = one_for_all(repeated)? {
                let last = channels_last(dense)?;
                return channelwise::<T, 1, 1>(
                    dense.dims(),
                    [&view(&last)?],
                    [&view(&v)?],
                    #[inline(always)]
                    |[a], [b]| a + b,
                );
            }
        }
        zip::<T>(x, y, #[inline(always)] move |a, b| a + b)
    })
}

/// Runs `f` compiled for the vectors that [`dispatch`] chooses. Nothing
/// is contracted or reassociated, so the results do not depend on them.
#[inline(always)]
pub(crate) fn vectorize<R>(f: impl FnOnce() -> R) -> R {
    struct Run<F>(F);
    impl<F: FnOnce() -> R, R> pulp::WithSimd for Run<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    dispatch(Run(f))
}

/// Partial sums that [`dot`] keeps: wide enough for one vector of AVX-512,
/// and fixed, so that the result is the same on every machine.
const LANES: usize = 16;

/// The inner product of two slices, in an order fixed by their length alone.
#[inline(always)]
pub(crate) fn dot<T: Float>(x: &[T], y: &[T]) -> T {
    dot_of(
        x,
        y,
        #[inline(always)]
        |x| x,
    )
}

/// As [`dot`], with products and sums in f64: those of f32 neither overflow nor lose what is small.
#[inline(always)]
fn wide_dot<T: Float>(x: &[T], y: &[T]) -> f64 {
    dot_of(
        x,
        y,
        #[inline(always)]
        |x| WithDType::to_f64(x),
    )
}

/// The inner product of `factor` of two slices.
#[inline(always)]
fn dot_of<T: Float, S: Float>(x: &[T], y: &[T], factor: impl Fn(T) -> S + Copy) -> S {
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    let mut partial = [S::zero(); LANES];
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for ((sum, &x), &y) in partial.iter_mut().zip(x).zip(y) {
            *sum += factor(x) * factor(y);
        }
    }
    for ((sum, &x), &y) in partial.iter_mut().zip(x_rest).zip(y_rest) {
        *sum += factor(x) * factor(y);
    }
    partial.into_iter().sum()
}
