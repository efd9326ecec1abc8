//! How well the learners of one part did.

use gtn_cli::comparison::at_mark;
use gtn_cli::records::Accuracy;
use gtn_core::inner::Rates;
use serde::{Deserialize, Serialize};

/// How well the learners of one part did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    /// The steps after which they were judged, the last one last.
    pub(super) steps: Vec<usize>,
    /// Test accuracies of each learner after each of these steps, 0 to 1.
    pub(super) learners: Vec<Vec<f64>>,
    /// Learning rate and momentum for real data that did best on the validation split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tuned: Option<Rates>,
    /// The digest of the teacher's checkpoint, by which it is known again if it is trained again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) teacher: Option<String>,
    /// Where the training of the teacher diverged: its learners then count as guessing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diverged: Option<String>,
}

impl Learned {
    /// Learners that guess, because there is no teacher.
    pub(super) fn guessing(
        steps: Vec<usize>,
        learners: usize,
        classes: usize,
        diverged: String,
    ) -> Self {
        let guesses = vec![1.0 / classes as f64; steps.len()];
        let learners = vec![guesses; learners];
        Self { steps, learners, tuned: None, teacher: None, diverged: Some(diverged) }
    }

    /// After the last step.
    pub(crate) fn last(&self) -> Accuracy {
        at_mark(&self.learners, self.steps.len() - 1)
    }
}
