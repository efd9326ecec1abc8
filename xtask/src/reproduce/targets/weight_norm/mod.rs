//! `weight-norm`: how much training depends on its settings, with and without weight normalization.

mod draw;

use super::{Target, settings};
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::{Plot, Report, Table, percent, points};
use crate::reproduce::source::Source;
use crate::reproduce::teaching::{AGAIN, Learned, Taught, run_config};
use anyhow::Result;
use draw::{Drawn, Settings};
use gtn_cli::records::Accuracy;
use gtn_cli::report::plot::{Axis, LinePlot, Point, Series};
use std::fmt::Write;
use toml::{Table as Keys, Value};

/// The target.
pub(super) struct WeightNorm;

/// The setting whose synthetic images are shown.
const SHOWN: usize = 1;

/// Learners with weight normalization, and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normalized,
    Plain,
}

impl Kind {
    const BOTH: [Self; 2] = [Self::Normalized, Self::Plain];

    fn label(self) -> &'static str {
        match self {
            Self::Normalized => "with weight normalization",
            Self::Plain => "without",
        }
    }

    /// The part with this kind of learners under the settings of this number.
    fn part(self, number: usize) -> String {
        match self {
            Self::Normalized => format!("setting{number:02}-weight-norm"),
            Self::Plain => format!("setting{number:02}-plain"),
        }
    }
}

impl Target for WeightNorm {
    fn name(&self) -> &'static str {
        "weight-norm"
    }

    fn measures(&self) -> &'static str {
        "the spread of final test accuracies on MNIST over random hyperparameters, with and without weight normalization of the learners"
    }

    fn published(&self) -> &'static str {
        "final losses of 20 runs each of a hyperparameter search, better and much less spread with weight normalization; as a box plot, without figures"
    }

    fn source(&self, _profile: Profile) -> Source {
        Source::Mnist
    }

    fn settings(&self, profile: Profile) -> &'static str {
        settings!(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        let settings = Settings::read(settings)?;
        let mut parts: Vec<Box<dyn Part>> = Vec::new();
        for (index, drawn) in settings.draw()?.iter().enumerate() {
            for kind in Kind::BOTH {
                let mut set = drawn.table()?;
                let normalized = Value::Boolean(kind == Kind::Normalized);
                set.insert(
                    "learner".into(),
                    Keys::from_iter([("weight_norm".to_owned(), normalized)]).into(),
                );
                let config = run_config(&settings.config, &set, settings.seed, data)?;
                let (id, learners) = (kind.part(index + 1), settings.learners);
                parts.push(Box::new(Taught {
                    id,
                    config,
                    learners,
                    judged: None,
                    sheet: index + 1 == SHOWN,
                    long: false,
                }));
            }
        }
        Ok(parts)
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        let settings = Settings::read(settings)?;
        let drawn = settings.draw()?;
        let of = |kind: Kind| -> Result<Vec<Learned>> {
            (1..=drawn.len()).map(|number| results.get(&kind.part(number))).collect()
        };
        let found = [of(Kind::Normalized)?, of(Kind::Plain)?];
        Ok(Report {
            summary: summary(&found),
            remarks: remarks(&found, &settings),
            plots: vec![plot(&found)],
            csv: vec![("settings.csv", csv(&drawn, &found))],
            sheets: sheets(&found),
            tables: vec![("Settings", every_setting(&drawn, &found))],
        })
    }
}

fn sheets(found: &[Vec<Learned>; 2]) -> Vec<(String, String)> {
    let both = Kind::BOTH.into_iter().zip(found);
    let taught = both.filter(|(_, found)| found[SHOWN - 1].diverged.is_none());
    let named = taught
        .map(|(kind, _)| (kind.part(SHOWN), format!("setting {SHOWN}, learners {}", kind.label())));
    named.collect()
}

/// Of each setting, mean final accuracy of its learners; rising.
fn sorted(found: &[Learned]) -> Vec<f64> {
    let mut means: Vec<f64> = found.iter().map(|learned| learned.last().mean).collect();
    means.sort_by(f64::total_cmp);
    means
}

/// The value below which this share of rising `values` lies, between neighbors in proportion.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * place.fract()
}

fn summary(found: &[Vec<Learned>; 2]) -> Table {
    let mut table = Table::new([
        "final test accuracy over settings",
        "published",
        "median",
        "middle half",
        "worst",
        "best",
        "mean",
        "std",
        "diverged",
    ]);
    for (kind, found) in Kind::BOTH.iter().zip(found) {
        let values = sorted(found);
        let Accuracy { mean, std, n } = Accuracy::of(&values);
        let diverged = found.iter().filter(|learned| learned.diverged.is_some()).count();
        let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
        table.row([
            kind.label().to_owned(),
            "–".into(),
            percent(median),
            format!("{} to {}", percent(low), percent(high)),
            percent(values[0]),
            percent(values[values.len() - 1]),
            percent(mean),
            points(std),
            format!("{diverged} of {n}"),
        ]);
    }
    table
}

