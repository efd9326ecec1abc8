//! Accuracies by step, row beside row.

use super::learned::Learned;
use super::plan::{Kind, Row, Settings, part};
use crate::reproduce::part::Results;
use crate::reproduce::report::{Plot, Report, Table, percent, points};
use anyhow::{Context, Result, ensure};
use gtn_cli::comparison::at_mark;
use gtn_cli::records::Accuracy;
use gtn_cli::report::plot::{Axis, LinePlot, Point, Scale, Series};
use std::fmt::Write;

/// What the parts of one row found that are done, with their seeds; at least one.
struct Found {
    row: Row,
    parts: Vec<(u64, Learned)>,
}

impl Found {
    /// Of all learners of all parts.
    fn at(&self, mark: usize) -> Accuracy {
        at_mark(&self.all(), mark)
    }

    fn all(&self) -> Vec<Vec<f64>> {
        self.parts.iter().flat_map(|(_, learned)| learned.learners.clone()).collect()
    }

    /// The standard deviation of learners around the mean of their part, where any part has several: what differs
    /// between parts is not in it.
    fn between_learners(&self, mark: usize) -> Option<f64> {
        let parts = self.parts.iter().map(|(_, learned)| at_mark(&learned.learners, mark));
        let several = parts.filter(|part| part.n > 1);
        let (squares, free) = several.fold((0.0, 0), |(squares, free), part| {
            (squares + part.std.powi(2) * (part.n - 1) as f64, free + part.n - 1)
        });
        (free > 0).then(|| (squares / free as f64).sqrt())
    }

    /// Of the means of parts, where there are several.
    fn between_parts(&self) -> Option<f64> {
        let means: Vec<f64> = self.parts.iter().map(|(_, learned)| learned.last().mean).collect();
        (means.len() > 1).then(|| Accuracy::of(&means).std)
    }
}

/// How a part can be measured without this program.
pub(crate) const AGAIN: &str = "A single training again: `gtn train --config PART.toml --data DATA --out RUN` with a part's file in `configs/`, then `gtn eval RUN --learners N`, which also tunes and judges real data; on the way to the last step it judges by 2,000 images only.";

/// Tables, plot and CSV of these rows, as far as they are done; `title` stands above the plot.
///
/// # Errors
/// When there are no results, or they are of another form.
pub(crate) fn report(
    title: &str,
    rows: &[Row],
    settings: &str,
    results: &Results,
) -> Result<Report> {
    let settings = Settings::read(settings)?;
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for &row in rows {
        let seeds = &settings.run(&row)?.seeds;
        if seeds.is_empty() {
            left_out.push(row.label);
            continue;
        }
        let mut parts = Vec::new();
        for &seed in seeds {
            parts.extend(results.find(&part(&row, seed))?.map(|learned| (seed, learned)));
        }
        if !parts.is_empty() {
            found.push(Found { row, parts });
        }
    }
    let steps = found.first().and_then(|found| found.parts.first());
    let steps = &steps.context("no row has results")?.1.steps;
    let parts = || found.iter().flat_map(|found| &found.parts);
    ensure!(parts().all(|(_, learned)| learned.steps == *steps), "rows of different steps");
    let of_teachers = found.iter().filter(|found| found.row.kind == Kind::Teacher);
    let sheets = of_teachers.filter_map(|found| {
        let shown = settings.run(&found.row).ok()?.shown()?;
        let (seed, first) = found.parts.iter().find(|(seed, _)| *seed == shown)?;
        let label = format!("{}, seed {seed}", found.row.label);
        first.diverged.is_none().then(|| (part(&found.row, *seed), label))
    });
    Ok(Report {
        summary: table(&found, steps),
        remarks: remarks(&found, &left_out, &settings)?,
        plots: vec![plot(title, &found, steps)],
        csv: vec![("accuracy.csv", csv(&found, steps))],
        sheets: sheets.collect(),
        tables: Vec::new(),
    })
}

