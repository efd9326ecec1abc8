//! How candidates are judged: the part of a configuration that searches and correlations share.

use crate::config::{AT_ONCE, SOME, expect_within};
use crate::error::Usage;
use anyhow::Result;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_data::Augment;
use gtn_nas::evaluator::proxy::Proxy;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What candidates are judged with. Data, and batch and rates of real data, are settled before the first candidate and written
/// down where they are left out; what is left out of a long training follows from these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judging {
    /// Run folder of the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Data set: that of the run, else the built-in digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Validation images on which a candidate is judged, at least 1.
    pub judged: usize,
    /// Trainings on real data.
    pub real: RealTraining,
    /// Long trainings on real data.
    pub full: FullTraining,
    /// How learning rates and momenta for real data are found where they are left out.
    pub tuning: Tuning,
}

/// Trainings on real data with fixed learning rate and momentum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RealTraining {
    /// Images of a batch: as many as the teacher's have, else 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Learning rate, above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum, at least 0 and below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
}

/// Long trainings on real data, with the same optimizer, augmented images and a cosine schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FullTraining {
    /// Steps, at least 1.
    pub steps: usize,
    /// Images of a batch: as many as `real` has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Learning rate of the first step: that of `real`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum: that of `real`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Training images used: all. Fewer set architectures further apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Random crops, flips and holes.
    pub augment: Augment,
}

/// Tuning on the validation split: the best of a grid of learning rates and momenta.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tuning {
    /// Architectures by whose mean accuracy a pair is judged, at least 1.
    pub architectures: usize,
    /// Steps that they take, at least 1.
    pub steps: usize,
}

impl Default for Judging {
    fn default() -> Self {
        Self {
            run: None,
            data: None,
            judged: 1_000,
            real: RealTraining::default(),
            full: FullTraining::default(),
            tuning: Tuning::default(),
        }
    }
}

impl Default for RealTraining {
    fn default() -> Self {
        Self { batch: None, optimizer: InnerOptimizer::Sgd, lr: None, momentum: None }
    }
}

impl Default for FullTraining {
    fn default() -> Self {
        let augment = Augment { pad: 2, flip: false, cutout: 0 };
        Self { steps: 600, batch: None, lr: None, momentum: None, images: None, augment }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self { architectures: 4, steps: 64 }
    }
}

impl RealTraining {
    /// Learning rate and momentum, once both are settled.
    pub fn rates(&self) -> Option<Rates> {
        Some(Rates { lr: self.lr?, momentum: self.momentum? })
    }
}

impl Judging {
    /// Learning rate of the first step and momentum of a long training, once both are settled.
    pub fn full_rates(&self) -> Option<Rates> {
        let lr = self.full.lr.or(self.real.lr)?;
        Some(Rates { lr, momentum: self.full.momentum.or(self.real.momentum)? })
    }

    /// Checks what types do not.
    ///
    /// # Errors
    /// [`Usage`] that names the key.
    pub fn validate(&self) -> Result<()> {
        let Self { real, full, tuning, .. } = self;
        expect_within([
            ("judged", Some(self.judged), SOME),
            ("real.batch", real.batch, AT_ONCE),
            ("full.steps", Some(full.steps), SOME),
            ("full.batch", full.batch, AT_ONCE),
            ("full.images", full.images, SOME),
            ("tuning.architectures", Some(tuning.architectures), AT_ONCE),
            ("tuning.steps", Some(tuning.steps), SOME),
        ])?;
        for (key, lr) in [("real.lr", real.lr), ("full.lr", full.lr)] {
            if let Some(lr) = lr.filter(|lr| !(*lr > 0.0 && lr.is_finite())) {
                return Err(Usage::error(format!("{key} must be above 0, found {lr}")));
            }
        }
        for (key, momentum) in [("real.momentum", real.momentum), ("full.momentum", full.momentum)]
        {
            if let Some(momentum) = momentum.filter(|m| !(0.0..1.0).contains(m)) {
                return Err(Usage::error(format!(
                    "{key} must be at least 0 and below 1, found {momentum}"
                )));
            }
        }
        Ok(())
    }

    /// Takes teacher and data from where they lie in another configuration.
    pub fn relocate(&mut self, there: &Self) {
        (self.run, self.data) = (there.run.clone(), there.data.clone());
    }

    /// The same with something in every key that may be left out.
    #[must_use]
    pub fn filled(&self) -> Self {
        let mut full = self.clone();
        full.run.get_or_insert_default();
        full.data.get_or_insert_default();
        full.real.batch.get_or_insert(1);
        full.real.lr.get_or_insert(1.0);
        full.real.momentum.get_or_insert(0.0);
        full.full.batch.get_or_insert(1);
        full.full.lr.get_or_insert(1.0);
        full.full.momentum.get_or_insert(0.0);
        full.full.images.get_or_insert(1);
        full
    }
}

/// An evaluator by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EvaluatorName {
    /// Steps on synthetic data.
    Gtn,
    /// Steps on real data.
    Real,
    /// A long training.
    Full,
    /// No training.
    Proxy(Proxy),
}

impl fmt::Display for EvaluatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtn => f.write_str("gtn"),
            Self::Real => f.write_str("real"),
            Self::Full => f.write_str("full"),
            Self::Proxy(proxy) => proxy.fmt(f),
        }
    }
}

impl FromStr for EvaluatorName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "gtn" => Ok(Self::Gtn),
            "real" => Ok(Self::Real),
            "full" => Ok(Self::Full),
            _ => name.parse().map(Self::Proxy).map_err(|_| {
                let proxies = Proxy::ALL.map(Proxy::name).join(", ");
                format!("expected one of gtn, real, full, {proxies}, found `{name}`")
            }),
        }
    }
}

impl From<EvaluatorName> for String {
    fn from(name: EvaluatorName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for EvaluatorName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}
