//! Search by a model of the scores.

mod gp;

use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::{Proposal, Trial};
use gp::Gp;
use gtn_core::seed::Rng;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Candidates that a model compares for one that is tried.
const POOL: usize = 100;

/// Predicts scores from architectures, and tries what may be best among relatives of the incumbents
/// (after BANANAS, White et al., arXiv 1910.11858).
///
/// The model is a Gaussian process on [`Space::encode`]. Candidates are mutations of the incumbents, one step
/// or two away, and their crossings; each gets a score drawn from what the model thinks of it (independent Thompson
/// sampling, the paper's choice), and the highest is tried.
///
/// The model is fitted anew for each proposal, by twelve Cholesky factorizations of a matrix as wide as there are trials: meant
/// for searches of hundreds of trials, not thousands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bananas<A> {
    /// Draws before there is a model, at least 2.
    pub initial: usize,
    /// The best so far whose relatives are considered, at least 1.
    pub incumbents: usize,
    asked: usize,
    judged: Vec<(A, Option<f64>)>,
    seen: Seen,
}

impl<A> Default for Bananas<A> {
    /// A model after 15 draws, and relatives of the best 10.
    fn default() -> Self {
        Self { initial: 15, incumbents: 10, asked: 0, judged: Vec::new(), seen: Seen::default() }
    }
}

impl<A: Clone + PartialEq> Bananas<A> {
    fn promising<S: Space<Arch = A>>(&self, space: &S, rng: &mut Rng) -> Option<A> {
        if self.asked < self.initial {
            return None;
        }
        let mut scored: Vec<(&A, f64)> =
            self.judged.iter().filter_map(|(arch, score)| Some((arch, (*score)?))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        let worst = scored.last()?.1;
        // What fails is as bad as the worst of the rest.
        let codes = self.judged.iter().map(|(arch, _)| space.encode(arch)).collect();
        let scores: Vec<f64> = self.judged.iter().map(|(_, s)| s.unwrap_or(worst)).collect();
        let model = Gp::fit(codes, &scores)?;

        let incumbents = &scored[..scored.len().min(self.incumbents.max(1))];
        let mut best: Option<(f64, A)> = None;
        for _ in 0..POOL {
            let incumbent = |rng: &mut Rng| incumbents[rng.random_range(0..incumbents.len())].0;
            let parent = incumbent(rng);
            let relative = match rng.random_range(0..4) {
                0 => space.mutate(&space.mutate(parent, rng), rng),
                1 => space.crossover(parent, incumbent(rng), rng),
                _ => space.mutate(parent, rng),
            };
            if self.seen.contains(space, &relative) {
                continue;
            }
            let (mean, std) = model.predict(&space.encode(&relative));
            let chance: f64 = StandardNormal.sample(rng);
            let score = mean + std * chance;
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, relative));
            }
        }
        best.map(|(_, arch)| arch)
    }
}

impl<S: Space> Strategy<S> for Bananas<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        let arch = match self.promising(space, rng) {
            Some(arch) => {
                self.seen.insert(space, &arch);
                arch
            }
            None => self.seen.fresh(space, || space.sample(rng))?,
        };
        self.asked += 1;
        Some(Proposal::new(arch))
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        self.judged.push((trial.arch.clone(), trial.score()));
    }
}
