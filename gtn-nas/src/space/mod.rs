//! Search spaces: which architectures there are, described by data.
//!
//! A [`Space`] draws architectures, changes and crosses them, and turns them into numbers for
//! models; a [`NetworkSpace`] also turns them into layers. Whatever comes out of a space is a
//! network that can be built, for any image.
//!
//! | space | architectures |
//! | --- | --- |
//! | [`MacroSpace`] | one to four convolutions: widths, kernels, pooling, norms, head |
//! | [`CellSpace`] | a normal and a reduction cell of a few nodes, stacked |
//! | [`Nb201Space`] | the one cell of NAS-Bench-201, stacked |

pub mod cell;
mod choice;
mod learners;
mod lowering;
pub mod macro_space;
pub mod nb201;
mod spec;
mod text;

pub use cell::CellSpace;
pub use learners::SpaceLearners;
pub use macro_space::MacroSpace;
pub use nb201::Nb201Space;
pub use spec::SpaceSpec;
pub(crate) use text::serde_as_text;

use gtn_core::network::Layer;
use gtn_core::seed::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};

/// A set of architectures that can be searched.
///
/// ```
/// use gtn_core::seed::Seed;
/// use gtn_nas::space::{MacroSpace, Space};
///
/// let mut rng = Seed(1).rng();
/// let parent = MacroSpace.sample(&mut rng);
/// let child = MacroSpace.mutate(&parent, &mut rng);
/// assert_ne!(child, parent);
/// assert_eq!(child.to_string().parse::<gtn_nas::space::macro_space::MacroArch>()?, child);
/// # Ok::<(), gtn_nas::Error>(())
/// ```
pub trait Space: Debug + Send + Sync {
    /// An architecture. Its text names it: equal texts, equal architectures.
    type Arch: Clone + Debug + Display + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// Draws an architecture.
    fn sample(&self, rng: &mut Rng) -> Self::Arch;

    /// An architecture that differs from `parent` in one choice.
    fn mutate(&self, parent: &Self::Arch, rng: &mut Rng) -> Self::Arch;

    /// An architecture each of whose choices is one of its parents'.
    fn crossover(&self, a: &Self::Arch, b: &Self::Arch, rng: &mut Rng) -> Self::Arch;

    /// The architecture as numbers between 0 and 1, always as many of them.
    fn encode(&self, arch: &Self::Arch) -> Vec<f64>;

    /// What architectures that compute the same have in common; the architecture's text if not said otherwise.
    fn key(&self, arch: &Self::Arch) -> String {
        arch.to_string()
    }
}

/// A space of networks.
pub trait NetworkSpace: Space {
    /// The layers of an architecture: a network for any image and number of classes.
    fn layers(&self, arch: &Self::Arch) -> Vec<Layer>;
}

#[cfg(test)]
mod tests;
