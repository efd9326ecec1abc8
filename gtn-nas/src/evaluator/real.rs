//! A few steps on real data.

use super::Evaluator;
use super::training::{Exam, teach_and_judge};
use crate::Result;
use crate::trial::Measurement;
use gtn_core::data::Batches;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::trainer::TeachingStep;
use rand::RngExt;
use std::time::Instant;

/// Judges a network by its accuracy after some steps on real data with fixed learning rate and momentum.
pub struct Real<'a> {
    /// Where batches come from.
    pub batches: &'a (dyn Batches + Sync),
    /// Images of a batch, at least 1.
    pub batch: usize,
    /// Steps where nobody says otherwise.
    pub steps: usize,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Learning rate and momentum of every step.
    pub rates: Rates,
    /// What networks are judged on.
    pub exam: &'a Exam,
}

impl Evaluator<Network> for Real<'_> {
    fn steps(&self) -> usize {
        self.steps
    }

    fn evaluate(&self, network: &Network, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let lessons = lessons(self.batches, self.batch, seed)
            .map(|batch| Ok(TeachingStep { batch: batch?, rates: self.rates }));
        teach_and_judge(network, self.optimizer, lessons, steps, seed, self.exam, Instant::now())
    }
}

/// Endless batches from a place of the seed's own, so that each learner sees an order of its own.
pub(super) fn lessons(
    batches: &(dyn Batches + Sync),
    size: usize,
    seed: Seed,
) -> impl Iterator<Item = gtn_core::Result<gtn_core::data::Batch>> {
    let first = seed.derive("real batches", 0).rng().random_range(0..1u64 << 40);
    (first..).map(move |index| batches.batch(index, size))
}
