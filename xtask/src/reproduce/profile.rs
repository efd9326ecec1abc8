//! How large everything is.

use crate::cuda_build::go_on_with_cuda;
use crate::root;
use anyhow::{Context, Result};
use candle_core::Device;
use clap::ValueEnum;
use gtn_core::device::{Precision, cuda};
use std::path::PathBuf;

/// How large everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Seconds a target: that everything works, with figures that say nothing else
    Smoke,
    /// About two hours a target on two cores: --list says how many
    Cpu,
    /// The published sizes, on a GPU
    Cuda,
}

impl Profile {
    pub(super) const ALL: [Self; 3] = [Self::Smoke, Self::Cpu, Self::Cuda];

    /// The name on the command line, and of the folder.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// What there is to know about figures of this profile.
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::Smoke => {
                "Profile `smoke`: settings so small that the figures show that everything works, and nothing else."
            }
            Self::Cpu => {
                "Profile `cpu`: learners, generators and trainings are smaller than the published ones, where a row does not say otherwise."
            }
            Self::Cuda => "Profile `cuda`: the published sizes.",
        }
    }

    /// Where results go if nobody says otherwise: those of `smoke` are not worth keeping.
    pub(super) fn out(self) -> PathBuf {
        match self {
            Self::Smoke => root().join("target/reproduce"),
            Self::Cpu | Self::Cuda => root().join("results"),
        }
    }

    /// Where it computes; goes on as a build with CUDA where it takes one.
    ///
    /// # Errors
    /// When this machine cannot.
    pub(super) fn device(self) -> Result<Device> {
        match self {
            Self::Smoke | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda if !cfg!(feature = "cuda") => match go_on_with_cuda()? {},
            Self::Cuda => Ok(cuda(0, Precision::Single).context("--profile cuda")?),
        }
    }
}
