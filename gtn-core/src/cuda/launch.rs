//! Launching kernels by name.

use super::{device_of, empty};
use crate::layout::{aligned, channels_first};
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaStream, DevicePtr, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, DeviceId, WrapErr};
use candle_core::{DType, Storage, Tensor};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock, PoisonError};

/// All kernels: see `kernels.cu`.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Threads of a block, as in `kernels.cu`.
pub(super) const BLOCK: usize = 256;

/// Channels that a thread works on at most, as in `shared.cuh`.
const LANES: usize = 4;

/// Vectors that [`Segments`] names at most, as in `tensors.cu`.
pub(super) const SEGMENTS: usize = 64;

/// Vectors end to end, as a kernel takes them: where they lie (0: nowhere, zeros), and which
/// element of the whole is the first behind each.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Segments {
    from: [u64; SEGMENTS],
    ends: [i32; SEGMENTS],
}

// SAFETY: plain numbers, laid out as the struct of the same name in tensors.cu.
unsafe impl DeviceRepr for Segments {}

/// One argument of a kernel.
#[derive(Debug)]
enum Arg {
    Pointer(u64),
    Int(i32),
    Single(f32),
    Double(f64),
    Struct(Box<dyn Struct>),
}

/// An argument of several numbers.
trait Struct: Debug {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>);
}

impl<T: DeviceRepr + Debug> Struct for T {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>) {
        launch.arg(self);
    }
}

/// A kernel about to be launched: arguments are added in the kernel's order.
#[derive(Debug)]
pub(crate) struct Launch {
    device: CudaDevice,
    function: CudaFunction,
    dtype: DType,
    blocks: usize,
    args: Vec<Arg>,
}

impl Launch {
    /// The kernel `name` for the element type and on the device of `like`, with a thread for each
    /// of `n` elements. `n` is its first argument.
    pub(crate) fn each(name: &'static str, like: &Tensor, n: usize) -> Result<Self> {
        Self::blocks(name, like, n.div_ceil(BLOCK), n)
    }

    /// As [`Launch::each`], for what is made of a feature map of so many channels, of which a thread works on several
    /// at once where their number and the map's memory allow it: how many is the second argument.
    pub(crate) fn channels(
        name: &'static str,
        map: &Tensor,
        n: usize,
        channels: usize,
    ) -> Result<Self> {
        let lanes = lanes(&[map], channels);
        Self::blocks(name, map, n.div_ceil(BLOCK * lanes), n)?.int(lanes)
    }

    /// As [`Launch::each`], with so many blocks, whatever the first argument `n`.
    pub(crate) fn blocks(
        name: &'static str,
        like: &Tensor,
        blocks: usize,
        n: usize,
    ) -> Result<Self> {
        let device = device_of(like)?.clone();
        let dtype = like.dtype();
        let function = function(&device, name, dtype)?;
        let launch = Self { device, function, dtype, blocks, args: Vec::with_capacity(16) };
        launch.int(n)
    }

