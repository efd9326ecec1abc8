//! From judgments to statistics.

use super::config::CorrelateConfig;
use super::measure::{Judged, Measured};
use crate::nas::judging::EvaluatorName;
use crate::records::Accuracy;
use gtn_core::seed::Seed;
use gtn_nas::statistics::{
    Interval, bootstrap, kendall, pick, regret, spearman, steps_to_match, top_half, top_recall,
};
use serde::{Deserialize, Serialize};

/// The best architectures that an estimate should find.
const TOP: usize = 5;
/// How sure intervals are.
const CONFIDENCE: f64 = 0.95;

/// How estimates agree with long trainings: `correlation.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Where architectures came from.
    pub space: String,
    /// How many there were.
    pub architectures: usize,
    /// How many of the best were to be found ([`Row::top_recall`]).
    pub top: usize,
    /// The long trainings.
    pub truth: Truth,
    /// Estimates, one after some number of steps each.
    pub rows: Vec<Row>,
    /// What steps on synthetic data are worth in steps on real data, where they rank better than chance.
    pub matches: Vec<Match>,
}

/// Test accuracies after long trainings, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Steps of a training.
    pub steps: usize,
    /// Seconds of a training, mean.
    pub seconds: f64,
    /// Trainings that diverged. Their accuracy counts as 0.
    pub failed: usize,
    /// Mean over architectures.
    pub mean: f64,
    /// Standard deviation over architectures.
    pub std: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// Spearman's correlation of one half of an architecture's networks with the other half, where there are several:
    /// how well the truth agrees with itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reliability: Option<f64>,
}

/// How one estimate agrees with the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The evaluator.
    pub by: EvaluatorName,
    /// Training steps; 0 for those that don't train.
    pub steps: usize,
    /// Seconds for a network, mean.
    pub seconds: f64,
    /// Networks without an estimate. They count as worst.
    pub failed: usize,
    /// Over all architectures.
    pub all: Agreement,
    /// Over the better half of them by the estimate.
    pub top_half: Agreement,
    /// Share of the truly best that are among as many best by the estimate.
    pub top_recall: Estimate,
    /// What choosing the best by the estimate costs, in accuracy.
    pub regret: Estimate,
}

/// Rank correlations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Spearman's.
    pub spearman: Estimate,
    /// Kendall's τ-b.
    pub kendall: Estimate,
}

/// A statistic and how far chance reaches. Nothing where it is not defined, like the correlation with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: Option<f64>,
    /// Its 95% interval over resampled architectures.
    pub interval: Option<Interval>,
}

/// What some steps on synthetic data are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Steps on synthetic data.
    pub gtn_steps: usize,
    /// Their rank correlation (Spearman's, over all architectures), above 0.
    pub spearman: f64,
    /// Steps on real data for the same correlation; at most so many where that is the least measured, and nothing where
    /// the most measured do not reach it.
    pub real_steps: Option<f64>,
    /// The lower end of its 95% interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Analyzes finished architectures.
#[must_use]
pub fn analyze(config: &CorrelateConfig, judged: &[Judged]) -> Correlation {
    let sample = Sample { config, judged };
    let truth = sample.truth();
    let names = config.evaluators().into_iter().filter(|name| *name != EvaluatorName::Full);
    let rows = names.flat_map(|name| config.steps(name).into_iter().map(move |s| (name, s)));
    let rows = rows.map(|(name, steps)| sample.row(name, steps, &truth)).collect();
    Correlation {
        space: config.space.to_string(),
        architectures: judged.len(),
        top: TOP.min(judged.len()),
        truth: sample.summary(&truth),
        rows,
        matches: sample.matches(&truth),
    }
}

/// Of estimates and truths.
type Statistic<'a> = dyn Fn(&[f64], &[f64]) -> Option<f64> + 'a;

struct Sample<'a> {
    config: &'a CorrelateConfig,
    judged: &'a [Judged],
}

