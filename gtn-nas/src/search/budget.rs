//! When a search ends.

use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What a search may spend; whatever runs out first ends it. Without any limit a search ends only when its strategy
/// has nothing left to try, and steps alone never end one whose evaluator takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Trials: judgments of a candidate, of which a strategy may ask several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
    /// Training steps of all candidates together; the last may go beyond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Seconds of the search, 0 or more; candidates then under way are still waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Budget {
    /// So many candidates.
    pub fn trials(trials: usize) -> Self {
        Self { trials: Some(trials), ..Self::default() }
    }
}

/// What of a budget is spent.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Budget,
    trials: usize,
    steps: usize,
    /// Seconds before `start`.
    before: f64,
    start: Instant,
}

impl Meter {
    pub(super) fn start(budget: Budget, before: f64) -> Self {
        Self { budget, trials: 0, steps: 0, before, start: Instant::now() }
    }

    pub(super) fn asked(&mut self, steps: usize) {
        self.trials += 1;
        self.steps += steps;
    }

    pub(super) fn elapsed(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.budget.trials.is_some_and(|limit| self.trials >= limit)
            || self.budget.steps.is_some_and(|limit| self.steps >= limit)
            || self.is_late()
    }

    /// Whether the seconds are over.
    pub(super) fn is_late(&self) -> bool {
        self.budget.seconds.is_some_and(|limit| self.elapsed() >= limit)
    }
}