/// The last step; and half and a quarter of it, where learners were judged then.
fn table(found: &[Found], steps: &[usize]) -> Table {
    let last = steps.len() - 1;
    let earlier: Vec<usize> = [2, 4]
        .into_iter()
        .filter_map(|share| steps.iter().position(|step| step * share == steps[last]))
        .collect();
    let header = [
        format!("test accuracy after {} steps", steps[last]),
        "published".into(),
        "here".into(),
        "std of learners".into(),
        "std of seeds".into(),
        "learners".into(),
    ];
    let header = header.into_iter();
    let mut table =
        Table::new(header.chain(earlier.iter().map(|&mark| format!("{} steps", steps[mark]))));
    let or_none = |text: Option<String>| text.unwrap_or("–".into());
    for found in found {
        let Accuracy { mean, n, .. } = found.at(last);
        let cells = [
            found.row.label.to_owned(),
            or_none(found.row.published.map(str::to_owned)),
            percent(mean),
            or_none(found.between_learners(last).map(points)),
            or_none(found.between_parts().map(points)),
            n.to_string(),
        ];
        let earlier = earlier.iter().map(|&mark| percent(found.at(mark).mean));
        table.row(cells.into_iter().chain(earlier));
    }
    table
}

fn remarks(found: &[Found], left_out: &[&str], settings: &Settings) -> Result<Vec<String>> {
    let mut alike = Vec::new();
    for found in found {
        if settings.run(&found.row)?.has_the_shared_learner() {
            alike.push(found);
        }
    }
    let last = |found: &Found| found.at(found.parts[0].1.steps.len() - 1).mean;
    alike.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let names: Vec<_> = alike.iter().map(|found| found.row.label).collect();
    let mut remarks = vec![format!(
        "From best to worst{}: {}.",
        if alike.len() < found.len() {
            ", of the rows with the same learner and batches"
        } else {
            ""
        },
        names.join("; ")
    )];
    if !left_out.is_empty() {
        remarks.push(format!("Not measured in this profile: {}.", left_out.join("; ")));
    }
    remarks.extend([
        "Mean over fresh learners of all seeds; a seed is a training of the teacher. The first standard deviation is that of learners around the mean of their seed, the second that of these means; bands in the plot are one standard deviation of all learners of a row. Judged by the whole test split, by which no rate, length or checkpoint is chosen.".into(),
        AGAIN.into(),
    ]);
    if found.iter().any(|found| found.row.kind == Kind::RealData) {
        remarks.push("Learning rate and momentum for real data are those for the last step. After fewer steps others might do better, which is not measured.".into());
    }
    for Found { row, parts } in found {
        if let Some(judged) = &settings.run(row)?.judged {
            remarks.push(format!(
                "{}: judged are learners `{judged}`, as by `gtn eval RUN --learner {judged}`.",
                row.label
            ));
        }
        for (seed, learned) in parts {
            if let Some(rates) = learned.tuned {
                remarks.push(format!(
                    "{}, seed {seed}: learning rate {:.3} and momentum {}, which did best on the validation split.",
                    row.label, rates.lr, rates.momentum
                ));
            }
            if let Some(place) = &learned.diverged {
                remarks.push(format!(
                    "{}, seed {seed}: the training diverged ({place}), and its learners count as guessing.",
                    row.label
                ));
            }
        }
    }
    Ok(remarks)
}

fn plot(title: &str, found: &[Found], steps: &[usize]) -> Plot {
    let series = found.iter().map(|found| {
        let points = steps.iter().enumerate().map(|(mark, &step)| {
            let Accuracy { mean, std, .. } = found.at(mark);
            Point::new(step as f64, mean).between((mean - std).max(0.0), (mean + std).min(1.0))
        });
        Series { label: found.row.label.into(), points: points.collect(), ..Series::default() }
    });
    let plot = LinePlot {
        title: title.into(),
        x: Axis::new("optimizer steps of the learner").scale(Scale::Log2),
        y: Axis::new("test accuracy").percent(),
        series: series.collect(),
    };
    Plot { file: "accuracy.svg", caption: title.into(), svg: plot.svg(760, 380) }
}

