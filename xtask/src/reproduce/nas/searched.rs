//! One search for each of several seeds: the part.

use super::{Correlation, SAMPLE, TEACHER, begun, materials, teacher_is_there};
use crate::reproduce::part::{Bench, PLAIN_STEP, Part};
use anyhow::{Context, Result};
use gtn_cli::config::{Config, Layer};
use gtn_cli::nas::correlate::CorrelateConfig;
use gtn_cli::nas::folder::Folder;
use gtn_cli::nas::judging::EvaluatorName;
use gtn_cli::nas::search::{CONFIG, SearchConfig, search_with};
use gtn_cli::threads;
use gtn_nas::trial::{Spent, Trial, best};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;

/// Searches that differ in their seeds alone, as `gtn search` does them.
pub(crate) struct Searches {
    id: String,
    config: SearchConfig,
    seeds: Vec<u64>,
}

/// How one search ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) seed: u64,
    pub(crate) trials: usize,
    /// Of all trials together.
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
    /// The best by the search.
    pub(crate) winner: String,
    /// Its score in the search.
    pub(crate) score: f64,
}

impl Searches {
    /// Searches in the space of `sample`, judged with the same.
    ///
    /// # Errors
    /// When a key of the settings is unknown or out of range.
    pub(crate) fn new(
        strategy: &str,
        evaluator: EvaluatorName,
        settings: &Table,
        seeds: &[u64],
        sample: &CorrelateConfig,
    ) -> Result<Self> {
        let mut config = SearchConfig::load(&[Layer::new("[search]", settings.clone())])?;
        config.seed = *seeds.first().context("there are no seeds of searches")?;
        (config.space, config.judging) = (sample.space, sample.judging.clone());
        (config.strategy, config.evaluator) = (strategy.to_owned(), evaluator);
        Ok(Self { id: Self::part(strategy, evaluator), config, seeds: seeds.into() })
    }

    /// The name of the part with these searches.
    pub(crate) fn part(strategy: &str, evaluator: EvaluatorName) -> String {
        format!("{strategy}-{evaluator}")
    }
}

impl Part for Searches {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> Result<String> {
        let seeds = self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        Ok(format!(
            "# One search for each of the seeds {seeds}. Learning rate and momentum for real data are those of the part {SAMPLE}.\n{}",
            self.config.to_toml()?
        ))
    }

    fn takes_up(&self) -> Vec<String> {
        vec![TEACHER.into(), SAMPLE.into()]
    }

    fn work(&self) -> f64 {
        let a_search = match self.config.budget.steps {
            Some(steps) => steps,
            None => self.config.budget.trials.unwrap_or(1) * self.config.steps.unwrap_or(1),
        };
        PLAIN_STEP * (self.seeds.len() * a_search) as f64
    }

    fn prepare(&self, bench: &Bench<'_>) -> Result<bool> {
        teacher_is_there(bench)
    }

    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
        let tuned: Correlation = bench.results.get(SAMPLE)?;
        let workers = threads::workers(bench.device.is_cpu());
        let materials = materials(bench, &self.config.judging)?;
        let mut all = Vec::new();
        for &seed in &self.seeds {
            let mut config = SearchConfig { seed, ..self.config.clone() };
            config.judging.real = tuned.judging.real.clone();
            let path = bench.folder.run(&self.id).join(format!("seed{seed}"));
            let folder = Folder::at(&path, CONFIG);
            let config = begun(&folder, &config)?;
            let found = search_with(&materials, config, &folder, workers, bench.interrupt)?;
            if found.interrupted {
                return Ok(None);
            }
            all.push(Found::of(seed, &found.trials)?);
        }
        Ok(Some(serde_json::to_value(all)?))
    }
}

impl Found {
    fn of(seed: u64, trials: &[Trial<String>]) -> Result<Self> {
        let best = best(trials).and_then(|trial| Some((trial, trial.score()?)));
        let (winner, score) = best
            .with_context(|| format!("no candidate of the search with seed {seed} has a score"))?;
        let Spent { trials, steps, seconds } = Spent::on(trials);
        Ok(Self { seed, trials, steps, seconds, winner: winner.arch.clone(), score })
    }
}
