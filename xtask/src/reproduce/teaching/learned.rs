//! How well the learners of one part did.

use gtn_cli::comparison::at_mark;
use gtn_cli::records::Accuracy;
use gtn_core::inner::Rates;
use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// How well the learners of one part did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")] // What is read is checked, below.
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

impl<'de> Deserialize<'de> for Learned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Self::deserialize(deserializer)?;
        let whole = |learner: &Vec<f64>| learner.len() == read.steps.len();
        if read.steps.is_empty() || read.learners.is_empty() || !read.learners.iter().all(whole) {
            return Err(D::Error::custom("not every learner has an accuracy for every step"));
        }
        Ok(read)
    }
}

impl Serialize for Learned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accuracies_that_are_missing_are_told() {
        let read = |steps: &[usize], learners: &[&[f64]]| {
            serde_json::from_value::<Learned>(json!({ "steps": steps, "learners": learners }))
        };
        let learned = read(&[1, 2], &[&[0.1, 0.2], &[0.1, 0.4]]).unwrap();
        assert_eq!(serde_json::from_value::<Learned>(json!(learned)).unwrap(), learned);
        for (steps, learners) in
            [(&[1, 2][..], &[&[0.1, 0.2][..], &[0.1]][..]), (&[], &[&[]]), (&[1], &[])]
        {
            let error = read(steps, learners).unwrap_err().to_string();
            assert_eq!(error, "not every learner has an accuracy for every step");
        }
    }
}
