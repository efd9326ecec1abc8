//! What the operations share on a CUDA device: launching kernels, products of matrices, memory.
//!
//! The kernels themselves lie beside the operations that they serve (`ops/NAME.cu`) and are written once
//! for both floating-point types; [`launch`] calls them by name. All work of a device goes to one
//! stream, in order, and nothing here waits for it.

mod columns;
mod gemm;
mod launch;
mod open;
mod tensors;

pub(crate) use candle_core::cuda_backend::cudarc::driver::DeviceRepr;
pub(crate) use columns::{Sums, TILE, channel_sums};
pub(crate) use gemm::{Factor, exact_products, product, products};
pub(crate) use launch::{Launch, address_of, elementwise, int, lanes};
pub(crate) use open::open;
pub(crate) use tensors::{
    Partial, add, add_channels, combined, inner_product, joined, multiples, one_like, transposed,
};

use crate::{Error, Result};
use candle_core::cuda_backend::CudaDevice;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Device, Storage, Tensor};

/// The device of a tensor that lies on one.
fn device_of(tensor: &Tensor) -> Result<&CudaDevice> {
    match tensor.device() {
        Device::Cuda(device) => Ok(device),
        other => Err(Error::spec(format!("expected a tensor on a CUDA device, found {other:?}"))),
    }
}

/// Memory for a tensor of this shape, of the element type and on the device of `like`. A kernel
/// must write all of it.
pub(crate) fn empty(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
    empty_of(like.dtype(), like, shape)
}

/// As [`empty`], of another element type.
pub(crate) fn empty_of(dtype: DType, like: &Tensor, shape: &[usize]) -> Result<Tensor> {
    empty_on(device_of(like)?, dtype, shape)
}

fn empty_on(device: &CudaDevice, dtype: DType, shape: &[usize]) -> Result<Tensor> {
    // Drivers refuse to allocate nothing.
    let len = shape.iter().product::<usize>().max(1);
    macro_rules! of {
        ($T:ty) => {{
            // SAFETY: what is read of it was written by a kernel before.
            let memory = unsafe { device.alloc::<$T>(len) }?;
            CudaStorage::wrap_cuda_slice(memory, device.clone())
        }};
    }
    let storage = match dtype {
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
        DType::U8 => of!(u8),
        other => return Err(crate::cpu::unsupported(other)),
    };
    Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
}
