//! Hyperband.

use super::halving::{Bracket, Brackets, Rungs};
use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::{Proposal, Trial};
use gtn_core::seed::Rng;
use serde::{Deserialize, Serialize};

/// Successive halving that starts, bracket by bracket, from ever fewer candidates on ever higher rungs, since
/// nobody knows how far few steps can be trusted (Li et al., arXiv 1603.06560). After the
/// bracket that is plain random search on the highest rung, it starts over.
///
/// As in [`super::Halving`], no worker waits for the last of a rung, and what is promoted
/// depends on no worker's speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperband<A> {
    /// The numbers of steps.
    pub rungs: Rungs,
    brackets: Brackets<A>,
    seen: Seen,
}

impl<A> Hyperband<A> {
    /// Hyperband on these rungs.
    pub fn new(rungs: Rungs) -> Self {
        Self { rungs, brackets: Brackets::default(), seen: Seen::default() }
    }
}

impl<S: Space> Strategy<S> for Hyperband<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        let begun = self.brackets.begun();
        self.brackets.ask(|| {
            let (steps, factor) = (self.rungs.steps(), self.rungs.factor.max(2));
            let first = begun % steps.len();
            // The paper's ⌈(s_max + 1) / (s + 1) · factor^s⌉, s being the rungs above the first.
            let above = steps.len() - first - 1;
            let count =
                steps.len().saturating_mul(factor.saturating_pow(above as u32)).div_ceil(above + 1);
            Bracket::draw(space, count, &steps[first..], factor, &mut self.seen, rng)
        })
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        self.brackets.tell(trial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Budget, Search};
    use crate::space::nb201::{Nb201Arch, Nb201Space};

    #[test]
    fn brackets_follow_the_paper() {
        let score = |arch: &Nb201Arch| arch.to_string().matches("conv").count() as f64;
        let search =
            Search { budget: Budget::trials(15 + 10 + 6 + 4), ahead: 1, ..Search::default() };
        let mut hyperband = Hyperband::new(Rungs { least: 4, most: 32, factor: 2 });
        let trials = search.run(&Nb201Space::default(), &mut hyperband, &score).unwrap();
        let steps: Vec<usize> = trials.iter().map(|trial| trial.measured.steps).collect();
        let runs: Vec<(usize, usize)> =
            steps.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        assert_eq!(
            runs,
            [(4, 8), (8, 4), (16, 2), (32, 1), (8, 6), (16, 3), (32, 1), (16, 4), (32, 2 + 4)]
        );
    }
}
