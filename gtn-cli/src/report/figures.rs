//! The plots of reports.

use super::plot::{Axis, LinePlot, Point, Scale, Series, Style};
use crate::nas::correlate::{Agreement, Correlation, Estimate, Row};
use crate::nas::judging::EvaluatorName;
use crate::records::{CurvePoint, Eval, MetricsLine, Spread};
use gtn_nas::trial::Trial;

/// Longer trainings are drawn as so many groups of meta-iterations.
pub(crate) const GROUPS: usize = 150;

/// Test accuracy by step, mean and one standard deviation.
pub(crate) fn accuracy_by_step(eval: &Eval) -> LinePlot {
    let series = |name: &str, spread: fn(&CurvePoint) -> Spread| {
        let points = eval.curve.iter().map(|at| {
            let Spread { mean, std } = spread(at);
            let (low, high) = ((mean - std).max(0.0), (mean + std).min(1.0));
            Point::new(at.step as f64, mean).between(low, high)
        });
        Series { label: name.into(), points: points.collect(), ..Series::default() }
    };
    LinePlot {
        title: "Accuracy by step".into(),
        x: Axis::new("optimizer steps of the learner").scale(Scale::Log2),
        y: Axis::new("test accuracy").percent(),
        series: vec![series("synthetic", |at| at.synthetic), series("real, tuned", |at| at.real)],
    }
}

/// Meta-loss by meta-iteration.
pub(crate) fn meta_loss(metrics: &[MetricsLine]) -> LinePlot {
    let points = grouped(metrics.iter().map(|line| (line.iteration, line.meta_loss)));
    training("Meta-loss", Axis::new("cross-entropy on real data").scale(Scale::Log10), points)
}

/// Validation accuracy by meta-iteration.
pub(crate) fn validation_accuracy(metrics: &[MetricsLine]) -> LinePlot {
    let measured = |line: &MetricsLine| Some((line.iteration, line.validation_accuracy?));
    let points = grouped(metrics.iter().filter_map(measured));
    training("Validation accuracy", Axis::new("of a fresh learner").percent(), points)
}

fn training(title: &str, y: Axis, points: Vec<Point>) -> LinePlot {
    LinePlot {
        title: title.into(),
        x: Axis::new("meta-iteration"),
        y,
        series: vec![Series { points, ..Series::default() }],
    }
}

/// Learning rate by step; that of tuned real data beside it, where known.
pub(crate) fn learning_rate(rates: &[(f64, f64)], eval: Option<&Eval>) -> LinePlot {
    let tuned = eval.map(|eval| eval.real.lr);
    by_step("Learning rate", rates.iter().map(|rates| rates.0), tuned)
}

/// Momentum by step; that of tuned real data beside it, where known.
pub(crate) fn momentum(rates: &[(f64, f64)], eval: Option<&Eval>) -> LinePlot {
    let tuned = eval.map(|eval| eval.real.momentum);
    by_step("Momentum", rates.iter().map(|rates| rates.1), tuned)
}

fn by_step(title: &str, learned: impl Iterator<Item = f64>, tuned: Option<f64>) -> LinePlot {
    let learned: Vec<Point> =
        learned.enumerate().map(|(step, value)| Point::new((step + 1) as f64, value)).collect();
    let ends = [1.0, learned.len() as f64];
    let tuned = tuned.map(|value| Series {
        label: "real, tuned".into(),
        points: ends.map(|step| Point::new(step, value)).into(),
        ..Series::default()
    });
    let learned = Series { label: "learned".into(), points: learned, ..Series::default() };
    LinePlot {
        title: title.into(),
        x: Axis::new("step"),
        y: Axis::default(),
        series: [learned].into_iter().chain(tuned).collect(),
    }
}

