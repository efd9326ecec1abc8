//! The published figures beside ours.

use crate::reproduce::report::Table;
use crate::reproduce::source::thousands;
use gtn_cli::nas::correlate::{Correlation, Estimate, Match, Row};
use gtn_cli::nas::judging::EvaluatorName;

const NONE: &str = "–";

/// Rank correlations after the last step on synthetic data, and what these are worth in steps on real data.
pub(super) fn summary(found: &Correlation) -> Table {
    let last = |by| found.rows.iter().filter(move |row| row.by == by).max_by_key(|row| row.steps);
    let mut table = Table::new(["after the last step", "published", "here", "95% interval"]);
    if let Some(gtn) = last(EvaluatorName::Gtn) {
        let steps = gtn.steps;
        table.row(rank(
            format!("rank correlation (Spearman), {steps} GTN steps"),
            NONE,
            gtn.all.spearman,
        ));
        table.row(rank("the same, better half".into(), "0.56", gtn.top_half.spearman));
    }
    if let Some(real) = last(EvaluatorName::Real) {
        let steps = thousands(real.steps);
        table.row(rank(format!("rank correlation, {steps} real steps"), NONE, real.all.spearman));
        table.row(rank("the same, better half".into(), NONE, real.top_half.spearman));
    }
    let proxies = found.rows.iter().filter(|row| matches!(row.by, EvaluatorName::Proxy(_)));
    let value = |row: &&Row| row.all.spearman.value.unwrap_or(f64::NEG_INFINITY);
    if let Some(best) = proxies.max_by(|a, b| value(a).total_cmp(&value(b))) {
        let label = format!("rank correlation without training: {}, the best of its kind", best.by);
        table.row(rank(label, NONE, best.all.spearman));
    }
    if let Some(matched) = found.matches.iter().max_by_key(|matched| matched.gtn_steps) {
        worth(&mut table, matched, found);
    }
    table
}

fn rank(label: String, published: &str, Estimate { value, interval }: Estimate) -> [String; 4] {
    let interval = interval.map(|found| format!("{:.2} to {:.2}", found.low, found.high));
    let or_none = |text: Option<String>| text.unwrap_or(NONE.into());
    [label, published.into(), or_none(value.map(|value| format!("{value:.2}"))), or_none(interval)]
}

/// The smallest number of steps on real data that ranks as well.
fn worth(table: &mut Table, matched: &Match, found: &Correlation) {
    let real = || found.rows.iter().filter(|row| row.by == EvaluatorName::Real).map(|r| r.steps);
    let (least, most) = (real().min().unwrap_or(0), real().max().unwrap_or(0));
    // What lies outside of what was measured is told by its bound.
    let words = |steps: Option<f64>, number: &dyn Fn(f64) -> String| match steps {
        None => format!("above {} (not reached by {} steps)", number(most as f64), thousands(most)),
        Some(steps) if steps <= least as f64 => format!("at most {}", number(steps)),
        Some(steps) => number(steps),
    };
    let whole = |steps: f64| thousands(steps.round() as usize);
    let times = |steps: f64| format!("{:.1}", steps / matched.gtn_steps as f64);
    for (label, published, number) in [
        ("real steps for the same rank correlation", "1,200", &whole as &dyn Fn(f64) -> String),
        ("real steps for each GTN step", "9", &times),
    ] {
        let Match { low, high, real_steps, .. } = *matched;
        let interval = format!("{} to {}", words(low, number), words(high, number));
        table.row([label.to_owned(), published.into(), words(real_steps, number), interval]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn row(by: &str, steps: usize, spearman: f64) -> Value {
        let of = |value: f64| json!({ "value": value, "interval": { "low": value - 0.1, "high": value + 0.1 } });
        let agreement = json!({ "spearman": of(spearman), "kendall": of(spearman - 0.2) });
        json!({
            "by": by, "steps": steps, "seconds": 1.5, "failed": 0, "all": agreement, "top_half": agreement,
            "top_recall": of(0.4), "regret": of(0.2),
        })
    }

    fn found(real_steps: Option<f64>, low: f64) -> Correlation {
        let matched = |gtn_steps: usize, real_steps| {
            json!({
                "gtn_steps": gtn_steps, "spearman": 0.6, "real_steps": real_steps, "low": low, "high": null,
            })
        };
        let found = json!({
            "space": "macro", "architectures": 40, "top": 5,
            "truth": { "steps": 600, "seconds": 9.0, "failed": 0, "mean": 0.9, "std": 0.1, "min": 0.2, "max": 0.99 },
            "rows": [
                row("gtn", 4, 0.5), row("gtn", 32, 0.6), row("real", 8, 0.4), row("real", 1200, 0.9),
                row("params", 0, 0.3), row("synflow", 0, 0.45),
            ],
            "matches": [matched(4, Some(9.0)), matched(32, real_steps)],
        });
        serde_json::from_value(found).unwrap()
    }

    #[test]
    fn the_last_step_stands_beside_what_was_published() {
        let table = summary(&found(Some(64.0), 8.0)).markdown();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| rank correlation (Spearman), 32 GTN steps | – | 0.60 | 0.50 to 0.70 |",
                "| the same, better half | 0.56 | 0.60 | 0.50 to 0.70 |",
                "| rank correlation, 1,200 real steps | – | 0.90 | 0.80 to 1.00 |",
                "| the same, better half | – | 0.90 | 0.80 to 1.00 |",
                "| rank correlation without training: synflow, the best of its kind | – | 0.45 | 0.35 to 0.55 |",
                "| real steps for the same rank correlation | 1,200 | 64 | at most 8 to above 1,200 (not reached by 1,200 steps) |",
                "| real steps for each GTN step | 9 | 2.0 | at most 0.2 to above 37.5 (not reached by 1,200 steps) |",
            ]
        );
    }

    #[test]
    fn what_was_not_reached_is_said() {
        let table = summary(&found(None, 100.0)).markdown();
        assert!(
            table.contains("| 1,200 | above 1,200 (not reached by 1,200 steps) | 100 to "),
            "{table}"
        );
    }
}
