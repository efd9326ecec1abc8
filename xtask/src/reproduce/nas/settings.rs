//! What the settings of targets about architectures share.

use super::{Correlated, SAMPLE, TEACHER};
use crate::reproduce::teaching::{Taught, run_config};
use anyhow::Result;
use gtn_cli::config::{Config, Layer};
use gtn_cli::nas::correlate::CorrelateConfig;
use serde::Deserialize;
use toml::Table;

/// A teacher, and a sample of architectures.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    /// What stands in for what was published.
    remark: Option<String>,
    /// Of the teacher and of the sample.
    seed: u64,
    /// Fresh learners by which the teacher is tested.
    learners: usize,
    /// A configuration of `gtn train`.
    teacher: Table,
    /// A configuration of `gtn correlate`.
    sample: Table,
}

impl Settings {
    /// What stands in for what was published, if something does.
    pub(crate) fn remark(&self) -> Option<String> {
        self.remark.clone()
    }

    /// The teacher, on a data set that configurations call `data`.
    ///
    /// # Errors
    /// When a key is unknown or out of range.
    pub(crate) fn teacher(&self, data: &str) -> Result<Taught> {
        let config = run_config(&self.teacher, &Table::new(), self.seed, data)?;
        Ok(Taught {
            id: TEACHER.into(),
            config,
            learners: self.learners,
            judged: None,
            sheet: true,
            long: false,
        })
    }

    /// The sample.
    ///
    /// # Errors
    /// When a key is unknown or out of range.
    pub(crate) fn sample(&self, data: &str) -> Result<Correlated> {
        Ok(Correlated { config: self.sample_with(&Table::new(), data)? })
    }

    /// How a sample is judged if this is laid over what the settings say.
    ///
    /// # Errors
    /// When a key is unknown or out of range.
    pub(crate) fn sample_with(&self, particular: &Table, data: &str) -> Result<CorrelateConfig> {
        let layers = [self.sample.clone(), particular.clone()].map(|keys| Layer::new(SAMPLE, keys));
        let mut config = CorrelateConfig::load(&layers)?;
        config.seed = self.seed;
        // By the names that results are to show; both are at hand when they are needed.
        config.judging.run = Some(format!("runs/{TEACHER}"));
        config.judging.data = Some(data.to_owned());
        Ok(config)
    }
}