impl Sample<'_> {
    /// Mean score of each architecture; `worst` where one of its networks has none.
    fn scores(&self, by: EvaluatorName, steps: usize, worst: f64) -> Vec<f64> {
        self.judged.iter().map(|judged| judged.score(by, steps).unwrap_or(worst)).collect()
    }

    /// Mean seconds, and networks without a score.
    fn costs(&self, by: EvaluatorName, steps: usize) -> (f64, usize) {
        let all = self.judged.iter().flat_map(|judged| judged.judgments(by, steps));
        let all: Vec<&Measured> = all.collect();
        let seconds: f64 = all.iter().map(|one| one.measurement.seconds).sum();
        let failed = all.iter().filter(|one| one.measurement.score().is_none()).count();
        (seconds / all.len().max(1) as f64, failed)
    }

    fn truth(&self) -> Vec<f64> {
        self.accuracies(|_| true)
    }

    /// Mean accuracy of each architecture after the long trainings of those of its networks whose number is `of`.
    fn accuracies(&self, of: impl Fn(usize) -> bool) -> Vec<f64> {
        let steps = self.config.judging.full.steps;
        self.judged.iter().map(|judged| judged.accuracy(steps, &of)).collect()
    }

    fn summary(&self, truth: &[f64]) -> Truth {
        let steps = self.config.judging.full.steps;
        let (seconds, failed) = self.costs(EvaluatorName::Full, steps);
        let Accuracy { mean, std, .. } = Accuracy::of(truth);
        let extreme = |pick: fn(f64, f64) -> f64| truth.iter().copied().reduce(pick);
        let half = |odd: bool| self.accuracies(|learner| (learner % 2 == 1) == odd);
        Truth {
            steps,
            seconds,
            failed,
            mean,
            std,
            min: extreme(f64::min).unwrap_or(0.0),
            max: extreme(f64::max).unwrap_or(0.0),
            reliability: (self.config.full_learners > 1)
                .then(|| spearman(&half(false), &half(true)))
                .flatten(),
        }
    }

    fn row(&self, by: EvaluatorName, steps: usize, truth: &[f64]) -> Row {
        let estimate = self.scores(by, steps, f64::NEG_INFINITY);
        let (seconds, failed) = self.costs(by, steps);
        let of = |statistic: &Statistic<'_>| {
            let on = |places: &[usize]| statistic(&pick(&estimate, places), &pick(truth, places));
            let all: Vec<usize> = (0..truth.len()).collect();
            Estimate { value: on(&all), interval: self.interval(on) }
        };
        let best_half = |statistic: fn(&[f64], &[f64]) -> Option<f64>| {
            of(&|estimate, truth| {
                let half = top_half(estimate);
                statistic(&pick(estimate, &half), &pick(truth, &half))
            })
        };
        Row {
            by,
            steps,
            seconds,
            failed,
            all: Agreement { spearman: of(&spearman), kendall: of(&kendall) },
            top_half: Agreement { spearman: best_half(spearman), kendall: best_half(kendall) },
            top_recall: of(&|estimate, truth| top_recall(estimate, truth, TOP)),
            regret: of(&regret),
        }
    }

    fn interval(&self, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<Interval> {
        let Self { config, judged } = self;
        bootstrap(judged.len(), config.resamples, CONFIDENCE, Seed(config.seed), statistic)
    }

    fn matches(&self, truth: &[f64]) -> Vec<Match> {
        let real_steps = &self.config.real_steps;
        let scores = |by, steps| self.scores(by, steps, f64::NEG_INFINITY);
        let real: Vec<Vec<f64>> =
            real_steps.iter().map(|&steps| scores(EvaluatorName::Real, steps)).collect();
        let correlation = |estimate: &[f64], places: &[usize]| {
            spearman(&pick(estimate, places), &pick(truth, places))
        };
        let needed = |target: f64, places: &[usize]| {
            let points = real_steps.iter().zip(&real).filter_map(|(&steps, estimate)| {
                Some((steps as f64, correlation(estimate, places)?))
            });
            steps_to_match(&points.collect::<Vec<_>>(), target)
        };
        let known = |steps: f64| Some(steps).filter(|steps| steps.is_finite());
        let all: Vec<usize> = (0..truth.len()).collect();
        let matched = |&gtn_steps: &usize| {
            let estimate = scores(EvaluatorName::Gtn, gtn_steps);
            // What ranks no better than chance is matched by no steps at all.
            let value = correlation(&estimate, &all).filter(|value| *value > 0.0)?;
            let interval =
                self.interval(|places| Some(needed(correlation(&estimate, places)?, places)));
            Some(Match {
                gtn_steps,
                spearman: value,
                real_steps: known(needed(value, &all)),
                low: interval.and_then(|interval| known(interval.low)),
                high: interval.and_then(|interval| known(interval.high)),
            })
        };
        if real.is_empty() {
            return Vec::new();
        }
        self.config.gtn_steps().iter().filter_map(matched).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gtn_nas::evaluator::proxy::Proxy;
    use gtn_nas::trial::{Measurement, Outcome};

    fn judged(number: usize, scores: &[(&str, usize, f64)]) -> Judged {
        let measured = scores.iter().map(|&(by, steps, score)| Measured {
            by: by.parse().unwrap(),
            learner: 0,
            measurement: Measurement {
                steps,
                outcome: Outcome::of(score),
                seconds: steps as f64,
                seed: 1,
            },
        });
        Judged { number, arch: format!("arch {number}"), measured: measured.collect() }
    }

    fn config() -> CorrelateConfig {
        let mut config = CorrelateConfig {
            gtn_steps: Some(vec![2]),
            real_steps: vec![4, 16],
            proxies: vec![Proxy::Params],
            resamples: 200,
            ..CorrelateConfig::default()
        };
        config.judging.full.steps = 100;
        config
    }

    /// Six architectures: after 4 steps real data ranks them badly, after 16 perfectly; synthetic data in between.
    fn sample() -> Vec<Judged> {
        let (gtn, bad) = ([1.0, 2.0, 3.0, 5.0, 4.0, f64::NAN], [3.0, 5.0, 1.0, 4.0, 2.0, 6.0]);
        let of = |n: usize| {
            let truth = 0.9 + n as f64 / 100.0;
            let truth = if n == 5 { 0.2 } else { truth };
            judged(
                n,
                &[
                    ("gtn", 2, gtn[n]),
                    ("real", 4, bad[n]),
                    ("real", 16, truth),
                    ("params", 0, 7.0),
                    ("full", 100, truth),
                ],
            )
        };
        (0..6).map(of).collect()
    }

    #[test]
    fn a_sample_by_hand() {
        let found = analyze(&config(), &sample());
        assert_eq!((found.architectures, found.top), (6, 5));
        let Truth { steps, seconds, failed, min, max, reliability, .. } = found.truth;
        assert_eq!((steps, seconds, failed, reliability), (100, 100.0, 0, None));
        assert!(min == 0.2 && (max - 0.94).abs() < 1e-12, "{min} {max}");
        let names: Vec<String> =
            found.rows.iter().map(|row| format!("{} {}", row.by, row.steps)).collect();
        assert_eq!(names, ["gtn 2", "real 4", "real 16", "params 0"]);

        let gtn = &found.rows[0];
        assert_eq!(gtn.failed, 1);
        // Ranks 2 3 4 6 5 1 against 2 3 4 5 6 1: the failure counts as worst, and is.
        assert!((gtn.all.spearman.value.unwrap() - (1.0 - 6.0 * 2.0 / 210.0)).abs() < 1e-12);
        assert!((gtn.regret.value.unwrap() - 0.01).abs() < 1e-12);
        assert!((gtn.top_half.spearman.value.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(found.rows[2].all.spearman.value, Some(1.0));
        assert_eq!(found.rows[2].regret.value, Some(0.0));
        assert_eq!(found.rows[3].all.spearman.value, None, "a constant tells nothing");

        let [matched] = found.matches.as_slice() else { panic!("{:?}", found.matches) };
        let steps = matched.real_steps.unwrap();
        assert!(4.0 < steps && steps < 16.0, "{steps}");
    }

    #[test]
    fn what_ranks_no_better_than_chance_is_matched_by_nothing() {
        let mut sample = sample();
        for judged in &mut sample {
            let gtn = &mut judged.measured[0].measurement;
            gtn.outcome = Outcome::Score(-gtn.score().unwrap_or(0.0));
        }
        let found = analyze(&config(), &sample);
        assert!(found.rows[0].all.spearman.value.unwrap() < 0.0);
        assert_eq!(found.matches, []);
    }

    #[test]
    fn a_long_training_that_diverged_counts_as_0() {
        let mut config = config();
        config.full_learners = 2;
        let mut sample = sample();
        for (number, judged) in sample.iter_mut().enumerate() {
            let mut again = judged.measured.last().unwrap().clone();
            again.learner = 1;
            if number == 4 {
                again.measurement.outcome = Outcome::Failed("diverged".into());
            }
            judged.measured.push(again);
        }
        let truth = analyze(&config, &sample).truth;
        // The best of all, 0.94, is half of that now; the worst of the others is 0.2.
        assert_eq!(truth.failed, 1);
        assert!((truth.max - 0.93).abs() < 1e-12 && truth.min == 0.2, "{truth:?}");
        assert!((truth.mean - (0.90 + 0.91 + 0.92 + 0.93 + 0.47 + 0.2) / 6.0).abs() < 1e-12);
    }

    #[test]
    fn several_long_trainings_tell_how_well_they_agree() {
        let mut config = config();
        config.full_learners = 2;
        let mut sample = sample();
        for judged in &mut sample {
            let mut again = judged.measured.last().unwrap().clone();
            again.learner = 1;
            judged.measured.push(again);
        }
        assert_eq!(analyze(&config, &sample).truth.reliability, Some(1.0));
    }
}
