//! From settings to parts.

use super::real::Real;
use super::taught::Taught;
use crate::reproduce::part::Part;
use anyhow::{Context, Result, ensure};
use gtn_cli::config::{Config, Layer, Override, RunConfig};
use gtn_cli::learner::Learner;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Table;

/// One row of a target's table: a way to teach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its key among `runs` in the settings, and the beginning of its parts' names.
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    /// The published figure, where there is one.
    pub(super) published: Option<&'static str>,
    pub(super) kind: Kind,
}

/// By whom learners are taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Teacher,
    RealData,
}

impl Row {
    /// Learners taught by a teacher that is trained for it.
    pub(crate) const fn teacher(id: &'static str, label: &'static str) -> Self {
        Self { id, label, published: None, kind: Kind::Teacher }
    }

    /// Learners taught by real data, tuned on the validation split.
    pub(crate) const fn real_data(id: &'static str, label: &'static str) -> Self {
        Self { id, label, published: None, kind: Kind::RealData }
    }

    /// The same row with its published figure, and what it is of.
    pub(crate) const fn published(self, figure: &'static str) -> Self {
        Self { published: Some(figure), ..self }
    }
}

/// How large a target of rows is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// What the measurement takes; for the list of targets.
    #[serde(rename = "cost")]
    _cost: Option<String>,
    /// Fresh learners a part.
    learners: usize,
    /// The configuration that all runs share.
    config: Table,
    /// What is particular to each row.
    pub(super) runs: BTreeMap<String, Run>,
}

/// What is particular to a row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// A part for each; none where a profile leaves the row out.
    pub(super) seeds: Vec<u64>,
    /// Laid over the configuration that all runs share.
    #[serde(default)]
    set: Table,
    /// The learners that its teachers are judged by, as `gtn eval --learner` takes them, where they are not their own.
    pub(super) judged: Option<String>,
    /// Whether a teacher takes hours, so that it is measured only where that is asked for.
    #[serde(default)]
    long: bool,
}

impl Run {
    /// Who is judged, normalized like the learners of `config`; `None` where it is those.
    fn judge(&self, config: &RunConfig) -> Result<Option<Learner>> {
        let Some(spec) = &self.judged else { return Ok(None) };
        let learner: Learner = spec.parse().with_context(|| format!("judged = \"{spec}\""))?;
        Ok(Some(learner.normalized(config.recipe.learner.normalization())))
    }

    /// Whether its learners, their batches and their rule are those of the configuration that all runs share.
    pub(super) fn has_the_shared_learner(&self) -> bool {
        !(self.set.contains_key("learner") || self.set.contains_key("inner"))
    }

    /// The seed whose synthetic images are shown.
    pub(super) fn shown(&self) -> Option<u64> {
        self.seeds.first().copied()
    }
}

impl Settings {
    pub(super) fn read(settings: &str) -> Result<Self> {
        toml::from_str(settings).context("settings of rows")
    }

    pub(super) fn run(&self, row: &Row) -> Result<&Run> {
        self.runs.get(row.id).with_context(|| format!("there is no [runs.{}]", row.id))
    }
}

/// The name of the part of a row that has this seed.
pub(super) fn part(row: &Row, seed: u64) -> String {
    format!("{}-seed{seed}", row.id)
}

/// The parts of all rows, in their order, on a data set that configurations call `data`.
///
/// # Errors
/// When the settings have no such rows, or others, or cannot be.
pub(crate) fn parts(rows: &[Row], settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
    let settings = Settings::read(settings)?;
    for id in settings.runs.keys() {
        ensure!(rows.iter().any(|row| row.id == id), "there is no row for [runs.{id}]");
    }
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    for row in rows {
        let run = settings.run(row)?;
        let config_of = |seed| run_config(&settings.config, &run.set, seed, data);
        if run.seeds.is_empty() {
            // A row that is left out must be sound, too: somebody may let it in.
            run.judge(&config_of(1)?)?;
        }
        for &seed in &run.seeds {
            let config = config_of(seed)?;
            let (id, learners) = (part(row, seed), settings.learners);
            parts.push(match row.kind {
                Kind::Teacher => {
                    let sheet = run.shown() == Some(seed);
                    let judged = run.judge(&config)?;
                    Box::new(Taught { id, config, learners, judged, sheet, long: run.long })
                }
                Kind::RealData => Box::new(Real { id, config, learners }),
            });
        }
    }
    ensure!(!parts.is_empty(), "no row has a seed");
    Ok(parts)
}

/// A shared configuration, and what is particular to one run.
///
/// # Errors
/// When a key is unknown or out of range.
pub(crate) fn run_config(
    shared: &Table,
    particular: &Table,
    seed: u64,
    data: &str,
) -> Result<RunConfig> {
    let named = [Override::new("seed", i64::try_from(seed)?), Override::new("data.path", data)];
    RunConfig::load(&[
        Layer::new("[config]", shared.clone()),
        Layer::new("set", particular.clone()),
        Layer::overrides(&named)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Row; 1] = [Row::teacher("gtn", "GTN")];

    fn planned(run: &str) -> Result<String> {
        let settings = format!(
            "learners = 2\n[config]\nlearner = {{ weight_norm = false }}\n[runs.gtn]\nseeds = [1]\n{run}"
        );
        parts(&ROWS, &settings, "DATA")?[0].config()
    }

    #[test]
    fn a_part_says_who_is_judged() {
        let own = planned("").unwrap();
        assert!(own.starts_with("# Taught by a teacher; 2 fresh learners, "), "{own}");
        let other = planned("judged = 'conv2_fc:16,32,64'").unwrap();
        let (line, rest) = other.split_once('\n').unwrap();
        let said = "# Learners conv2_fc:16,32,64, taught by a teacher; 2 fresh learners, ";
        assert!(line.starts_with(said), "{line}");
        assert_eq!(rest, own.split_once('\n').unwrap().1, "the teacher is the same");
        let error = format!("{:#}", planned("judged = 'conv3'").unwrap_err());
        assert!(error.starts_with("judged = \"conv3\": "), "{error}");
    }
}
