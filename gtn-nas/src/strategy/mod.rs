//! Search strategies: which candidate to try next.
//!
//! A [`Strategy`] is asked for candidates and told how they did. Only [`Strategy::ask`] must be
//! written; this one climbs from the best so far, and is complete:
//!
//! ```
//! use gtn_nas::Rng;
//! use gtn_nas::search::{Budget, Search};
//! use gtn_nas::space::nb201::{Nb201Arch, Nb201Space};
//! use gtn_nas::space::Space;
//! use gtn_nas::strategy::Strategy;
//! use gtn_nas::trial::{Proposal, Trial};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Climb<A> {
//!     best: Option<(A, f64)>,
//! }
//!
//! impl<S: Space> Strategy<S> for Climb<S::Arch> {
//!     fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
//!         Some(Proposal::new(match &self.best {
//!             Some((arch, _)) => space.mutate(arch, rng),
//!             None => space.sample(rng),
//!         }))
//!     }
//!
//!     fn tell(&mut self, trial: &Trial<S::Arch>) {
//!         let Some(score) = trial.score() else { return };
//!         if self.best.as_ref().is_none_or(|(_, best)| score > *best) {
//!             self.best = Some((trial.arch.clone(), score));
//!         }
//!     }
//! }
//!
//! // A toy problem: as many 3×3 convolutions as possible.
//! let convolutions = |arch: &Nb201Arch| arch.to_string().matches("conv_3x3").count() as f64;
//! let search = Search { budget: Budget::trials(60), ..Search::default() };
//! let trials = search.run(&Nb201Space::default(), &mut Climb { best: None }, &convolutions)?;
//! assert_eq!(gtn_nas::trial::best(&trials).unwrap().score(), Some(6.0));
//! # Ok::<(), gtn_nas::Error>(())
//! ```
//!
//! Those that come with the crate, each a file: [`Random`], [`Evolution`], [`Local`],
//! [`Halving`], [`Hyperband`], [`Bananas`]. A new one joins the command line by a line in
//! the list at the end of this module.

mod bananas;
mod evolution;
mod halving;
mod hyperband;
mod local;
mod random;
mod seen;

pub use bananas::Bananas;
pub use evolution::Evolution;
pub use halving::{Halving, Rungs};
pub use hyperband::Hyperband;
pub use local::Local;
pub use random::Random;
pub use seen::Seen;

use crate::space::Space;
use crate::trial::{Proposal, Trial};
use crate::{Error, Result};
use gtn_core::seed::Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Decides which candidate is tried next.
///
/// Its state is what it serializes to: read back, it goes on as if nothing had happened. It
/// draws only from the `rng` that it is handed, whose seed is the search's and the candidate's number.
pub trait Strategy<S: Space>: Serialize + DeserializeOwned {
    /// The next candidate.
    ///
    /// `None` waits for results: the next one is told before this is called again. `None` while
    /// no result is under way ends the search.
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>>;

    /// Takes in how a candidate did. Candidates are told in the order in which they were asked for;
    /// several may be asked for before the first is told.
    fn tell(&mut self, _trial: &Trial<S::Arch>) {}
}

/// Declares [`AnyStrategy`], and how its strategies are named and made.
macro_rules! strategies {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $name:literal, $make:expr;)*) => {
        /// A strategy chosen by name.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(tag = "strategy", rename_all = "snake_case")]
        pub enum AnyStrategy<A> {
            $($(#[$doc])* $variant($type),)*
        }

        impl<A> AnyStrategy<A> {
            /// The names to choose from.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The strategy of this name, with its usual settings, for an evaluator that takes
            /// `steps` training steps (0 if it does not train).
            ///
            /// # Errors
            /// [`Error::Parse`] when there is none of this name; [`Error::Setting`] when the
            /// strategy needs an evaluator that trains.
            pub fn named(name: &str, steps: usize) -> Result<Self> {
                match name {
                    $($name => {
                        let make: fn(usize) -> Result<$type> = $make;
                        make(steps).map(Self::$variant)
                    })*
                    _ => {
                        let expected = format!("expected one of {}", Self::NAMES.join(", "));
                        Err(Error::parse("strategy", name, expected))
                    }
                }
            }
        }

        impl<S: Space> Strategy<S> for AnyStrategy<S::Arch> {
            fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
                match self {
                    $(Self::$variant(strategy) => strategy.ask(space, rng),)*
                }
            }

            fn tell(&mut self, trial: &Trial<S::Arch>) {
                match self {
                    $(Self::$variant(strategy) => Strategy::<S>::tell(strategy, trial),)*
                }
            }
        }
    };
}

strategies! {
    /// Independent draws.
    Random(Random) = "random", |_| Ok(Random::default());
    /// Regularized evolution.
    Evolution(Evolution<A>) = "evolution", |_| Ok(Evolution::default());
    /// Hill climbing with restarts.
    Local(Local<A>) = "local", |_| Ok(Local::default());
    /// Successive halving.
    Halving(Halving<A>) = "halving", |steps| Ok(Halving::new(Rungs::up_to(steps)?));
    /// Hyperband.
    Hyperband(Hyperband<A>) = "hyperband", |steps| Ok(Hyperband::new(Rungs::up_to(steps)?));
    /// A Gaussian process, and mutations of the incumbents.
    Bananas(Bananas<A>) = "bananas", |_| Ok(Bananas::default());
}

#[cfg(test)]
mod tests;
