//! A training run described by data.

use crate::inner::InnerOptimizer;
use crate::learner::{LearnerFamily, LearnerSpec};
use crate::teacher::TeacherSpec;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// All that a run depends on, but for its real data.
///
/// Its learners are those described by data, unless another family `L` is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "L: LearnerFamily"))]
pub struct Recipe<L = LearnerSpec> {
    /// Seed of every draw.
    pub seed: u64,
    /// Meta-iterations, 1 to 10⁹.
    pub iterations: usize,
    /// Who is taught.
    pub learner: L,
    /// Who teaches.
    pub teacher: TeacherSpec,
    /// How a learner learns.
    pub inner: InnerSpec,
    /// How a learner is judged.
    pub meta: MetaSpec,
    /// How the teacher learns.
    pub outer: OuterSpec,
}

/// The inner loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InnerSpec {
    /// Steps of the optimizer, 1 to 100,000.
    pub steps: usize,
    /// Images a step, 1 to 100,000; times the steps at most 2³⁰.
    pub batch: usize,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Where the learning rate of every step starts; above 0.
    pub lr: f64,
    /// Where the momentum of every step starts; above 0 and below 1.
    pub momentum: f64,
}

/// The meta-loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetaSpec {
    /// Real images a meta-loss, 1 to 100,000.
    pub batch: usize,
    /// Meta-loss after every so-many-th step and after the last; 0: after the last only.
    pub every: usize,
}

/// The outer loop: Adam with a cosine schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OuterSpec {
    /// Learning rate of the first meta-iteration; above 0.
    pub lr: f64,
    /// Decay of the mean of gradients; at least 0, below 1.
    pub beta1: f64,
    /// Decay of the mean of squares; at least 0, below 1.
    pub beta2: f64,
    /// Added to the root of the mean of squares; at least 10⁻²⁰, more than the least root in single precision.
    pub epsilon: f64,
    /// Learning rate of the last meta-iteration, as a share of the first; 0 to 1.
    pub final_lr: f64,
    /// Largest norm of the meta-gradient: a longer one is scaled down to it.
    /// 0: no limit.
    pub clip: f64,
}

impl<L: Default> Default for Recipe<L> {
    /// The paper's settings for MNIST (arXiv 1912.07768).
    fn default() -> Self {
        Self {
            seed: 0,
            iterations: 2000,
            learner: L::default(),
            teacher: TeacherSpec::default(),
            inner: InnerSpec::default(),
            meta: MetaSpec::default(),
            outer: OuterSpec::default(),
        }
    }
}

impl Default for InnerSpec {
    fn default() -> Self {
        Self { steps: 32, batch: 128, optimizer: InnerOptimizer::Sgd, lr: 0.02, momentum: 0.5 }
    }
}

impl Default for MetaSpec {
    fn default() -> Self {
        Self { batch: 128, every: 1 }
    }
}

impl Default for OuterSpec {
    fn default() -> Self {
        Self { lr: 0.02, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, final_lr: 0.1, clip: 0.0 }
    }
}

impl<L> Recipe<L> {
    /// Checks every number's range.
    ///
    /// # Errors
    /// [`Error::Spec`] that names the key, what is allowed and what was found.
    pub fn validate(&self) -> Result<()> {
        let Self { inner, meta, outer, .. } = self;
        count("iterations", self.iterations, 1_000_000_000)?;
        count("inner.steps", inner.steps, 100_000)?;
        count("inner.batch", inner.batch, 100_000)?;
        count("inner.steps × inner.batch", inner.steps * inner.batch, 1 << 30)?;
        count("meta.batch", meta.batch, 100_000)?;
        let positive = |v: f64| v > 0.0 && v.is_finite();
        check("inner.lr", inner.lr, "above 0", positive)?;
        check("inner.momentum", inner.momentum, "above 0 and below 1", |m| m > 0.0 && m < 1.0)?;
        check("outer.lr", outer.lr, "above 0", positive)?;
        let decay = |b: f64| (0.0..1.0).contains(&b);
        check("outer.beta1", outer.beta1, "at least 0 and below 1", decay)?;
        check("outer.beta2", outer.beta2, "at least 0 and below 1", decay)?;
        // Squares below 1e-45 are none in single precision: a smaller one would make giant steps of what is left.
        let single = |e: f64| e >= 1e-20 && e.is_finite();
        check("outer.epsilon", outer.epsilon, "at least 1e-20", single)?;
        check("outer.final_lr", outer.final_lr, "between 0 and 1", |f| (0.0..=1.0).contains(&f))?;
        check("outer.clip", outer.clip, "0 (no limit) or above", |c| c >= 0.0 && c.is_finite())
    }

    /// Whether a learner is judged after step `step` (from 0).
    pub fn judged_after(&self, step: usize) -> bool {
        step + 1 == self.inner.steps
            || (self.meta.every > 0 && (step + 1).is_multiple_of(self.meta.every))
    }

    /// How often a learner is judged.
    pub fn exams(&self) -> usize {
        (0..self.inner.steps).filter(|&step| self.judged_after(step)).count()
    }
}

/// Numbers above `most` are slips of the pen that no memory would hold, or no one live to see the end of.
fn count(key: &str, value: usize, most: usize) -> Result<()> {
    let bound = match value {
        0 => "at least 1".to_owned(),
        value if value > most => format!("at most {most}"),
        _ => return Ok(()),
    };
    Err(Error::spec(format!("{key} must be {bound}, found {value}")))
}

fn check(key: &str, value: f64, allowed: &str, ok: impl Fn(f64) -> bool) -> Result<()> {
    if ok(value) {
        return Ok(());
    }
    Err(Error::spec(format!("{key} must be {allowed}, found {value}")))
}