/// Scores by trial, and the best so far of those judged after the most steps.
pub(crate) fn search(trials: &[Trial<String>], percent: bool) -> LinePlot {
    let at = |trial: &Trial<String>| (trial.trial + 1) as f64;
    let scored = || trials.iter().filter_map(|trial| Some((trial, trial.score()?)));
    let mut best: Option<(usize, f64)> = None;
    let incumbents = scored().map(|(trial, score)| {
        let this = (trial.measured.steps, score);
        let next = best.filter(|best| *best >= this).unwrap_or(this);
        best = Some(next);
        Point::new(at(trial), next.1)
    });
    let line = Series { label: "best".into(), points: incumbents.collect(), ..Series::default() };
    let dots = scored().map(|(trial, score)| Point::new(at(trial), score)).collect();
    let dots = Series { points: dots, style: Style::Dots, ..Series::default() };
    let y = Axis::new("score");
    LinePlot {
        title: "Scores by candidate".into(),
        x: Axis::new("candidate"),
        y: if percent { y.percent() } else { y },
        series: vec![dots, line],
    }
}

/// Rank correlation by steps, of synthetic and of real data; zero-cost proxies as levels to compare with.
pub fn correlation(found: &Correlation, of: fn(&Row) -> &Agreement) -> LinePlot {
    let rows = |by| found.rows.iter().filter(move |row| row.by == by);
    let by_steps = |label: &str, by| {
        let points = rows(by).filter_map(|row| {
            let Estimate { value, interval } = of(row).spearman;
            let point = Point::new(row.steps as f64, value?);
            Some(interval.map_or(point, |band| point.between(band.low, band.high)))
        });
        Series { label: label.into(), points: points.collect(), ..Series::default() }
    };
    let trained = || found.rows.iter().map(|row| row.steps).filter(|&steps| steps > 0);
    let ends = [trained().min().unwrap_or(1), trained().max().unwrap_or(1)];
    let untrained = found.rows.iter().filter_map(|row| {
        let level = of(row).spearman.value.filter(|_| row.steps == 0)?;
        Some(Series {
            label: row.by.to_string(),
            points: ends.map(|steps| Point::new(steps as f64, level)).into(),
            style: Style::Faint,
        })
    });
    let lines = [
        by_steps("synthetic data", EvaluatorName::Gtn),
        by_steps("real data", EvaluatorName::Real),
    ];
    LinePlot {
        title: "All architectures".into(),
        x: Axis::new("training steps").scale(Scale::Log2),
        y: Axis::new("rank correlation (Spearman)"),
        series: untrained.chain(lines).collect(),
    }
}

/// The same over the better half of the architectures by each estimate.
pub fn correlation_of_the_better_half(found: &Correlation) -> LinePlot {
    LinePlot {
        title: "The better half by the estimate".into(),
        ..correlation(found, |row| &row.top_half)
    }
}

/// Means of equally long groups of values, with the lowest and the highest;
/// each value by itself where there are few.
fn grouped(values: impl Iterator<Item = (usize, f64)>) -> Vec<Point> {
    let values: Vec<_> = values.collect();
    let size = values.len().div_ceil(GROUPS).max(1);
    let mean = |group: &[(usize, f64)]| {
        let (last, _) = group[group.len() - 1];
        let of = |join: fn(f64, f64) -> f64| group.iter().map(|value| value.1).reduce(join);
        let sum = of(|a, b| a + b).unwrap_or(f64::NAN);
        Point::new(last as f64, sum / group.len() as f64)
            .between(of(f64::min).unwrap_or(sum), of(f64::max).unwrap_or(sum))
    };
    values.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_stand_for_themselves() {
        let points = grouped([(10, 0.5), (20, 0.75)].into_iter());
        assert_eq!(points, [Point::new(10.0, 0.5), Point::new(20.0, 0.75)]);
    }

    #[test]
    fn many_values_become_means_with_their_range() {
        let points = grouped((1..=301).map(|i| (i, f64::from(i as u32 % 3))));
        assert_eq!(points.len(), 101);
        assert_eq!(points[0], Point::new(3.0, 1.0).between(0.0, 2.0));
        assert_eq!(points[100], Point::new(301.0, 1.0));
    }
}
