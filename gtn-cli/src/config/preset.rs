//! The configurations that are built into the binary.

use super::Layer;
use anyhow::Result;
use clap::ValueEnum;

/// A built-in configuration: a file of `configs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The built-in digits, in about a minute and a half on two cores.
    DigitsQuickstart,
    /// MNIST with a smaller learner and generator, for a CPU.
    MnistCpu,
    /// MNIST as in the paper, for a GPU.
    MnistPaper,
    /// MNIST with learners drawn from the space `macro`: a teacher to search architectures with.
    MnistSearch,
}

impl Preset {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DigitsQuickstart => "digits-quickstart",
            Self::MnistCpu => "mnist-cpu",
            Self::MnistPaper => "mnist-paper",
            Self::MnistSearch => "mnist-search",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::DigitsQuickstart => include_str!("../../../configs/digits-quickstart.toml"),
            Self::MnistCpu => include_str!("../../../configs/mnist-cpu.toml"),
            Self::MnistPaper => include_str!("../../../configs/mnist-paper.toml"),
            Self::MnistSearch => include_str!("../../../configs/mnist-search.toml"),
        }
    }

    /// The preset as a layer of a configuration.
    ///
    /// # Errors
    /// None that the tests of this crate would let pass.
    pub fn layer(self) -> Result<Layer> {
        Layer::parse(&format!("preset {}", self.name()), self.text())
    }
}
