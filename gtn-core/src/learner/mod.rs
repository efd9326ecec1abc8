//! Families of learners.

mod spec;

pub use spec::{Architecture, LearnerSpec, Width};

use crate::Result;
use crate::data::ImageShape;
use crate::network::Network;
use crate::seed::Seed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A family of learners, of which each fresh learner is a member.
///
/// A recipe holds its family, so a family is data: what it is written as tells it from others, in
/// configurations and checkpoints alike. The default is for recipes that name none.
///
/// [`LearnerSpec`] is one; a space of architectures to search is another. Here is one whose
/// members are stacks of one to three convolutions:
///
/// ```
/// use gtn_core::data::ImageShape;
/// use gtn_core::learner::LearnerFamily;
/// use gtn_core::network::{Layer, Network, Normalization};
/// use gtn_core::recipe::Recipe;
/// use gtn_core::seed::Seed;
/// use gtn_core::trainer::Trainer;
/// use rand::RngExt;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
/// struct Stacks {
///     channels: usize,
/// }
///
/// impl LearnerFamily for Stacks {
///     fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
///         let depth = seed.derive("depth", 0).rng().random_range(1..=3);
///         let conv = |number: usize| Layer::Conv {
///             name: format!("conv{number}"),
///             channels: self.channels,
///             kernel: 3.into(),
///             stride: 1,
///             padding: 1.into(),
///         };
///         let norm = |number: usize| Layer::MeanNorm { name: format!("norm{number}") };
///         let mut layers: Vec<_> = (0..depth).flat_map(|n| [conv(n), norm(n)]).collect();
///         layers.extend([Layer::GlobalAvgPool {}, Layer::Classifier { name: "fc".into() }]);
///         Network::new(&layers, image, classes, Normalization::default())
///     }
/// }
///
/// let recipe = Recipe { learner: Stacks { channels: 8 }, ..Recipe::default() };
/// let image = ImageShape { channels: 1, height: 28, width: 28 };
/// let trainer = Trainer::new(&recipe, image, 10, &candle_core::Device::Cpu)?;
/// # Ok::<(), gtn_core::Error>(())
/// ```
pub trait LearnerFamily:
    Debug + Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync
{
    /// The member that `seed` draws, built.
    ///
    /// # Errors
    /// [`crate::Error::Spec`] when such images and classes do not fit it.
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> Result<Network>;

    /// Whether members differ. Where they do, one that diverges says little of the settings, and a training
    /// goes on with another draw; where all are alike it ends.
    fn varies(&self) -> bool {
        true
    }
}
