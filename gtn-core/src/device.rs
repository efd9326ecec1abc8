//! Opening what a run computes on.

use crate::Result;
use candle_core::Device;

/// How products of f32 matrices are computed on a CUDA device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// In single precision.
    #[default]
    Single,
    /// With factors rounded to TF32 (10 bits of mantissa instead of 23), which is faster on
    /// devices with tensor cores. Convolutions and linear layers are such products.
    Tf32,
}

/// Opens CUDA device `number`, from 0.
///
/// All work on it goes to one stream. The driver keeps memory that is freed for the next tensor.
///
/// # Errors
/// [`crate::Error::Spec`] that says what is missing: the feature `cuda` in this build, a device, or its driver.
pub fn cuda(number: usize, precision: Precision) -> Result<Device> {
    #[cfg(feature = "cuda")]
    return crate::cuda::open(number, precision);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = precision;
        Err(crate::Error::spec(format!(
            "CUDA device {number} cannot be opened: this gtn was built without CUDA; build it with `--features cuda`, or run on the CPU"
        )))
    }
}

/// What a device calls itself, if it is a GPU: `NVIDIA H200`.
#[must_use]
pub fn gpu_name(device: &Device) -> Option<String> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => cuda.cuda_stream().context().name().ok(),
        _ => None,
    }
}

/// Bits of the vectors in which operations on the CPU compute, the widest that it has if the environment does not
/// limit them (`GTN_SIMD=avx2` or `scalar`): 512 with AVX-512, 256 with AVX2, 32 without vectors.
///
/// Results agree to the last bit between machines where this is the same, and to rounding between others.
#[must_use]
pub fn vector_bits() -> usize {
    crate::cpu::vector_bits()
}

/// For tests: the first CUDA device, or `None`, with the reason printed.
///
/// `GTN_REQUIRE_CUDA=1` makes a missing device a failure, for machines that should have one.
#[cfg(test)]
pub(crate) fn cuda_or_skip() -> Option<&'static Device> {
    static DEVICE: std::sync::OnceLock<Option<Device>> = std::sync::OnceLock::new();
    let open = || match cuda(0, Precision::Single) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("GTN_REQUIRE_CUDA").is_none(), "{error}");
            println!("skipped on CUDA: {error}");
            None
        }
    };
    DEVICE.get_or_init(open).as_ref()
}

/// Leaves a function with what `$cuda` gives where `$tensor` lies on a CUDA device; without the
/// feature `cuda` there is no such place. What follows is the CPU's way.
macro_rules! on_cuda {
    ($tensor:expr => $cuda:expr) => {
        #[cfg(feature = "cuda")]
        if $tensor.device().is_cuda() {
            return $cuda;
        }
        #[cfg(not(feature = "cuda"))]
        let _ = &$tensor;
    };
}
pub(crate) use on_cuda;
