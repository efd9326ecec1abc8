//! What has been proposed already.

use crate::space::Space;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Draws of a candidate before its neighborhood counts as exhausted.
const TRIES: usize = 100;

/// The keys of the architectures that a strategy has proposed, so that none is paid for twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen(BTreeSet<String>);

impl Seen {
    /// The first of many draws that has not been seen, which it then is. `None` where there seems
    /// to be none left.
    pub fn fresh<S: Space>(
        &mut self,
        space: &S,
        mut draw: impl FnMut() -> S::Arch,
    ) -> Option<S::Arch> {
        (0..TRIES).map(|_| draw()).find(|arch| self.0.insert(space.key(arch)))
    }

    /// Notes an architecture.
    pub fn insert<S: Space>(&mut self, space: &S, arch: &S::Arch) {
        self.0.insert(space.key(arch));
    }

    /// Whether an architecture has been seen.
    pub fn contains<S: Space>(&self, space: &S, arch: &S::Arch) -> bool {
        self.0.contains(&space.key(arch))
    }
}
