//! A long training on real data.

use super::Evaluator;
use super::real::lessons;
use super::training::{Exam, teach_and_judge};
use crate::Result;
use crate::trial::Measurement;
use gtn_core::data::Batches;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::trainer::TeachingStep;
use std::f64::consts::PI;
use std::time::Instant;

/// Judges a network by its accuracy at the end of a long training: what others try to foretell.
///
/// The learning rate falls along half a cosine to (almost) nothing (Loshchilov & Hutter, arXiv 1608.03983). Batches
/// come augmented: that is up to whoever makes them. Asked for fewer steps, it trains on a
/// schedule of fewer, so that each number of steps is a training of its own.
pub struct Full<'a> {
    /// Where batches come from.
    pub batches: &'a (dyn Batches + Sync),
    /// Images of a batch, at least 1.
    pub batch: usize,
    /// Steps where nobody says otherwise.
    pub steps: usize,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Learning rate of the first step, and momentum.
    pub rates: Rates,
    /// What networks are judged on.
    pub exam: &'a Exam,
}

impl Evaluator<Network> for Full<'_> {
    fn steps(&self) -> usize {
        self.steps
    }

    fn evaluate(&self, network: &Network, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let mut found = Vec::new();
        for &steps in steps {
            let batches = lessons(self.batches, self.batch, seed).enumerate();
            let lessons = batches.map(|(step, batch)| {
                let rates = Rates { lr: self.rates.lr * cosine(step, steps), ..self.rates };
                Ok(TeachingStep { batch: batch?, rates })
            });
            found.extend(teach_and_judge(
                network,
                self.optimizer,
                lessons,
                &[steps],
                seed,
                self.exam,
                Instant::now(),
            )?);
        }
        Ok(found)
    }
}

/// What is left of the learning rate in step `step` (from 0) of `steps`.
fn cosine(step: usize, steps: usize) -> f64 {
    0.5 * (1.0 + (PI * step as f64 / steps.max(1) as f64).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_falls_from_all_to_almost_nothing() {
        assert_eq!(cosine(0, 8), 1.0);
        assert!((cosine(4, 8) - 0.5).abs() < 1e-12);
        assert!(cosine(7, 8) > 0.0 && cosine(7, 8) < 0.05);
    }
}
