//! Regularized evolution.

use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::{Proposal, Trial};
use gtn_core::seed::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Mutates the best of a few members of a population, of which the oldest dies
/// (Real et al., arXiv 1802.01548).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evolution<A> {
    /// Members of the population, at least 1.
    pub population: usize,
    /// Members of which the best becomes a parent, at least 1.
    pub tournament: usize,
    /// From the oldest to the youngest.
    alive: VecDeque<(A, f64)>,
    asked: usize,
    seen: Seen,
}

impl<A> Default for Evolution<A> {
    /// A population of 20 and tournaments of 5: the paper's ratio, for searches of some hundred trials.
    fn default() -> Self {
        let seen = Seen::default();
        Self { population: 20, tournament: 5, alive: VecDeque::new(), asked: 0, seen }
    }
}

impl<A: Clone> Evolution<A> {
    /// The best of a few, drawn with replacement.
    fn parent(alive: &VecDeque<(A, f64)>, tournament: usize, rng: &mut Rng) -> A {
        let mut drawn = (0..tournament.max(1)).map(|_| &alive[rng.random_range(0..alive.len())]);
        let first = drawn.next().expect("a tournament has a member");
        drawn.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0.clone()
    }
}

impl<S: Space> Strategy<S> for Evolution<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        let Self { alive, tournament, .. } = self;
        let grown = self.asked >= self.population && !alive.is_empty();
        let child = grown
            .then(|| {
                self.seen.fresh(space, || {
                    let parent = Self::parent(alive, *tournament, rng);
                    space.mutate(&parent, rng)
                })
            })
            .flatten();
        let arch = child.or_else(|| self.seen.fresh(space, || space.sample(rng)))?;
        self.asked += 1;
        Some(Proposal::new(arch))
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        let Some(score) = trial.score() else { return };
        self.alive.push_back((trial.arch.clone(), score));
        if self.alive.len() > self.population.max(1) {
            self.alive.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::nb201::{Nb201Arch, Nb201Space};
    use crate::strategy::tests::tell;
    use gtn_core::seed::Seed;

    fn told(evolution: &mut Evolution<Nb201Arch>, number: usize, score: f64) -> Nb201Arch {
        let arch = Nb201Space::default().sample(&mut Seed(number as u64).rng());
        tell(evolution, arch, 1, score);
        arch
    }

    #[test]
    fn the_oldest_dies_however_good_and_what_fails_never_lives() {
        let mut evolution = Evolution { population: 3, ..Evolution::default() };
        for (number, score) in [9.0, 2.0, 3.0, f64::NAN, 1.0].into_iter().enumerate() {
            told(&mut evolution, number, score);
        }
        let scores: Vec<f64> = evolution.alive.iter().map(|(_, score)| *score).collect();
        assert_eq!(scores, [2.0, 3.0, 1.0]);
    }

    #[test]
    fn the_best_of_a_tournament_is_the_parent() {
        let mut evolution = Evolution { population: 4, ..Evolution::default() };
        let archs: Vec<Nb201Arch> = [1.0, 4.0, 3.0, 2.0]
            .into_iter()
            .enumerate()
            .map(|(n, s)| told(&mut evolution, n, s))
            .collect();
        let mut rng = Seed(7).rng();
        let mut chosen = |tournament| Evolution::parent(&evolution.alive, tournament, &mut rng);
        // In so many draws each of four is there.
        assert!((0..20).all(|_| chosen(100) == archs[1]));
        let alone: Vec<Nb201Arch> = (0..100).map(|_| chosen(1)).collect();
        assert!(archs.iter().all(|arch| alone.contains(arch)), "one alone is drawn evenly");
    }
}
