//! How many searches there are, and their parts.

use super::tables::LONG;
use super::{EVALUATORS, WINNERS};
use crate::reproduce::nas::{self, Searches, Trainings};
use crate::reproduce::part::Part;
use anyhow::{Context, Result, ensure};
use gtn_cli::nas::judging::EvaluatorName;
use gtn_nas::strategy::AnyStrategy;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Table;

/// How large the target is.
#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    /// The teacher, and the sample of which the best is what searches are measured by.
    #[serde(flatten)]
    pub(super) shared: nas::Settings,
    /// Of the searches, one of each kind for each.
    pub(super) seeds: Vec<u64>,
    /// A configuration of `gtn search`.
    search: Table,
    /// Names of longer trainings of what random search found, and how they differ from those of the sample.
    pub(super) long: BTreeMap<String, Table>,
}

/// Which searches: those of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) strategy: &'static str,
    pub(super) evaluator: EvaluatorName,
}

impl Kind {
    /// Every strategy with every evaluator.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let strategies = AnyStrategy::<String>::NAMES.iter();
        strategies.flat_map(|&strategy| EVALUATORS.map(|evaluator| Self { strategy, evaluator }))
    }

    /// Whether these are searches of which results were published.
    pub(super) fn is_published(self) -> bool {
        self.strategy == "random"
    }

    /// The name of the part.
    pub(super) fn part(self) -> String {
        Searches::part(self.strategy, self.evaluator)
    }
}

/// The name of the part with the longer trainings of this name.
pub(super) fn long(name: &str) -> String {
    format!("long-{name}")
}

impl Settings {
    pub(super) fn read(settings: &str) -> Result<Self> {
        let settings: Self = toml::from_str(settings).context("settings of searches")?;
        ensure!(!settings.seeds.is_empty(), "seeds is empty");
        for name in settings.long.keys() {
            ensure!(
                LONG.iter().any(|long| long.name == name),
                "there is no column for [long.{name}]"
            );
        }
        Ok(settings)
    }

    pub(super) fn parts(&self, data: &str) -> Result<Vec<Box<dyn Part>>> {
        let sample = self.shared.sample_with(&Table::new(), data)?;
        let mut parts: Vec<Box<dyn Part>> =
            vec![Box::new(self.shared.teacher(data)?), Box::new(self.shared.sample(data)?)];
        for Kind { strategy, evaluator } in Kind::all() {
            let searches = Searches::new(strategy, evaluator, &self.search, &self.seeds, &sample)?;
            parts.push(Box::new(searches));
        }
        let trainings = |id, config, kinds: Vec<Kind>| {
            let searches = kinds.len() * self.seeds.len();
            let of = kinds.into_iter().map(Kind::part).collect();
            Box::new(Trainings::new(id, config, of, searches))
        };
        parts.push(trainings(WINNERS.into(), sample, Kind::all().collect()));
        for (name, particular) in &self.long {
            let config = self.shared.sample_with(particular, data)?;
            let published = Kind::all().filter(|kind| kind.is_published()).collect();
            parts.push(trainings(long(name), config, published));
        }
        Ok(parts)
    }
}
