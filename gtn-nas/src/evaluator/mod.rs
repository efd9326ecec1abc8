//! Evaluators: how good a candidate seems, and what it cost to know.
//!
//! | evaluator | judges a network by |
//! | --- | --- |
//! | [`Gtn`] | accuracy after a few steps on what a trained teacher generates |
//! | [`Real`] | accuracy after a few steps on real data |
//! | [`Full`] | accuracy after a long training on augmented real data: the truth, as far as it can be had |
//! | [`proxy::ZeroCost`] | its size, or a look at it before any training: five proxies ([`proxy::Proxy`]) |
//!
//! All are an [`Evaluator`] of networks; [`Lowered`] makes of one an evaluator of a space's
//! architectures. A closure from an architecture to a number is an evaluator, too.

mod failure;
mod full;
mod gtn;
mod lowered;
pub mod proxy;
mod real;
mod training;

pub use failure::judge;
pub use full::Full;
pub use gtn::Gtn;
pub use lowered::Lowered;
pub use real::Real;
pub use training::Exam;

use crate::Result;
use crate::trial::{Measurement, Outcome};
use gtn_core::seed::Seed;
use std::time::Instant;

/// Judges candidates of type `T`: architectures, or networks.
pub trait Evaluator<T: ?Sized>: Sync {
    /// Training steps that it takes where nobody says otherwise; 0 if it does not train.
    fn steps(&self) -> usize {
        0
    }

    /// Judges a candidate after each of these numbers of training steps, which rise from 1 or more (or are
    /// [`Evaluator::steps`], 0 included, where it does not train). An
    /// evaluator that trains does so once, and judges on the way. The
    /// same candidate and seed always get the same scores.
    ///
    /// A candidate that diverges is measured as failed. Returns one measurement for each number.
    ///
    /// # Errors
    /// When the candidate cannot be judged at all.
    fn evaluate(&self, candidate: &T, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>>;
}

impl<T: ?Sized, F: Fn(&T) -> f64 + Sync> Evaluator<T> for F {
    fn evaluate(&self, candidate: &T, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let start = Instant::now();
        let outcome = Outcome::of(self(candidate));
        let seconds = start.elapsed().as_secs_f64();
        let at = |&steps| Measurement { steps, outcome: outcome.clone(), seconds, seed: seed.0 };
        Ok(steps.iter().map(at).collect())
    }
}

#[cfg(test)]
mod tests;
