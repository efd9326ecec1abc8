//! Opening a device.

use crate::device::Precision;
use crate::{Error, Result};
use candle_core::Device;
use candle_core::cuda_backend::cudarc::cublas::sys::{cublasMath_t, cublasSetMathMode};
use candle_core::cuda_backend::cudarc::driver::{DriverError, result, sys};
use candle_core::cuda_backend::{CudaError, WrapErr};

/// Opens device `number` with a stream of its own.
pub(crate) fn open(number: usize, precision: Precision) -> Result<Device> {
    let ordinal = i32::try_from(number).map_err(|_| cannot_open(number, FEWER))?;
    let device = Device::new_cuda_with_stream(number).map_err(|e| missing(number, &e))?;
    let Device::Cuda(cuda) = &device else { unreachable!("a CUDA device was asked for") };
    // SAFETY: all work of the device goes to this one stream, in order.
    unsafe { cuda.disable_event_tracking() };
    keep_memory(ordinal).w()?;
    let mode = match precision {
        Precision::Single => cublasMath_t::CUBLAS_DEFAULT_MATH,
        Precision::Tf32 => cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH,
    };
    // SAFETY: the handle is the device's own, and lives as long as it.
    unsafe { cublasSetMathMode(*cuda.cublas_handle().handle(), mode) }.result().w()?;
    Ok(device)
}

/// Has the driver keep freed memory for the next allocation: otherwise it goes back to
/// the system whenever the host waits for the device.
fn keep_memory(ordinal: i32) -> std::result::Result<(), DriverError> {
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let mut all = u64::MAX;
    let device = result::device::get(ordinal)?;
    // SAFETY: the device is open, and the attribute is a number of 64 bits.
    unsafe {
        let pool = result::device::get_default_mem_pool(device)?;
        result::mem_pool::set_attribute(pool, attribute, (&raw mut all).cast())
    }
}

const FEWER: &str = "this machine has fewer CUDA devices, counted from 0";

fn cannot_open(number: usize, reason: &str) -> Error {
    Error::spec(format!("CUDA device {number} cannot be opened: {reason}"))
}

/// The sentence about a device that does not open.
fn missing(number: usize, error: &candle_core::Error) -> Error {
    let mut error = error;
    while let candle_core::Error::WithBacktrace { inner, .. } = error {
        error = inner;
    }
    let code = match error {
        candle_core::Error::Cuda(inner) => match inner.downcast_ref::<CudaError>() {
            Some(CudaError::Cuda(DriverError(code))) => Some(*code),
            _ => None,
        },
        _ => None,
    };
    let reason = match code {
        Some(sys::cudaError_enum::CUDA_ERROR_NO_DEVICE) => {
            "this machine has no CUDA device, or its driver is not loaded".into()
        }
        Some(sys::cudaError_enum::CUDA_ERROR_INVALID_DEVICE) => FEWER.into(),
        Some(code) => format!("the driver reports {code:?}"),
        None => error.to_string(),
    };
    cannot_open(number, &reason)
}