fn csv(found: &[Found], steps: &[usize]) -> String {
    let mut text = String::from("row,seed,learner,step,test_accuracy\n");
    for Found { row, parts } in found {
        for (seed, learned) in parts {
            for (learner, accuracies) in learned.learners.iter().enumerate() {
                for (step, accuracy) in steps.iter().zip(accuracies) {
                    let _ = writeln!(text, "{},{seed},{},{step},{accuracy}", row.id, learner + 1);
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROWS: [Row; 2] =
        [Row::real_data("real", "real data"), Row::teacher("gtn", "GTN").published("98.9 %")];

    const SETTINGS: &str = "
learners = 2
[config]
[runs.real]
seeds = [1]
[runs.gtn]
seeds = [1, 2]
";

    fn results() -> Results {
        let steps = [1, 2, 4];
        let tuned = json!({ "lr": 0.1, "momentum": 0.5 });
        let parts = [
            (
                "real-seed1",
                json!({ "steps": steps, "learners": [[0.1, 0.2, 0.5], [0.1, 0.2, 0.7]], "tuned": tuned }),
            ),
            (
                "gtn-seed1",
                json!({ "steps": steps, "learners": [[0.2, 0.5, 0.8], [0.2, 0.5, 1.0]] }),
            ),
            (
                "gtn-seed2",
                json!({ "steps": steps, "learners": [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]], "diverged": "step 3" }),
            ),
        ];
        Results(parts.map(|(id, value)| (id.to_owned(), value)).into())
    }

    #[test]
    fn figures_stand_beside_published_ones() {
        let report = report("Accuracy", &ROWS, SETTINGS, &results()).unwrap();
        let table = report.summary.markdown();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[0],
            "| test accuracy after 4 steps | published | here | std of learners | std of seeds | learners | 2 steps | 1 steps |"
        );
        assert_eq!(lines[2], "| real data | – | 60.00 % | 14.14 | – | 2 | 20.00 % | 10.00 % |");
        assert_eq!(lines[3], "| GTN | 98.9 % | 50.00 % | 10.00 | 56.57 | 4 | 30.00 % | 15.00 % |");
        let remarks = report.remarks.join("\n");
        assert!(remarks.starts_with("From best to worst: real data; GTN."), "{remarks}");
        let tuned = "real data, seed 1: learning rate 0.100 and momentum 0.5";
        assert!(remarks.contains(tuned), "{remarks}");
        assert!(remarks.contains("GTN, seed 2: the training diverged (step 3)"), "{remarks}");
        assert_eq!(report.sheets, [("gtn-seed1".to_owned(), "GTN, seed 1".to_owned())]);
        let (file, csv) = &report.csv[0];
        assert_eq!((*file, csv.lines().count()), ("accuracy.csv", 1 + 3 * 6));
        assert!(csv.contains("\ngtn,1,2,4,1\n"), "{csv}");
    }

    #[test]
    fn rows_are_told_as_far_as_they_are_done() {
        let mut results = results();
        results.0.remove("gtn-seed1");
        let early = report("Accuracy", &ROWS, SETTINGS, &results).unwrap();
        let table = early.summary.markdown();
        assert!(table.contains("| GTN | 98.9 % | 10.00 % | 0.00 | – | 2 |"), "{table}");
        assert_eq!(early.sheets, [], "only the first seed has one");
        results.0.remove("gtn-seed2");
        let early = report("Accuracy", &ROWS, SETTINGS, &results).unwrap();
        assert_eq!(early.summary.markdown().lines().count(), 3);
        assert_eq!(early.remarks[0], "From best to worst: real data.");
    }

    #[test]
    fn a_row_without_seeds_is_said_to_be_left_out() {
        let settings = SETTINGS.replace("[1, 2]", "[]");
        let report = report("Accuracy", &ROWS, &settings, &results()).unwrap();
        assert_eq!(report.summary.markdown().lines().count(), 3);
        assert_eq!(report.remarks[1], "Not measured in this profile: GTN.");
    }
}
