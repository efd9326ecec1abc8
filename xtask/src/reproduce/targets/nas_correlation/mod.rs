//! `nas-correlation`: how far a few steps on synthetic data can be trusted to rank architectures.

mod figures;

use super::{Target, settings};
use crate::reproduce::nas::{self, Correlation, SAMPLE, Settings, TEACHER};
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::{Plot, Report, Table, percent};
use crate::reproduce::source::Source;
use crate::reproduce::teaching::Learned;
use anyhow::Result;
use gtn_cli::nas::correlate::{self, Judged, rows, sentences};
use gtn_cli::report::figures as plots;
use std::fmt::Write;

/// The target.
pub(super) struct NasCorrelation;

impl Target for NasCorrelation {
    fn name(&self) -> &'static str {
        "nas-correlation"
    }

    fn measures(&self) -> &'static str {
        "rank correlation of architectures after a few steps, on synthetic and on real data, with long trainings; and how many steps on real data it takes to rank as well"
    }

    fn published(&self) -> &'static str {
        "CIFAR-10 architectures ranked after 128 synthetic steps as well as after 1,200 real ones (9 times as many); rank correlation with long trainings 0.56 among the better half"
    }

    fn source(&self, profile: Profile) -> Source {
        nas::source(profile)
    }

    fn settings(&self, profile: Profile) -> &'static str {
        settings!(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        let settings: Settings = toml::from_str(settings)?;
        Ok(vec![Box::new(settings.teacher(data)?), Box::new(settings.sample(data)?)])
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        let settings: Settings = toml::from_str(settings)?;
        let found: Correlation = results.get(SAMPLE)?;
        let statistics = &found.statistics;
        let plot = |file, plot: gtn_cli::report::plot::LinePlot| Plot {
            file,
            caption: format!("Rank correlation by steps: {}", plot.title.to_lowercase()),
            svg: plot.svg(760, 420),
        };
        let half = plots::correlation_of_the_better_half(statistics);
        Ok(Report {
            summary: figures::summary(statistics),
            remarks: remarks(&settings, &found, &results.get(TEACHER)?),
            plots: vec![
                plot("correlation.svg", plots::correlation(statistics, |row| &row.all)),
                plot("better-half.svg", half),
            ],
            csv: vec![
                ("correlation.csv", correlate::csv(statistics)),
                ("architectures.csv", csv(&found.architectures)),
            ],
            sheets: vec![(TEACHER.into(), "What the teacher shows".into())],
            tables: vec![("Rank correlation by evaluator and steps", every_row(statistics))],
        })
    }
}

fn remarks(settings: &Settings, found: &Correlation, teacher: &Learned) -> Vec<String> {
    let mut remarks: Vec<String> = settings.remark().into_iter().collect();
    remarks.extend(sentences(&found.statistics));
    remarks.push(
        "The better half: by the estimate, of whatever architectures it ranks higher.".into(),
    );
    remarks.push(format!(
        "Learners of the teacher reach {} on the test split.",
        percent(teacher.last().mean)
    ));
    if let Some(rates) = found.judging.real.rates() {
        remarks.push(format!(
            "Real data: learning rate {:.3} and momentum {}, which do best after {} steps on the validation split, for any number of steps.",
            rates.lr, rates.momentum, found.judging.tuning.steps
        ));
    }
    remarks.push(
        "Again, by the files in `configs/`: `gtn train --config teacher.toml --data DATA --out RUN`, then `gtn correlate --config sample.toml --run RUN --data DATA`."
            .into(),
    );
    remarks
}

fn every_row(statistics: &correlate::Correlation) -> Table {
    let mut lines = rows(statistics).into_iter();
    let mut table = Table::new(lines.next().unwrap_or_default());
    lines.for_each(|cells| table.row(cells));
    table
}

fn csv(architectures: &[Judged]) -> String {
    let mut text = String::from("number,architecture,evaluator,network,steps,score,seconds\n");
    for judged in architectures {
        for one in &judged.measured {
            let measured = &one.measurement;
            let _ = writeln!(
                text,
                "{},\"{}\",{},{},{},{},{}",
                judged.number,
                judged.arch,
                one.by,
                one.learner,
                measured.steps,
                measured.score().map_or(String::new(), |score| score.to_string()),
                measured.seconds
            );
        }
    }
    text
}