fn remarks(found: &[Vec<Learned>; 2], settings: &Settings) -> Vec<String> {
    let learners = settings.learners;
    let mut remarks = vec![
        format!(
            "Every setting is drawn once, from {}, and measured with both kinds of learners, all else being equal.",
            settings.ranges()
        ),
        format!(
            "A setting's accuracy is the mean of {learners} fresh learners after the last step on the whole test split. The generator keeps its weight normalization."
        ),
        "Where a training diverged, its learners count as guessing.".to_owned(),
        AGAIN.to_owned(),
    ];
    for (kind, found) in Kind::BOTH.iter().zip(found) {
        for (index, learned) in found.iter().enumerate() {
            if let Some(place) = &learned.diverged {
                remarks.push(format!("Setting {}, {}: {place}.", index + 1, kind.label()));
            }
        }
    }
    remarks
}

fn plot(found: &[Vec<Learned>; 2]) -> Plot {
    let series = Kind::BOTH.iter().zip(found).map(|(kind, found)| {
        let best_first = sorted(found).into_iter().rev().enumerate();
        let points = best_first.map(|(rank, mean)| Point::new((rank + 1) as f64, mean)).collect();
        Series { label: kind.label().into(), points, ..Series::default() }
    });
    let title = "Final accuracy, setting by setting";
    let plot = LinePlot {
        title: title.into(),
        x: Axis::new("settings, best first"),
        y: Axis::new("test accuracy").percent(),
        series: series.collect(),
    };
    Plot { file: "spread.svg", caption: title.into(), svg: plot.svg(760, 380) }
}

fn every_setting(drawn: &[Drawn], found: &[Vec<Learned>; 2]) -> Table {
    let keys = drawn[0].keys().map(str::to_owned);
    let header = ["setting".to_owned()].into_iter().chain(keys);
    let mut table = Table::new(header.chain(Kind::BOTH.map(|kind| kind.label().to_owned())));
    for (index, drawn) in drawn.iter().enumerate() {
        let accuracies = found.iter().map(|found| match &found[index] {
            learned if learned.diverged.is_some() => "diverged".to_owned(),
            learned => percent(learned.last().mean),
        });
        let number = (index + 1).to_string();
        let values = drawn.values().map(|value| value.to_string());
        table.row([number].into_iter().chain(values).chain(accuracies));
    }
    table
}

fn csv(drawn: &[Drawn], found: &[Vec<Learned>; 2]) -> String {
    let keys = drawn[0].keys().collect::<Vec<_>>().join(",");
    let mut text =
        format!("setting,{keys},weight_norm,mean_test_accuracy,std_of_learners,diverged\n");
    for (index, drawn) in drawn.iter().enumerate() {
        let values = drawn.values().map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        for (kind, found) in Kind::BOTH.iter().zip(found) {
            let (normalized, learned) = (*kind == Kind::Normalized, &found[index]);
            let Accuracy { mean, std, .. } = learned.last();
            let diverged = learned.diverged.is_some();
            let _ = writeln!(text, "{},{values},{normalized},{mean},{std},{diverged}", index + 1);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantiles_lie_between_neighbors() {
        let values = [0.0, 0.2, 0.4, 1.0];
        for (share, expected) in [(0.0, 0.0), (0.5, 0.3), (0.75, 0.55), (1.0, 1.0)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(quantile(&[0.7], 0.25), 0.7);
    }

    #[test]
    fn kinds_differ_in_weight_normalization_alone() {
        let parts = WeightNorm.parts(WeightNorm.settings(Profile::Smoke), "digits").unwrap();
        let [with, without] = [&parts[0], &parts[1]].map(|part| part.config().unwrap());
        assert_ne!(with, without);
        assert_eq!(with.replace("weight_norm = true", "weight_norm = false"), without);
        // Another setting has other numbers.
        assert_ne!(with, parts[2].config().unwrap());
    }

    #[test]
    fn diverged_settings_count_and_are_named() {
        let settings = "
learners = 1
settings = 2
seed = 3
[config]
[ranges.log]
'inner.lr' = [0.01, 1.0]
[ranges.even]
'inner.momentum' = [0.1, 0.9]
";
        let mut results = Results(Default::default());
        for (kind, accuracies) in [(Kind::Normalized, [0.8, 0.9]), (Kind::Plain, [0.1, 0.7])] {
            for (index, accuracy) in accuracies.into_iter().enumerate() {
                let mut value = json!({ "steps": [1], "learners": [[accuracy]] });
                if accuracy == 0.1 {
                    value["diverged"] = "inner loss became non-finite at step 2".into();
                }
                results.0.insert(kind.part(index + 1), value);
            }
        }
        let report = WeightNorm.report(settings, &results).unwrap();
        let table = report.summary.markdown();
        assert!(table.contains("| 85.00 % | 82.50 % to 87.50 % |"), "{table}");
        assert!(table.contains("| 1 of 2 |"), "{table}");
        let remarks = report.remarks.join("\n");
        assert!(remarks.contains("Setting 1, without: inner loss became non-finite"), "{remarks}");
        let csv = &report.csv[0].1;
        assert!(csv.starts_with("setting,inner.lr,inner.momentum,weight_norm,"), "{csv}");
        assert_eq!(csv.lines().count(), 5);
        let (_, every) = &report.tables[0];
        assert!(every.markdown().contains("| 80.00 % | diverged |"));
    }
}
