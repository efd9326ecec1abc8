//! Learners drawn from a space.

use super::{NetworkSpace, Space, SpaceSpec};
use gtn_core::data::ImageShape;
use gtn_core::learner::LearnerFamily;
use gtn_core::network::{Network, Normalization};
use gtn_core::seed::Seed;
use serde::{Deserialize, Serialize};

/// The networks of a space as a family of learners: a teacher trained with it has taught a little of everything
/// that it is to judge later.
///
/// ```
/// use gtn_core::recipe::Recipe;
/// use gtn_nas::space::{SpaceLearners, SpaceSpec};
///
/// let space: SpaceSpec = "macro".parse()?;
/// let learner = SpaceLearners { space, ..SpaceLearners::default() };
/// let recipe = Recipe { learner, ..Recipe::default() };
/// # Ok::<(), gtn_nas::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpaceLearners {
    /// The space; each learner is a fresh draw from it.
    pub space: SpaceSpec,
    /// How their layers are normalized.
    #[serde(flatten)]
    pub normalization: Normalization,
}

impl Default for SpaceLearners {
    fn default() -> Self {
        Self { space: SpaceSpec::Macro(super::MacroSpace), normalization: Normalization::default() }
    }
}

impl LearnerFamily for SpaceLearners {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
        let mut rng = seed.derive("architecture", 0).rng();
        let layers = crate::with_space!(self.space, space => {
            space.layers(&space.sample(&mut rng))
        });
        Network::new(&layers, image, classes, self.normalization)
    }
}
