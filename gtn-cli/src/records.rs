//! What a run leaves behind in JSON: the lines of `metrics.jsonl` and the
//! object in `eval.json`. Commands write them, the report reads them.

use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`: one meta-iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Meta-iterations done, counted from 1.
    pub iteration: usize,
    /// The learner's cross-entropy on real data, in nats.
    pub meta_loss: f64,
    /// The learner's cross-entropy on its last synthetic batch, in nats.
    pub inner_loss: f64,
    /// Global norm of the meta-gradient, before any clipping.
    pub gradient_norm: f64,
    /// Learning rate of the outer optimizer in this meta-iteration.
    pub outer_lr: f64,
    /// Learners that diverged, so that another was drawn; only where there were any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub diverged: usize,
    /// Accuracy (0 to 1) of a fresh learner on the validation split; only on
    /// the iterations where it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
}

/// `serde` hands over references.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The result of `gtn eval`: fresh learners taught by the teacher against
/// fresh learners taught by real data for as many steps.
///
/// `eval.json` holds all of it; `gtn eval --json` prints its [`summary`].
///
/// [`summary`]: Eval::summary
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// Optimizer steps each learner took.
    pub steps: usize,
    /// Test accuracy of the learners taught by the teacher.
    pub synthetic: Accuracy,
    /// Test accuracy of the learners taught by real data.
    pub real: Tuned,
    /// The meta-iteration after which the teacher was as it taught them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<usize>,
    /// Test accuracy of the same learners, by rising step: on the way by 2,000 of the test images, after the last step by
    /// all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
}

impl Eval {
    /// The same result alone: what `gtn eval --json` prints.
    ///
    /// ```
    /// use gtn_cli::records::{Accuracy, Eval, Tuned};
    ///
    /// let eval = Eval {
    ///     steps: 16,
    ///     synthetic: Accuracy { mean: 0.97, std: 0.01, n: 5 },
    ///     real: Tuned { mean: 0.875, std: 0.02, n: 5, lr: 0.1, momentum: 0.5 },
    ///     iteration: Some(1500),
    ///     curve: Vec::new(),
    /// };
    /// assert_eq!(
    ///     serde_json::to_string(&eval.summary()).unwrap(),
    ///     r#"{"steps":16,"synthetic":{"mean":0.97,"std":0.01,"n":5},"real":{"mean":0.875,"std":0.02,"n":5,"lr":0.1,"momentum":0.5}}"#,
    /// );
    /// ```
    #[must_use]
    pub fn summary(&self) -> Self {
        Self { iteration: None, curve: Vec::new(), ..self.clone() }
    }
}

/// The result of `gtn eval --split` on other images than the test split's: learners taught by the teacher alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgment {
    /// Optimizer steps each learner took.
    pub steps: usize,
    /// Whose images judged them.
    pub split: Split,
    /// How well they did.
    pub synthetic: Accuracy,
}

/// A part of a data set.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What teachers are trained on.
    Train,
    /// What settings are chosen by.
    Validation,
    /// What decides nothing.
    Test,
}

impl Split {
    /// `train`, `validation` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Accuracy of `n` learners.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Mean, 0 to 1.
    pub mean: f64,
    /// Sample standard deviation (0 for a single learner).
    pub std: f64,
    /// Number of learners.
    pub n: usize,
}

impl Accuracy {
    /// Of these learners.
    #[must_use]
    pub fn of(learners: &[f64]) -> Self {
        let n = learners.len() as f64;
        let mean = learners.iter().sum::<f64>() / n;
        let squares: f64 = learners.iter().map(|accuracy| (accuracy - mean).powi(2)).sum();
        Self { mean, std: (squares / (n - 1.0).max(1.0)).sqrt(), n: learners.len() }
    }
}

/// Accuracy of `n` learners with the learning rate and momentum that did best
/// on the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// Mean, 0 to 1.
    pub mean: f64,
    /// Sample standard deviation (0 for a single learner).
    pub std: f64,
    /// Number of learners.
    pub n: usize,
    /// The learning rate chosen.
    pub lr: f64,
    /// The momentum chosen.
    pub momentum: f64,
}

/// Test accuracy of both kinds of learners after `step` steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps taken, counted from 1.
    pub step: usize,
    /// Learners taught by the teacher.
    pub synthetic: Spread,
    /// Learners taught by real data.
    pub real: Spread,
}

/// Mean and sample standard deviation of an accuracy, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation.
    pub std: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_lines_leave_out_what_was_not_measured() {
        let text = r#"{"iteration":1,"meta_loss":2.5,"inner_loss":2.25,"gradient_norm":0.5,"outer_lr":0.02}"#;
        let line: MetricsLine = serde_json::from_str(text).unwrap();
        assert_eq!(line.validation_accuracy, None);
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
    }

    #[test]
    fn eval_json_keeps_its_curve_and_the_summary_drops_it() {
        let at = |mean| Spread { mean, std: 0.5 };
        let eval = Eval {
            steps: 2,
            synthetic: Accuracy { mean: 0.75, std: 0.5, n: 2 },
            real: Tuned { mean: 0.5, std: 0.5, n: 2, lr: 0.1, momentum: 0.0 },
            iteration: Some(7),
            curve: vec![CurvePoint { step: 1, synthetic: at(0.25), real: at(0.125) }],
        };
        let text = serde_json::to_string(&eval).unwrap();
        assert!(text.ends_with(
            r#""iteration":7,"curve":[{"step":1,"synthetic":{"mean":0.25,"std":0.5},"real":{"mean":0.125,"std":0.5}}]}"#
        ));
        assert_eq!(serde_json::from_str::<Eval>(&text).unwrap(), eval);
        let summary = serde_json::to_string(&eval.summary()).unwrap();
        assert!(!summary.contains("curve") && !summary.contains("iteration"));
    }
}
