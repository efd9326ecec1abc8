//! Statistics in words: for people, for spreadsheets.

use super::analysis::{Correlation, Estimate, Match, Row};
use crate::nas::judging::EvaluatorName;
use crate::report::words::{self, count, fine_percent};
use gtn_nas::statistics::Interval;

/// Every row, every number: comma-separated, with a heading.
#[must_use]
pub fn csv(found: &Correlation) -> String {
    let statistics =
        ["spearman", "kendall", "top_half_spearman", "top_half_kendall", "top_recall", "regret"];
    let mut text = String::from("evaluator,steps,seconds,failed");
    for name in statistics {
        text += &format!(",{name},{name}_low,{name}_high");
    }
    text.push('\n');
    for row in &found.rows {
        text += &format!("{},{},{},{}", row.by, row.steps, row.seconds, row.failed);
        let Row { all, top_half, top_recall, regret, .. } = row;
        for Estimate { value, interval } in
            [all.spearman, all.kendall, top_half.spearman, top_half.kendall, *top_recall, *regret]
        {
            let (low, high) = (interval.map(|i| i.low), interval.map(|i| i.high));
            for number in [value, low, high] {
                text += &number.map_or(",".to_owned(), |number| format!(",{number}"));
            }
        }
        text.push('\n');
    }
    text
}

/// The rows as a table for people.
#[must_use]
pub fn rows(found: &Correlation) -> Vec<[String; 8]> {
    let top = format!("top {} found", found.top);
    let heading = [
        "estimate",
        "seconds",
        "Spearman",
        "Kendall τ-b",
        "top half, Spearman",
        "top half, Kendall τ-b",
        &top,
        "regret",
    ];
    let cells = |row: &Row| {
        [
            estimate(row),
            format!("{:.2}", row.seconds),
            number(row.all.spearman),
            number(row.all.kendall),
            number(row.top_half.spearman),
            number(row.top_half.kendall),
            percent(row.top_recall),
            percent(row.regret),
        ]
    };
    std::iter::once(heading.map(str::to_owned)).chain(found.rows.iter().map(cells)).collect()
}

/// What makes an estimate.
fn estimate(row: &Row) -> String {
    let failed = match row.failed {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    let what = match row.by {
        EvaluatorName::Gtn => format!("GTN, {}", count(row.steps, "step")),
        EvaluatorName::Real => format!("real data, {}", count(row.steps, "step")),
        by => by.to_string(),
    };
    what + &failed
}

fn number(Estimate { value, interval }: Estimate) -> String {
    let Some(value) = value else { return "–".into() };
    let interval = interval.map(|Interval { low, high }| format!(" [{low:.2}, {high:.2}]"));
    format!("{value:.2}{}", interval.unwrap_or_default())
}

fn percent(Estimate { value, .. }: Estimate) -> String {
    value.map_or("–".into(), words::percent)
}

/// The same as Markdown, with the sentences below.
#[must_use]
pub fn markdown(found: &Correlation) -> String {
    let line = |cells: &[String; 8]| format!("| {} |\n", cells.join(" | "));
    let mut lines = rows(found).into_iter();
    let heading = lines.next().map(|cells| line(&cells)).unwrap_or_default();
    let body: String = lines.map(|cells| line(&cells)).collect();
    let rule = "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    let sentences: String =
        sentences(found).iter().map(|sentence| format!("\n{sentence}\n")).collect();
    format!("{heading}{rule}{body}{sentences}")
}

/// What the numbers are about, and what steps on synthetic data are worth.
#[must_use]
pub fn sentences(found: &Correlation) -> Vec<String> {
    let truth = &found.truth;
    let reliability = truth.reliability.map(|value| {
        format!(" Two halves of each architecture's trainings agree by Spearman's {value:.2}.")
    });
    let failed = match truth.failed {
        0 => String::new(),
        failed => format!(" Of the trainings, {failed} failed and count as 0 %."),
    };
    let mut sentences = vec![format!(
        "{} architectures of the space {}, against test accuracy after {} steps on real data: {} to {}, {} on average, \
         with a standard deviation of {}.{failed}{} In brackets: 95% intervals over resampled architectures.",
        found.architectures,
        found.space,
        truth.steps,
        fine_percent(truth.min),
        fine_percent(truth.max),
        fine_percent(truth.mean),
        fine_percent(truth.std),
        reliability.unwrap_or_default(),
    )];
    let real = || found.rows.iter().filter(|row| row.by == EvaluatorName::Real).map(|r| r.steps);
    if let (Some(least), Some(most)) = (real().min(), real().max()) {
        sentences.extend(found.matches.iter().map(|matched| worth(matched, least, most)));
    }
    sentences
}

/// `least` and `most` are the steps on real data that were measured.
fn worth(matched: &Match, least: usize, most: usize) -> String {
    let steps = |needed: Option<f64>| match needed {
        None => format!("more than {most}"),
        Some(needed) if needed <= least as f64 => format!("at most {least}"),
        Some(needed) => format!("{needed:.0}"),
    };
    let own = matched.gtn_steps as f64;
    let times = |needed: Option<f64>| match needed {
        None => format!("more than {:.1}", most as f64 / own),
        Some(needed) if needed <= least as f64 => format!("at most {:.1}", needed / own),
        Some(needed) => format!("{:.1}", needed / own),
    };
    format!(
        "After {} on synthetic data, architectures are ranked as well (Spearman's {:.2}) as after {} steps on real data \
         [{}; {}]: {} times as many [{}; {}].",
        count(matched.gtn_steps, "step"),
        matched.spearman,
        steps(matched.real_steps),
        steps(matched.low),
        steps(matched.high),
        times(matched.real_steps),
        times(matched.low),
        times(matched.high),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_said() {
        let matched = Match {
            gtn_steps: 4,
            spearman: 0.5,
            real_steps: Some(60.0),
            low: Some(8.0),
            high: None,
        };
        assert_eq!(
            worth(&matched, 8, 1200),
            "After 4 steps on synthetic data, architectures are ranked as well (Spearman's 0.50) as after 60 steps on \
             real data [at most 8; more than 1200]: \
             15.0 times as many [at most 2.0; more than 300.0]."
        );
    }
}
