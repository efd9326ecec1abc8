//! `correlate.toml`.

use super::measure::Judged;
use crate::config::{AT_ONCE, Config, expect_within};
use crate::error::Usage;
use crate::nas::judging::{EvaluatorName, Judging};
use crate::nas::materials::Materials;
use anyhow::Result;
use gtn_nas::evaluator::proxy::Proxy;
use gtn_nas::space::{MacroSpace, SpaceSpec};
use serde::{Deserialize, Serialize};

/// Everything that decides what is found. How many workers there are decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorrelateConfig {
    /// Seed of all draws.
    pub seed: u64,
    /// Where architectures come from.
    pub space: SpaceSpec,
    /// How many there are; more can be asked for when it is resumed.
    pub architectures: usize,
    /// Steps on synthetic data, rising. Left out: powers of two up to the curriculum's end, none without a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtn_steps: Option<Vec<usize>>,
    /// Steps on real data, rising.
    pub real_steps: Vec<usize>,
    /// Judgments before any training.
    pub proxies: Vec<Proxy>,
    /// Fresh networks of each architecture by which every estimate is made, their mean counts.
    pub learners: usize,
    /// Fresh networks of each architecture that are trained for long. From two on it can be told how well long trainings
    /// agree with one another: no estimate can do better.
    pub full_learners: usize,
    /// Resamples of the architectures for an interval of confidence (95%).
    pub resamples: usize,
    /// What candidates are judged with.
    #[serde(flatten)]
    pub judging: Judging,
}

impl Default for CorrelateConfig {
    /// 40 architectures of the macro space.
    fn default() -> Self {
        Self {
            seed: 0,
            space: SpaceSpec::Macro(MacroSpace),
            architectures: 40,
            gtn_steps: None,
            real_steps: vec![4, 8, 16, 32, 64, 128, 256, 512, 1200],
            proxies: Proxy::ALL.into(),
            learners: 1,
            full_learners: 1,
            resamples: 2000,
            judging: Judging::default(),
        }
    }
}

impl Config for CorrelateConfig {
    fn validate(&self) -> Result<()> {
        expect_within([
            ("architectures", Some(self.architectures), 2..=*AT_ONCE.end()),
            ("learners", Some(self.learners), AT_ONCE),
            ("full_learners", Some(self.full_learners), AT_ONCE),
            ("resamples", Some(self.resamples), 1..=1_000_000),
        ])?;
        let no_steps = Vec::new();
        let gtn_steps = self.gtn_steps.as_ref().unwrap_or(&no_steps);
        for (key, steps) in [("gtn_steps", gtn_steps), ("real_steps", &self.real_steps)] {
            if steps.first() == Some(&0) || !steps.is_sorted_by(|a, b| a < b) {
                return Err(Usage::error(format!(
                    "{key} must be numbers from 1 that rise, found {steps:?}"
                )));
            }
        }
        for (place, proxy) in self.proxies.iter().enumerate() {
            if self.proxies[..place].contains(proxy) {
                return Err(Usage::error(format!("proxies: {proxy} is there twice")));
            }
        }
        self.judging.validate()
    }

    fn filled(&self) -> Self {
        let mut full = self.clone();
        full.gtn_steps.get_or_insert_default();
        full.judging = self.judging.filled();
        full
    }
}

impl CorrelateConfig {
    /// Settles the numbers of steps on synthetic data.
    ///
    /// # Errors
    /// [`Usage`] when the teacher has no lessons for so many, there is no teacher, or nothing is to be compared with
    /// long trainings at all.
    pub(super) fn settle(&mut self, materials: &Materials) -> Result<()> {
        let most = materials.trained.as_ref().map_or(0, |t| t.config.recipe.inner.steps);
        let powers = std::iter::successors(Some(1), |steps| Some(2 * steps));
        let usual = powers.take_while(|&steps| steps < most).chain((most > 0).then_some(most));
        let steps = self.gtn_steps.get_or_insert_with(|| usual.collect());
        match steps.last() {
            Some(_) if most == 0 => Err(Usage::error(
                "gtn_steps: without a trained teacher there is no synthetic data; name its run folder with --run",
            )),
            Some(&last) if last > most => Err(Usage::error(format!(
                "gtn_steps: the teacher's curriculum has {most} steps, found {last}"
            ))),
            None if self.real_steps.is_empty() && self.proxies.is_empty() => Err(Usage::error(
                "gtn_steps, real_steps and proxies are all empty, so that there is nothing to compare with long trainings",
            )),
            _ => Ok(()),
        }
    }

    /// The steps on synthetic data, once they are settled.
    pub(super) fn gtn_steps(&self) -> &[usize] {
        self.gtn_steps.as_deref().unwrap_or_default()
    }

    /// Every evaluator that takes part.
    pub(super) fn evaluators(&self) -> Vec<EvaluatorName> {
        let gtn = (!self.gtn_steps().is_empty()).then_some(EvaluatorName::Gtn);
        let real = (!self.real_steps.is_empty()).then_some(EvaluatorName::Real);
        let proxies = self.proxies.iter().copied().map(EvaluatorName::Proxy);
        gtn.into_iter().chain(real).chain(proxies).chain([EvaluatorName::Full]).collect()
    }

    /// Fresh networks of an architecture that an evaluator judges.
    pub(super) fn learners_of(&self, name: EvaluatorName) -> usize {
        match name {
            EvaluatorName::Full => self.full_learners,
            _ => self.learners,
        }
    }

    /// By whom, and after how many steps, an architecture has not been judged yet as this asks.
    pub(super) fn judgment_missing_of(&self, judged: &Judged) -> Option<(EvaluatorName, usize)> {
        let wanted = self.evaluators().into_iter();
        let mut wanted =
            wanted.flat_map(|by| self.steps(by).into_iter().map(move |steps| (by, steps)));
        wanted.find(|&(by, steps)| judged.judgments(by, steps).count() < self.learners_of(by))
    }

    /// Steps after which an evaluator judges; one 0 for those that don't train.
    pub(super) fn steps(&self, name: EvaluatorName) -> Vec<usize> {
        match name {
            EvaluatorName::Gtn => self.gtn_steps().to_vec(),
            EvaluatorName::Real => self.real_steps.clone(),
            EvaluatorName::Full => vec![self.judging.full.steps],
            EvaluatorName::Proxy(_) => vec![0],
        }
    }
}
