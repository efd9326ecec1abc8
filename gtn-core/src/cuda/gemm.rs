//! Products of matrices, by cuBLAS.

use super::device_of;
use super::launch::address;
use crate::{Error, Result};
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{DType, Tensor};

/// A factor of a product: a contiguous tensor read as a matrix, whatever its shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor<'a> {
    tensor: &'a Tensor,
    transposed: bool,
}

impl<'a> Factor<'a> {
    /// The matrix whose rows lie one after the other in `tensor`.
    pub(crate) fn rows(tensor: &'a Tensor) -> Self {
        Self { tensor, transposed: false }
    }

    /// The memory that is read.
    pub(crate) fn tensor(&self) -> &'a Tensor {
        self.tensor
    }

    /// The transpose of that.
    pub(crate) fn columns(tensor: &'a Tensor) -> Self {
        Self { tensor, transposed: true }
    }
}

/// Whether products on the device of `like` take their factors as they are, rather than rounded to TF32.
pub(crate) fn exact_products(like: &Tensor) -> Result<bool> {
    let device = device_of(like)?;
    let mut mode = sys::cublasMath_t::CUBLAS_DEFAULT_MATH;
    // SAFETY: the handle is the device's own, and lives as long as it.
    unsafe { sys::cublasGetMathMode(*device.cublas_handle().handle(), &raw mut mode) }
        .result()
        .w()?;
    Ok(like.dtype() == DType::F64 || mode == sys::cublasMath_t::CUBLAS_DEFAULT_MATH)
}

/// `out = Σ a·b` over the pairs `(a, b)`, at least one: matrices `(rows, inner)` and
/// `(inner, columns)`. `size` holds rows, columns and inner index.
pub(crate) fn product(
    size: [usize; 3],
    terms: &[(Factor<'_>, Factor<'_>)],
    out: &Tensor,
) -> Result<()> {
    products(1, size, terms, out)
}

/// As [`product`], of so many matrices, which lie one after the other in each tensor.
pub(crate) fn products(
    batch: usize,
    size: [usize; 3],
    terms: &[(Factor<'_>, Factor<'_>)],
    out: &Tensor,
) -> Result<()> {
    let device = device_of(out)?;
    let blas = device.cublas_handle();
    // cuBLAS works in the context of the thread that calls it.
    device.cuda_stream().context().bind_to_thread().w()?;
    let mut sizes = [0; 4];
    for (to, from) in sizes.iter_mut().zip(size.into_iter().chain([batch])) {
        *to = i32::try_from(from)
            .map_err(|_| Error::spec(format!("a matrix of {from} rows is too large for cuBLAS")))?;
    }
    let [rows, columns, inner, batch] = sizes;
    let [a_size, b_size, size] = [(rows, inner), (inner, columns), (rows, columns)]
        .map(|(a, b)| i64::from(a) * i64::from(b));
    let operation = |factor: &Factor<'_>| match factor.transposed {
        false => sys::cublasOperation_t::CUBLAS_OP_N,
        true => sys::cublasOperation_t::CUBLAS_OP_T,
    };
    let dtype = out.dtype();
    let c = address(device, out, dtype)?;
    for (i, (a, b)) in terms.iter().enumerate() {
        // cuBLAS reads matrices by columns, so the transpose of the product is asked for: bᵀ·aᵀ.
        let (op_a, op_b) = (operation(a), operation(b));
        let a_row = if a.transposed { rows } else { inner };
        let b_row = if b.transposed { inner } else { columns };
        let (a, b) = (address(device, a.tensor, dtype)?, address(device, b.tensor, dtype)?);
        let handle = *blas.handle();
        macro_rules! gemm {
            ($single:path, $batched:path, $T:ty) => {{
                let sum: $T = if i > 0 { 1.0 } else { 0.0 };
                let (a, b, c) = (a as *const $T, b as *const $T, c as *mut $T);
                // SAFETY: the operands have the sizes given, and lie on the handle's device;
                // the factors are read before the call returns.
                unsafe {
                    if batch == 1 {
                        $single(
                            handle, op_b, op_a, columns, rows, inner, &1.0, b, b_row, a, a_row,
                            &sum, c, columns,
                        )
                    } else {
                        $batched(
                            handle, op_b, op_a, columns, rows, inner, &1.0, b, b_row, b_size, a,
                            a_row, a_size, &sum, c, columns, size, batch,
                        )
                    }
                }
            }};
        }
        match dtype {
            DType::F32 => gemm!(result::sgemm, result::sgemm_strided_batched, f32),
            DType::F64 => gemm!(result::dgemm, result::dgemm_strided_batched, f64),
            other => return Err(crate::cpu::unsupported(other)),
        }
        .w()?;
    }
    Ok(())
}
