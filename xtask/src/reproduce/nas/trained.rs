//! Long trainings of what searches found: the part.

use super::{
    Correlation, Found, SAMPLE, TEACHER, begun, judged, materials, steps, teacher_is_there,
};
use crate::reproduce::part::{Bench, PLAIN_STEP, Part};
use anyhow::Result;
use gtn_cli::config::Config;
use gtn_cli::nas::correlate::{ARCHITECTURES, CONFIG, CorrelateConfig, judge_these};
use gtn_cli::nas::folder::Folder;
use gtn_cli::threads;
use serde_json::Value;
use std::collections::BTreeSet;

/// Long trainings of the architectures that searches found, each as it would be trained in a sample. What
/// several searches found is trained once.
pub(crate) struct Trainings {
    id: String,
    config: CorrelateConfig,
    /// The parts with the searches.
    of: Vec<String>,
    /// How many searches these are together.
    searches: usize,
}

impl Trainings {
    /// Trainings as `config` has them for a sample.
    pub(crate) fn new(
        id: String,
        mut config: CorrelateConfig,
        of: Vec<String>,
        searches: usize,
    ) -> Self {
        (config.gtn_steps, config.real_steps, config.proxies) = (Some(vec![]), vec![], vec![]);
        config.architectures = searches;
        Self { id, config, of, searches }
    }
}

impl Part for Trainings {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> Result<String> {
        Ok(format!(
            "# Long trainings of what was found by {}. Learning rate and momentum that are left out are those of the part {SAMPLE}.\n{}",
            self.of.join(", "),
            self.config.to_toml()?
        ))
    }

    fn takes_up(&self) -> Vec<String> {
        [vec![TEACHER.into(), SAMPLE.into()], self.of.clone()].concat()
    }

    fn work(&self) -> f64 {
        PLAIN_STEP * self.searches as f64 * steps(&self.config)
    }

    fn prepare(&self, bench: &Bench<'_>) -> Result<bool> {
        teacher_is_there(bench)
    }

    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
        let tuned: Correlation = bench.results.get(SAMPLE)?;
        let mut archs = BTreeSet::new();
        for part in &self.of {
            let found: Vec<Found> = bench.results.get(part)?;
            archs.extend(found.into_iter().map(|found| found.winner));
        }
        let archs: Vec<String> = archs.into_iter().collect();
        let mut config = self.config.clone();
        config.judging.real = tuned.judging.real;
        let workers = threads::workers(bench.device.is_cpu());
        let materials = materials(bench, &config.judging)?;
        let folder = Folder::at(&bench.folder.run(&self.id), CONFIG);
        folder.write(&begun(&folder, &config)?)?;
        let mut journal = folder.journal(ARCHITECTURES)?;
        judge_these(&archs, &config, &materials, &mut journal, workers, bench.interrupt)?;
        let (_, judged) = judged(&folder)?;
        Ok((judged.len() == archs.len()).then(|| serde_json::to_value(judged)).transpose()?)
    }
}
