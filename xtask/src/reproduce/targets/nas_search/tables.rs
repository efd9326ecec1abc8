//! The table, remarks, plot and CSV.

use super::EVALUATORS;
use super::outcome::{Outcomes, Search};
use super::settings::{Kind, Settings};
use crate::reproduce::report::{Plot, Table, percent, points};
use gtn_cli::nas::judging::EvaluatorName;
use gtn_cli::records::Accuracy;
use gtn_cli::report::plot::{Axis, LinePlot, Point, Series};
use std::fmt::Write;

/// Longer trainings of what random search found.
pub(super) struct Long {
    /// In the settings.
    pub(super) name: &'static str,
    label: &'static str,
    /// Published test errors, for searches by each of [`EVALUATORS`].
    published: [&'static str; 2],
}

pub(super) const LONG: [Long; 2] = [
    Long {
        name: "plain",
        label: "test error after a longer training",
        published: ["3.84 %", "3.88 %"],
    },
    Long { name: "cutout", label: "the same with Cutout", published: ["2.92 %", "3.02 %"] },
];

fn label(Kind { strategy, evaluator }: Kind) -> String {
    match evaluator {
        EvaluatorName::Gtn => format!("{strategy}, GTN"),
        _ => format!("{strategy}, real data"),
    }
}

/// One row for each strategy with each evaluator.
pub(super) fn summary(outcomes: &Outcomes) -> Table {
    let own = ["search", "regret", "std of seeds", "test error", "trials", "steps", "seconds"];
    let long = LONG.iter().flat_map(|long| [long.label, "std of seeds", "published"]);
    let mut table = Table::new(own.into_iter().chain(long));
    for row in &outcomes.rows {
        let Accuracy { mean, std, .. } = row.over_seeds(|search| search.regret);
        let mean_of = |of: fn(&Search) -> f64| row.over_seeds(of).mean;
        let cells = [
            label(row.kind),
            points(mean),
            points(std),
            percent(mean_of(|search| 1.0 - search.accuracy)),
            format!("{:.0}", mean_of(|search| search.found.trials as f64)),
            format!("{:.0}", mean_of(|search| search.found.steps as f64)),
            format!("{:.1}", mean_of(|search| search.found.seconds)),
        ];
        let place = EVALUATORS.iter().position(|&evaluator| evaluator == row.kind.evaluator);
        let long = LONG.iter().flat_map(|Long { name, published, .. }| {
            let published = place.filter(|_| row.kind.is_published()).map(|place| published[place]);
            let none = || "–".to_owned();
            let error = row.long_error(name);
            [
                error.map_or_else(none, |error| percent(error.mean)),
                error.map_or_else(none, |error| points(error.std)),
                published.map_or_else(none, str::to_owned),
            ]
        });
        table.row(cells.into_iter().chain(long));
    }
    table
}

pub(super) fn remarks(settings: &Settings, outcomes: &Outcomes) -> Vec<String> {
    let truth = &outcomes.sample.statistics.truth;
    let architectures = outcomes.sample.statistics.architectures;
    let mut remarks: Vec<String> = settings.shared.remark().into_iter().collect();
    remarks.push(format!(
        "Regret: how much better, in points of test accuracy after {} steps on real data, the best of a sample of {architectures} architectures ({}) is than what a search found; below 0 where the search found a better one. Mean and standard deviation over {} seeds.",
        truth.steps,
        percent(truth.max),
        settings.seeds.len()
    ));
    remarks.push(format!(
        "Blind choice from the sample has a regret of {} on average.",
        points(truth.max - truth.mean)
    ));
    remarks.push("Candidates are judged on the validation split; the test split judges what was found and decides nothing. All searches may spend as many training steps; halving and hyperband spread them over more trials, of some candidates several times, each time with more steps.".into());
    remarks.push("Searches by one strategy with the same seed begin with the same candidates and first weights, whatever they judge by: their differences are to be taken seed by seed.".into());
    for (arch, reason) in &outcomes.failed {
        remarks.push(format!(
            "`{arch}` has no accuracy after a long training, which counts as 0: {reason}."
        ));
    }
    let correlations = outcomes.correlations().map(|(by, steps, value)| {
        let by = if by == EvaluatorName::Gtn { "GTN" } else { "real" };
        format!("{value:.2} after {steps} {by} steps")
    });
    let correlations = correlations.collect::<Vec<_>>().join(", ");
    if !correlations.is_empty() {
        remarks.push(format!(
            "Rank correlation (Spearman) with long trainings in the sample: {correlations}."
        ));
    }
    if let Some(rates) = outcomes.sample.judging.real.rates() {
        remarks.push(format!(
            "Real data: learning rate {:.3} and momentum {}, which do best after {} steps on the validation split, for the sample and for all searches: to do one of them again, add `--set real.lr={} --set real.momentum={}`.",
            rates.lr, rates.momentum, outcomes.sample.judging.tuning.steps, rates.lr, rates.momentum
        ));
    }
    remarks.push("A search again, by the files in `configs/`: `gtn train --config teacher.toml --data DATA --out RUN`, then `gtn search --config PART.toml --run RUN --data DATA --seed SEED`. The longer trainings of what they found are made by `cargo xtask reproduce` alone.".into());
    remarks
}

/// Regrets of all searches by each evaluator.
pub(super) fn plot(outcomes: &Outcomes) -> Plot {
    let series = EVALUATORS.map(|evaluator| {
        let rows = outcomes.rows.iter().filter(|row| row.kind.evaluator == evaluator);
        let mut regrets: Vec<f64> =
            rows.flat_map(|row| &row.searches).map(|search| search.regret).collect();
        regrets.sort_by(f64::total_cmp);
        let points = regrets.iter().enumerate();
        Series {
            label: if evaluator == EvaluatorName::Gtn { "GTN" } else { "real data" }.into(),
            points: points.map(|(rank, &regret)| Point::new((rank + 1) as f64, regret)).collect(),
            ..Series::default()
        }
    });
    let title = "Regret, search by search";
    let plot = LinePlot {
        title: title.into(),
        x: Axis::new("searches of all strategies, best first"),
        y: Axis::new("test accuracy below the best of the sample").percent(),
        series: series.into(),
    };
    Plot { file: "regret.svg", caption: title.into(), svg: plot.svg(760, 380) }
}

pub(super) fn csv(outcomes: &Outcomes) -> String {
    let mut text = String::from(
        "strategy,evaluator,seed,trials,steps,seconds,found,score,test_accuracy,regret",
    );
    for Long { name, .. } in LONG {
        let _ = write!(text, ",long_{name}");
    }
    text.push('\n');
    for row in &outcomes.rows {
        let Kind { strategy, evaluator } = row.kind;
        for search in &row.searches {
            let found = &search.found;
            let _ = write!(
                text,
                "{strategy},{evaluator},{},{},{},{},\"{}\",{},{},{}",
                found.seed,
                found.trials,
                found.steps,
                found.seconds,
                found.winner,
                found.score,
                search.accuracy,
                search.regret
            );
            for Long { name, .. } in LONG {
                let long = search.long.get(name).map(|accuracy| accuracy.to_string());
                let _ = write!(text, ",{}", long.unwrap_or_default());
            }
            text.push('\n');
        }
    }
    text
}
