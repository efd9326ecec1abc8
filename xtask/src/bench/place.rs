//! Where both sides compute, and how precisely.

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use clap::ValueEnum;
use gtn_core::device::{Precision, cuda};

/// As given on the command line.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Place {
    /// Where both sides compute
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    pub(super) device: Kind,

    /// Round the factors of products to TF32, on both sides (with `--device cuda`)
    #[arg(long)]
    tf32: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// All cores of this machine
    Cpu,
    /// The first GPU; this program is built again with the feature `cuda` where it lacks it
    Cuda,
}

impl Place {
    /// Whether the options fit together.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.device == Kind::Cuda || !self.tf32,
            "`--tf32` is a precision of GPUs; give `--device cuda` too"
        );
        Ok(())
    }

    /// The device, to compute on.
    pub(super) fn open(&self) -> Result<Device> {
        Ok(match self.device {
            Kind::Cpu => Device::Cpu,
            Kind::Cuda if self.tf32 => cuda(0, Precision::Tf32)?,
            Kind::Cuda => cuda(0, Precision::Single)?,
        })
    }

    /// The precision's name.
    pub(super) fn precision(&self) -> &'static str {
        if self.tf32 { "tf32" } else { "f32" }
    }

    /// The largest relative difference that rounding explains.
    ///
    /// Now and then two values round to the other order, and a max-pool or leaky ReLU takes its other
    /// branch: up to 4e-3 over tens of steps in single precision. A wrong formula leaves far more. TF32 alone
    /// makes 8e-2 over 16 steps of the small learner.
    pub(super) fn tolerance(&self) -> f64 {
        if self.tf32 { 3e-1 } else { 1e-2 }
    }

    /// What distinguishes the file of results.
    pub(super) fn suffix(&self) -> &'static str {
        match (self.device, self.tf32) {
            (Kind::Cpu, _) => "",
            (Kind::Cuda, false) => "-cuda",
            (Kind::Cuda, true) => "-cuda-tf32",
        }
    }

    /// The options that put a worker there.
    pub(super) fn options(&self) -> Vec<&'static str> {
        let mut options = match self.device {
            Kind::Cpu => vec!["--device", "cpu"],
            Kind::Cuda => vec!["--device", "cuda"],
        };
        if self.tf32 {
            options.push("--tf32");
        }
        options
    }

    /// The most memory that this process ever held there, in MB.
    pub(super) fn peak_mb(&self) -> Result<f64> {
        match self.device {
            Kind::Cpu => resident_peak_mb(),
            Kind::Cuda => device_peak_mb(),
        }
    }
}

fn resident_peak_mb() -> Result<f64> {
    let file = "/proc/self/status";
    let status = std::fs::read_to_string(file).with_context(|| {
        format!("{file} could not be read; peak memory is measured on Linux only")
    })?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let kib = kib.with_context(|| format!("{file} has no line `VmHWM: N kB`"))?;
    Ok(kib * 1024.0 / 1e6)
}

/// Of tensors: what cuBLAS takes for itself is not among it.
#[cfg(feature = "cuda")]
fn device_peak_mb() -> Result<f64> {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};
    let mut bytes = 0u64;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    let device = result::device::get(0)?;
    // SAFETY: the driver is initialised, since the device was opened; the attribute is a number of 64 bits.
    unsafe {
        let pool = result::device::get_default_mem_pool(device)?;
        result::mem_pool::get_attribute(pool, attribute, (&raw mut bytes).cast())?;
    }
    Ok(bytes as f64 / 1e6)
}

#[cfg(not(feature = "cuda"))]
fn device_peak_mb() -> Result<f64> {
    anyhow::bail!("this program was built without the feature `cuda`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_a_peak() {
        assert!(resident_peak_mb().unwrap() > 0.0);
    }

    #[test]
    fn tf32_is_for_gpus() {
        assert!(Place { device: Kind::Cpu, tf32: true }.check().is_err());
        assert!(Place { device: Kind::Cuda, tf32: true }.check().is_ok());
    }
}
