//! Zero-cost proxies: what can be said of a network without training it.
//!
//! They are what else one could rank architectures by, so they are what a teacher has to beat.

mod gradient_norm;
mod naswot;
mod size;
mod synflow;

use super::Evaluator;
use crate::trial::{Measurement, Outcome};
use crate::{Error, Result};
use gtn_core::data::{Batch, ImageShape};
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// A way to score a network before any training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// The number of its parameters.
    Params,
    /// Multiply-adds of one image on its way to the logits.
    Flops,
    /// Length of the gradient of its loss on one batch, by all parameters (Abdelfattah et al., arXiv 2101.08134).
    GradNorm,
    /// Synaptic flow: `Σ |θ · ∂R/∂θ|`, where `R` is the sum of the outputs for an image of ones, and all parameters
    /// are replaced by their magnitudes (Tanaka et al., arXiv 2006.05467).
    SynFlow,
    /// How differently its rectifiers see the images of a batch (Mellor et al., arXiv 2006.04647).
    Naswot,
}

impl Proxy {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Params, Self::Flops, Self::GradNorm, Self::SynFlow, Self::Naswot];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Flops => "flops",
            Self::GradNorm => "grad-norm",
            Self::SynFlow => "synflow",
            Self::Naswot => "naswot",
        }
    }

    /// Scores a network whose first weights `seed` draws. Sizes need no weights, and only some
    /// of the others need `batch`.
    ///
    /// # Errors
    /// [`Error::Core`] when the network does not fit the batch.
    pub fn score(self, network: &Network, batch: &Batch, seed: Seed) -> Result<f64> {
        let fresh = || network.first_params(seed, batch.images.device());
        match self {
            Self::Params => Ok(size::parameters(network)),
            Self::Flops => Ok(size::multiply_adds(network)),
            Self::GradNorm => gradient_norm::score(network, &fresh()?, batch),
            Self::SynFlow => {
                let (_, channels, height, width) =
                    batch.images.dims4().map_err(gtn_core::Error::from)?;
                synflow::score(network, &fresh()?, ImageShape { channels, height, width })
            }
            Self::Naswot => naswot::score(network, &fresh()?, batch),
        }
    }
}

/// Judges networks by a [`Proxy`].
#[derive(Debug, Clone, Copy)]
pub struct ZeroCost<'a> {
    /// By which.
    pub proxy: Proxy,
    /// Real images for those that look at some.
    pub batch: &'a Batch,
}

impl Evaluator<Network> for ZeroCost<'_> {
    fn evaluate(&self, network: &Network, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let start = Instant::now();
        let outcome = Outcome::of(self.proxy.score(network, self.batch, seed)?);
        let seconds = start.elapsed().as_secs_f64();
        let measured = Measurement { steps: 0, outcome, seconds, seed: seed.0 };
        Ok(vec![measured; steps.len()])
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

crate::space::serde_as_text!(Proxy);

impl FromStr for Proxy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|proxy| proxy.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::parse("zero-cost proxy", text, format!("expected one of {names}"))
        })
    }
}
