//! Where a run computes.

use crate::error::Usage;
use anyhow::Result;
use candle_core::Device;
use gtn_core::device::{self, Precision};
use std::fmt;
use std::str::FromStr;

/// A device as named on the command line: `cpu`, or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => {
                Ok(Self::Cuda(number.parse().unwrap_or_default()))
            }
            _ => Err("expected `cpu` or `cuda:N`, for example `cuda:0`".into()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceName {
    /// Opens the device. On a CUDA device `precision` says how matrices are multiplied.
    ///
    /// # Errors
    /// [`Usage`] when this build or this machine does not have it, or the precision is not for it.
    pub fn open(self, precision: Precision) -> Result<Device> {
        match self {
            Self::Cpu if precision == Precision::Single => Ok(Device::Cpu),
            Self::Cpu => Err(Usage::error(
                "--tf32 is for CUDA devices; leave it out, or name one with --device cuda:0",
            )),
            Self::Cuda(number) => device::cuda(number, precision)
                .map_err(|error| Usage::error(format!("--device cuda:{number}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_by_name() {
        assert_eq!("cpu".parse(), Ok(DeviceName::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceName::Cuda(3)));
        for wrong in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x"] {
            assert!(wrong.parse::<DeviceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_said_in_a_sentence() {
        let message = |name: DeviceName, precision| name.open(precision).unwrap_err().to_string();
        assert_eq!(
            message(DeviceName::Cpu, Precision::Tf32),
            "--tf32 is for CUDA devices; leave it out, or name one with --device cuda:0"
        );
        // No machine has that many.
        let message = message(DeviceName::Cuda(4_000), Precision::Single);
        let reason = if cfg!(feature = "cuda") { "this machine has" } else { "this gtn was built" };
        let start = format!("--device cuda:4000: CUDA device 4000 cannot be opened: {reason}");
        assert!(message.starts_with(&start) && !message.contains('\n'), "{message}");
    }
}
