//! Random search.

use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::Proposal;
use gtn_core::seed::Rng;
use serde::{Deserialize, Serialize};

/// Draws every candidate anew, none of them twice. Hard to beat by much (Li & Talwalkar, arXiv 1902.07638).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Random {
    seen: Seen,
}

impl<S: Space> Strategy<S> for Random {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        self.seen.fresh(space, || space.sample(rng)).map(Proposal::new)
    }
}
