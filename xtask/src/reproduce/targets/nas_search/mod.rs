//! `nas-search`: what is found when candidates are judged on synthetic data, and when they are judged on real data.

mod outcome;
mod settings;
mod tables;

use super::{Target, settings};
use crate::reproduce::nas;
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::Report;
use crate::reproduce::source::Source;
use anyhow::Result;
use gtn_cli::nas::judging::EvaluatorName;
use outcome::Outcomes;
use settings::Settings;

/// Evaluators whose searches are compared.
const EVALUATORS: [EvaluatorName; 2] = [EvaluatorName::Gtn, EvaluatorName::Real];
/// The part with a long training of every architecture that was found.
const WINNERS: &str = "winners";

/// The target.
pub(super) struct NasSearch;

impl Target for NasSearch {
    fn name(&self) -> &'static str {
        "nas-search"
    }

    fn measures(&self) -> &'static str {
        "what searches find that judge candidates on synthetic and on real data at the same budget, by six strategies; and how good what random search finds is after a long training"
    }

    fn published(&self) -> &'static str {
        "random search on CIFAR-10: 3.84 % test error with synthetic data, 3.88 % with real data; with Cutout 2.92 % and 3.02 %"
    }

    fn source(&self, profile: Profile) -> Source {
        nas::source(profile)
    }

    fn settings(&self, profile: Profile) -> &'static str {
        settings!(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        Settings::read(settings)?.parts(data)
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        let settings = Settings::read(settings)?;
        let outcomes = Outcomes::of(&settings, results)?;
        Ok(Report {
            summary: tables::summary(&outcomes),
            remarks: tables::remarks(&settings, &outcomes),
            plots: vec![tables::plot(&outcomes)],
            csv: vec![("searches.csv", tables::csv(&outcomes))],
            sheets: vec![(nas::TEACHER.into(), "What the teacher shows".into())],
            tables: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
