//! Configurations: TOML, read in layers.
//!
//! The defaults come first, then a preset or a file, then what the command
//! line says. A layer that chooses another kind of learner or teacher
//! replaces that table, every other layer only fills in its own keys. A key that no table knows is
//! refused, with the nearest that one does.

mod counts;
mod layer;
mod layered;
mod merge;
mod mistyped;
mod overrides;
mod preset;
mod unknown;

pub(crate) use counts::{AT_ONCE, SOME, expect_within};
pub use layer::Layer;
pub use layered::{Config, Difference};
pub use overrides::Override;
pub use preset::Preset;

use crate::error::Usage;
use crate::learner::Learner;
use anyhow::Result;
use gtn_core::recipe::{OuterOptimizer, Recipe};
use gtn_core::teacher::TeacherSpec;
use serde::{Deserialize, Serialize};

/// Everything that decides what a run computes. The thread count and the
/// moment at which a run is interrupted are not in here, for they decide nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunConfig {
    /// Seed, length, learner, teacher, inner loop, meta-loss and outer optimizer.
    #[serde(flatten)]
    pub recipe: Recipe<Learner>,
    /// The real data.
    pub data: DataConfig,
    /// When to look, when to save, and how much memory to take.
    pub run: Schedule,
}

/// The real data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// A folder, `digits` for the built-in set, or `digits:N` for N training images of it.
    pub path: String,
    /// How many training images are held out to validate on; the data set's usual number if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Random crops of the images of the meta-loss: black pixels added on each side before.
    pub pad: usize,
    /// Whether those images are mirrored at random.
    pub flip: bool,
}

impl Default for DataConfig {
    /// The built-in digits, as they are.
    fn default() -> Self {
        Self { path: "digits".into(), validation: None, pad: 0, flip: false }
    }
}

/// How often a run looks at itself, in meta-iterations, and its memory. The teacher does not depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// From one checkpoint to the next; the last iteration always writes one.
    pub checkpoint_every: usize,
    /// From one validation, and sheet of synthetic images, to the next, the
    /// last iteration always having one; a tenth of the run if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<usize>,
    /// MiB of activations, the learner's and the generator's, that are kept for the way back; what does not
    /// fit is computed again. 0: all of it.
    pub keep_activations: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { checkpoint_every: 10, validate_every: None, keep_activations: 896 }
    }
}

impl Config for RunConfig {
    const KINDS: &[&str] = &["kind", "preset", "space"];

    fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        expect_within([
            ("run.checkpoint_every", Some(self.run.checkpoint_every), SOME),
            ("run.validate_every", self.run.validate_every, SOME),
        ])?;
        self.data.validate()
    }

    fn filled(&self) -> Self {
        let mut full = self.clone();
        full.recipe.meta.late.get_or_insert_default();
        // Defaults are left out.
        full.recipe.outer.optimizer = OuterOptimizer::Muon;
        if let TeacherSpec::Generator { learned_pixels, .. } = &mut full.recipe.teacher {
            *learned_pixels = true;
        }
        full.data.validation.get_or_insert(0);
        full.run.validate_every.get_or_insert(1);
        full
    }
}

impl RunConfig {
    /// Validations and sheets are this many meta-iterations apart.
    #[must_use]
    pub fn validate_every(&self) -> usize {
        self.run.validate_every.unwrap_or(self.recipe.iterations / 10).max(1)
    }
}

impl DataConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.path.is_empty() {
            return Err(Usage::error("data.path must name a folder or `digits`, found nothing"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