    /// Tensors of the kernel's element type, to read or to write.
    pub(crate) fn tensors<'a>(
        mut self,
        tensors: impl IntoIterator<Item = &'a Tensor>,
    ) -> Result<Self> {
        let dtype = self.dtype;
        for tensor in tensors {
            self = self.tensor(tensor, dtype)?;
        }
        Ok(self)
    }

    /// As [`Launch::tensors`], each there or absent.
    pub(crate) fn optional<'a>(
        mut self,
        tensors: impl IntoIterator<Item = Option<&'a Tensor>>,
    ) -> Result<Self> {
        let dtype = self.dtype;
        for tensor in tensors {
            self = match tensor {
                Some(tensor) => self.tensor(tensor, dtype)?,
                None => self.with(Arg::Pointer(0)),
            };
        }
        Ok(self)
    }

    /// A tensor of an element type of its own.
    pub(crate) fn tensor(self, tensor: &Tensor, dtype: DType) -> Result<Self> {
        // Kernels find their way through it with ints.
        int(tensor.elem_count())?;
        let address = address(&self.device, tensor, dtype)?;
        Ok(self.with(Arg::Pointer(address)))
    }

    /// Vectors end to end: at most [`SEGMENTS`], `None` for zeros, each with its length.
    pub(crate) fn segments(self, vectors: &[(Option<Tensor>, usize)]) -> Result<Self> {
        let mut all = Segments { from: [0; SEGMENTS], ends: [i32::MAX; SEGMENTS] };
        let mut end = 0;
        for (i, (vector, len)) in vectors.iter().enumerate() {
            end += len;
            all.ends[i] = int(end)?;
            if let Some(vector) = vector {
                all.from[i] = address(&self.device, vector, self.dtype)?;
            }
        }
        Ok(self.structure(all))
    }

    /// A struct of the kernel's file.
    pub(crate) fn structure(self, value: impl DeviceRepr + Debug + 'static) -> Self {
        self.with(Arg::Struct(Box::new(value)))
    }

    /// A size.
    pub(crate) fn int(self, value: usize) -> Result<Self> {
        Ok(self.with(Arg::Int(int(value)?)))
    }

    /// Sizes.
    pub(crate) fn ints(self, values: impl IntoIterator<Item = usize>) -> Result<Self> {
        values.into_iter().try_fold(self, Self::int)
    }

    /// Numbers of the kernel's element type.
    pub(crate) fn reals(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        for value in values {
            let arg = match self.dtype {
                DType::F32 => Arg::Single(value as f32),
                _ => Arg::Double(value),
            };
            self.args.push(arg);
        }
        self
    }

    fn with(mut self, arg: Arg) -> Self {
        self.args.push(arg);
        self
    }

    /// Launches the kernel; it runs after all that was launched before.
    pub(crate) fn run(self) -> Result<()> {
        if self.blocks == 0 {
            return Ok(());
        }
        let stream = self.device.cuda_stream();
        let mut launch = stream.launch_builder(&self.function);
        for arg in &self.args {
            match arg {
                Arg::Pointer(value) => drop(launch.arg(value)),
                Arg::Int(value) => drop(launch.arg(value)),
                Arg::Single(value) => drop(launch.arg(value)),
                Arg::Double(value) => drop(launch.arg(value)),
                Arg::Struct(value) => value.push(&mut launch),
            }
        }
        let config = LaunchConfig {
            grid_dim: (int(self.blocks)?.cast_unsigned(), 1, 1),
            block_dim: (BLOCK as u32, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those that the kernel's file declares, and the tensors are as
        // large as the sizes say; memory that is freed before the kernel is done is freed in the
        // stream's order, behind it.
        unsafe { launch.launch(config) }.w()?;
        Ok(())
    }
}

/// Results of the kernel `name` of tensors of one shape: elements of the inputs, in whatever order
/// they lie, become elements of the outputs. `reals` are its last arguments.
pub(crate) fn elementwise<const IN: usize, const OUT: usize>(
    name: &'static str,
    inputs: [&Tensor; IN],
    reals: &[f64],
) -> Result<[Tensor; OUT]> {
    let (inputs, channels_last) = aligned(inputs)?;
    let like = &inputs[0];
    let outputs = (0..OUT).map(|_| empty(like, like.dims())).collect::<Result<Vec<_>>>()?;
    Launch::each(name, like, like.elem_count())?
        .tensors(&inputs)?
        .tensors(&outputs)?
        .reals(reals.iter().copied())
        .run()?;
    let outputs = outputs.into_iter();
    let outputs = outputs.map(|y| if channels_last { channels_first(y) } else { Ok(y) });
    Ok(outputs.collect::<Result<Vec<_>>>()?.try_into().expect("one tensor for each output"))
}

/// On how many of so many channels a thread can work at once, which is up to their number and the maps' memory.
pub(crate) fn lanes(maps: &[&Tensor], channels: usize) -> usize {
    let aligned = maps.iter().all(|map| map.layout().start_offset().is_multiple_of(LANES));
    if aligned && channels.is_multiple_of(LANES) { LANES } else { 1 }
}

/// Kernels count in ints.
pub(crate) fn int(value: usize) -> Result<i32> {
    // A block's worth less, so that what threads past the end would work on can be numbered.
    let most = i32::MAX - (BLOCK * LANES) as i32;
    i32::try_from(value).ok().filter(|&value| value <= most).ok_or_else(|| {
        Error::spec(format!(
            "a tensor of {value} elements is too large for the CUDA kernels, which count to 2^31; use smaller batches"
        ))
    })
}

/// The address of a contiguous tensor's first element, for work on `device`.
pub(super) fn address(device: &CudaDevice, tensor: &Tensor, dtype: DType) -> Result<u64> {
    fn base<T: CudaDType>(stream: &CudaStream, cuda: &CudaStorage) -> Result<u64> {
        Ok(cuda.as_cuda_slice::<T>()?.device_ptr(stream).0)
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(cuda) = &*storage else {
        return Err(Error::spec(
            "tensors on a CPU and on a CUDA device met; move them to one device",
        ));
    };
    // Two streams, too, of one GPU: nothing makes one wait for the other.
    if cuda.device.id() != device.id() {
        return Err(Error::spec(
            "tensors of two CUDA devices met, or of one that was opened twice; open it once, and move them to it",
        ));
    }
    let Some((start, _)) = layout.contiguous_offsets() else {
        return Err(Error::spec("this operation needs contiguous tensors"));
    };
    let stream = &device.cuda_stream();
    let base = match dtype {
        DType::F32 => base::<f32>(stream, cuda),
        DType::F64 => base::<f64>(stream, cuda),
        DType::U8 => base::<u8>(stream, cuda),
        other => Err(crate::cpu::unsupported(other)),
    }?;
    Ok(base + (start * dtype.size_in_bytes()) as u64)
}

/// The address of the first element of a contiguous tensor, of the type and on the device of `like`, for a struct of a kernel's file.
pub(crate) fn address_of(tensor: &Tensor, like: &Tensor) -> Result<u64> {
    address(super::device_of(like)?, tensor, like.dtype())
}

/// A kernel, loaded once for each device.
fn function(device: &CudaDevice, name: &'static str, dtype: DType) -> Result<CudaFunction> {
    type Functions = HashMap<(DeviceId, &'static str, DType), CudaFunction>;
    static LOADED: OnceLock<Mutex<Functions>> = OnceLock::new();
    let suffix = match dtype {
        DType::F32 => "f32",
        DType::F64 => "f64",
        other => return Err(crate::cpu::unsupported(other)),
    };
    let loaded = LOADED.get_or_init(Mutex::default);
    let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (device.id(), name, dtype);
    if let Some(function) = loaded.get(&key) {
        return Ok(function.clone());
    }
    let function = device
        .get_or_load_custom_func(&format!("{name}_{suffix}"), "gtn", PTX)?
        .into_cuda_function();
    loaded.insert(key, function.clone());
    Ok(function)
}
