//! A sample of architectures, judged by all evaluators: the part.

use super::{SAMPLE, TEACHER, begun, judged, materials, steps, teacher_is_there};
use crate::reproduce::part::{Bench, PLAIN_STEP, Part};
use anyhow::Result;
use gtn_cli::config::Config;
use gtn_cli::nas::correlate::{self, CONFIG, CorrelateConfig, Judged, correlate_with};
use gtn_cli::nas::folder::Folder;
use gtn_cli::nas::judging::Judging;
use gtn_cli::threads;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A sample of architectures, judged as `gtn correlate` does it.
pub(crate) struct Correlated {
    pub(crate) config: CorrelateConfig,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Correlation {
    /// What judged, with what was tuned.
    pub(crate) judging: Judging,
    pub(crate) statistics: correlate::Correlation,
    /// Every single judgment.
    pub(crate) architectures: Vec<Judged>,
}

impl Part for Correlated {
    fn id(&self) -> &str {
        SAMPLE
    }

    fn config(&self) -> Result<String> {
        let what = "What is left out here is tuned on the validation split, and told in the result";
        Ok(format!("# {what}.\n{}", self.config.to_toml()?))
    }

    fn takes_up(&self) -> Vec<String> {
        vec![TEACHER.into()]
    }

    fn work(&self) -> f64 {
        PLAIN_STEP * self.config.architectures as f64 * steps(&self.config)
    }

    fn prepare(&self, bench: &Bench<'_>) -> Result<bool> {
        teacher_is_there(bench)
    }

    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
        let workers = threads::workers(bench.device.is_cpu());
        let materials = materials(bench, &self.config.judging)?;
        let folder = Folder::at(&bench.folder.run(SAMPLE), CONFIG);
        let config = begun(&folder, &self.config)?;
        let found = correlate_with(&materials, config, &folder, workers, bench.interrupt)?;
        let Some(statistics) = found else { return Ok(None) };
        let (config, architectures) = judged(&folder)?;
        let found = Correlation { judging: config.judging, statistics, architectures };
        Ok(Some(serde_json::to_value(found)?))
    }
}
