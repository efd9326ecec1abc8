//! The plots of a run's report.

use super::plot::{Axis, LinePlot, Point, Scale, Series};
use crate::records::{CurvePoint, Eval, MetricsLine, Spread};

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
        Series { label: name.into(), points: points.collect() }
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
        series: vec![Series { label: String::new(), points }],
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
    });
    let learned = Series { label: "learned".into(), points: learned };
    LinePlot {
        title: title.into(),
        x: Axis::new("step"),
        y: Axis::default(),
        series: [learned].into_iter().chain(tuned).collect(),
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
