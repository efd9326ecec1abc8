//! What was found, and how good it is.

use super::WINNERS;
use super::settings::{Kind, Settings, long};
use crate::reproduce::nas::{Correlation, Found, SAMPLE};
use crate::reproduce::part::Results;
use anyhow::{Context, Result};
use gtn_cli::nas::correlate::Judged;
use gtn_cli::nas::judging::EvaluatorName;
use gtn_cli::records::Accuracy;
use gtn_nas::trial;
use std::collections::BTreeMap;

/// All searches, and what they are measured by.
pub(super) struct Outcomes {
    pub(super) sample: Correlation,
    pub(super) rows: Vec<Outcome>,
    /// Of what was found: what has no accuracy after a long training, and why.
    pub(super) failed: BTreeMap<String, String>,
}

/// The searches of one kind.
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) searches: Vec<Search>,
}

/// A search.
pub(super) struct Search {
    pub(super) found: Found,
    /// Test accuracy of what was found, trained as the sample.
    pub(super) accuracy: f64,
    /// How much better the best of the sample is: below 0 where none is as good as what was found.
    pub(super) regret: f64,
    /// Test accuracies after longer trainings, by their names.
    pub(super) long: BTreeMap<String, f64>,
}

impl Outcomes {
    pub(super) fn of(settings: &Settings, results: &Results) -> Result<Self> {
        let sample: Correlation = results.get(SAMPLE)?;
        let mut failed = BTreeMap::new();
        let winners = accuracies(results, WINNERS, &mut failed)?;
        let mut longer = BTreeMap::new();
        for name in settings.long.keys() {
            longer.insert(name.clone(), accuracies(results, &long(name), &mut failed)?);
        }
        let search = |kind: Kind, found: Found| {
            let accuracy = *winners
                .get(&found.winner)
                .with_context(|| format!("{} was not trained for long", found.winner))?;
            let long = longer.iter().filter(|_| kind.is_published());
            let long = long.filter_map(|(name, accuracies)| {
                Some((name.clone(), *accuracies.get(&found.winner)?))
            });
            let long = long.collect();
            let regret = sample.statistics.truth.max - accuracy;
            Ok(Search { accuracy, regret, long, found })
        };
        let mut rows = Vec::new();
        for kind in Kind::all() {
            let found: Vec<Found> = results.get(&kind.part())?;
            let searches = found.into_iter().map(|found| search(kind, found));
            rows.push(Outcome { kind, searches: searches.collect::<Result<_>>()? });
        }
        Ok(Self { sample, rows, failed })
    }

    /// Spearman's correlation with the truth of what searches judge by, in the sample; its steps with it.
    pub(super) fn correlations(&self) -> impl Iterator<Item = (EvaluatorName, usize, f64)> {
        let rows = self.sample.statistics.rows.iter();
        let trained = rows.filter(|row| row.steps > 0);
        trained.filter_map(|row| Some((row.by, row.steps, row.all.spearman.value?)))
    }
}

impl Outcome {
    /// Mean and standard deviation over seeds.
    pub(super) fn over_seeds(&self, of: impl Fn(&Search) -> f64) -> Accuracy {
        Accuracy::of(&self.searches.iter().map(of).collect::<Vec<_>>())
    }

    /// Test errors after longer trainings of this name; `None` where none of them was.
    pub(super) fn long_error(&self, name: &str) -> Option<Accuracy> {
        let errors: Option<Vec<f64>> =
            self.searches.iter().map(|search| Some(1.0 - search.long.get(name)?)).collect();
        errors.map(|errors| Accuracy::of(&errors))
    }
}

/// Test accuracy of each architecture of a part with trainings. A network that has none counts as 0, as in the sample; that goes to `failed`.
fn accuracies(
    results: &Results,
    part: &str,
    failed: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, f64>> {
    let mut accuracies = BTreeMap::new();
    for judged in results.get::<Vec<Judged>>(part)? {
        let first = judged.measured.first().context("a long training measured nothing")?;
        let accuracy = judged.accuracy(first.measurement.steps, |_| true);
        for one in &judged.measured {
            if let trial::Outcome::Failed(reason) = &one.measurement.outcome {
                failed.insert(judged.arch.clone(), reason.clone());
            }
        }
        accuracies.insert(judged.arch, accuracy);
    }
    Ok(accuracies)
}
