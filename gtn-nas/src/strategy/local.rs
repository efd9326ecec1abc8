//! Local search.

use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::{Proposal, Trial};
use gtn_core::seed::Rng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Hill climbing: from the best of a few draws to better and better neighbors, and once no neighbor
/// seems better, from new draws again (White et al., arXiv 2005.02960).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Local<A> {
    /// Draws from the best of which a climb starts, at least 1.
    pub starts: usize,
    /// Neighbors in a row without a better one that end a climb.
    pub patience: usize,
    /// The climbs so far.
    climb: usize,
    /// Candidates of this climb asked for, and told.
    asked: usize,
    told: usize,
    top: Option<(A, f64)>,
    /// Neighbors told since the top was reached.
    worse: usize,
    /// The climb of each candidate under way.
    pending: VecDeque<usize>,
    seen: Seen,
}

impl<A> Default for Local<A> {
    /// Climbs from the best of 10, ended by 20 neighbors that are no better.
    fn default() -> Self {
        Self {
            starts: 10,
            patience: 20,
            climb: 0,
            asked: 0,
            told: 0,
            top: None,
            worse: 0,
            pending: VecDeque::new(),
            seen: Seen::default(),
        }
    }
}

impl<S: Space> Strategy<S> for Local<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        let neighbor = match &self.top {
            Some((top, _)) if self.asked >= self.starts => {
                self.seen.fresh(space, || space.mutate(top, rng))
            }
            _ => None,
        };
        let arch = neighbor.or_else(|| self.seen.fresh(space, || space.sample(rng)))?;
        self.asked += 1;
        self.pending.push_back(self.climb);
        Some(Proposal::new(arch))
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        // What an ended climb left under way is no start for the next.
        if self.pending.pop_front() != Some(self.climb) {
            return;
        }
        self.told += 1;
        let better = |score: &f64| self.top.as_ref().is_none_or(|(_, best)| score > best);
        if let Some(score) = trial.score().filter(better) {
            self.top = Some((trial.arch.clone(), score));
            self.worse = 0;
        } else if self.told > self.starts {
            self.worse += 1;
        }
        if self.worse >= self.patience.max(1) {
            self.climb += 1;
            (self.asked, self.told, self.top, self.worse) = (0, 0, None, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::nb201::{Nb201Arch, Nb201Space};
    use crate::strategy::tests::{alike, tell};
    use gtn_core::seed::Seed;

    const SPACE: Nb201Space = Nb201Space { channels: 8, cells: 1 };

    fn ask(local: &mut Local<Nb201Arch>, number: u64) -> Nb201Arch {
        Strategy::<Nb201Space>::ask(local, &SPACE, &mut Seed(number).rng()).unwrap().arch
    }

    #[test]
    fn a_climb_goes_to_the_top_s_neighbors_and_ends_without_patience() {
        let mut local = Local { starts: 2, patience: 3, ..Local::default() };
        let [first, second] = [0, 1].map(|number| ask(&mut local, number));
        tell(&mut local, first, 1, 0.9);
        tell(&mut local, second, 1, 0.1);
        for number in 2..4 {
            let neighbor = ask(&mut local, number);
            assert_eq!(alike(&neighbor, &first), 5, "of the best start");
            tell(&mut local, neighbor, 1, 0.5);
        }
        let better = ask(&mut local, 4);
        tell(&mut local, better, 1, 0.95);
        // Two under way when the third in a row without a better one ends the climb.
        let under_way = [5, 6, 7, 8, 9].map(|number| ask(&mut local, number));
        assert!(under_way.iter().all(|neighbor| alike(neighbor, &better) == 5));
        for neighbor in &under_way[..3] {
            assert_eq!(local.climb, 0);
            tell(&mut local, *neighbor, 1, f64::NAN);
        }
        assert_eq!((local.climb, &local.top), (1, &None));
        for late in &under_way[3..] {
            tell(&mut local, *late, 1, 0.99);
        }
        assert_eq!(local.top, None, "what was left under way starts no climb");
        let fresh = ask(&mut local, 10);
        tell(&mut local, fresh, 1, 0.2);
        assert_eq!(local.top, Some((fresh, 0.2)));
    }
}
