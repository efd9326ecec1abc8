//! Learners taught by real data, the learning rate and momentum tuned on the validation split.

use super::{Learned, commented, marks};
use crate::reproduce::part::{Bench, PLAIN_STEP, Part};
use anyhow::Result;
use gtn_cli::comparison::School;
use gtn_cli::config::RunConfig;
use gtn_cli::progress::Progress;
use serde_json::Value;

/// Learners taught by real data, as `gtn eval` does it.
pub(super) struct Real {
    pub(super) id: String,
    /// Says who learns, how many steps of what size, and by which rule.
    pub(super) config: RunConfig,
    pub(super) learners: usize,
}

impl Part for Real {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> Result<String> {
        let what =
            "Real data, learning rate and momentum tuned on the validation split (not inner.lr)";
        commented(&self.config, self.learners, &marks(&self.config), what)
    }

    fn work(&self) -> f64 {
        let learners = School::TUNING + self.learners;
        PLAIN_STEP * (learners * self.config.recipe.inner.steps) as f64
    }

    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
        let (config, steps) = (&self.config, marks(&self.config));
        let school = School::open(config, &config.recipe.learner, bench.dataset, bench.device)?;
        let school = school.judging_after(steps.clone());
        let mut progress = Progress::new("real data", School::TUNING + self.learners, 0);
        let rates = bench.interrupt.at_once(|| school.tune(&mut progress))?;
        let mut learners = Vec::new();
        for index in 0..self.learners as u64 {
            if bench.interrupt.raised() {
                return Ok(None);
            }
            learners.push(school.taught_by_real(rates, index)?);
            progress.step("judging");
        }
        let learned =
            Learned { steps, learners, tuned: Some(rates), teacher: None, diverged: None };
        Ok(Some(serde_json::to_value(learned)?))
    }
}
