//! What was tried, and how it did.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A candidate that a strategy asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal<A> {
    /// The architecture.
    pub arch: A,
    /// Training steps after which it is to be judged; the evaluator's own number if not said.
    pub steps: Option<usize>,
}

impl<A> Proposal<A> {
    /// An architecture, to be judged after as many steps as the evaluator takes.
    pub fn new(arch: A) -> Self {
        Self { arch, steps: None }
    }

    /// The same, to be judged after `steps` steps.
    #[must_use]
    pub fn after(self, steps: usize) -> Self {
        Self { steps: Some(steps), ..self }
    }
}

/// What an evaluator found, and what that took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Training steps after which it was to be judged, also where it diverged before; 0 by evaluators that don't
    /// train and count none.
    pub steps: usize,
    /// The score, or why there is none.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds that it took.
    pub seconds: f64,
    /// The seed of all draws in it.
    pub seed: u64,
}

/// How a candidate did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its score: the higher, the better.
    Score(f64),
    /// Why there is no score: the learner diverged, for example.
    Failed(String),
}

impl Outcome {
    /// The score; a failure if it is no number.
    pub fn of(score: f64) -> Self {
        if score.is_finite() {
            return Self::Score(score);
        }
        Self::Failed(format!("the score is not a finite number: {score}"))
    }
}

impl Measurement {
    /// The same, as a failure if its score is no number. Seconds that are no number are none: a line of JSON has no
    /// word for them.
    pub(crate) fn checked(self) -> Self {
        let outcome = match self.outcome {
            Outcome::Score(score) => Outcome::of(score),
            failed => failed,
        };
        let seconds = if self.seconds.is_finite() { self.seconds } else { 0.0 };
        Self { outcome, seconds, ..self }
    }

    /// The score, if there is one.
    pub fn score(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Score(score) => Some(score),
            Outcome::Failed(_) => None,
        }
    }

    /// Why there is no score, if there is none.
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Score(_) => None,
            Outcome::Failed(reason) => Some(reason),
        }
    }
}

/// A candidate and how it did: a line of a search's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial<A> {
    /// Its number, from 0, in the order in which candidates were asked for.
    pub trial: usize,
    /// The architecture.
    pub arch: A,
    /// How it did.
    #[serde(flatten)]
    pub measured: Measurement,
    /// Seconds of the search until this was known.
    pub elapsed: f64,
}

/// What trials took together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// How many there are.
    pub trials: usize,
    /// Training steps of all.
    pub steps: usize,
    /// Seconds of the search until the last of them was known.
    pub seconds: f64,
}

impl Spent {
    /// What these trials took.
    pub fn on<'a, A: 'a>(trials: impl IntoIterator<Item = &'a Trial<A>>) -> Self {
        trials.into_iter().fold(Self::default(), Self::and)
    }

    /// With another trial.
    #[must_use]
    pub fn and<A>(self, trial: &Trial<A>) -> Self {
        Self {
            trials: self.trials + 1,
            steps: self.steps + trial.measured.steps,
            seconds: self.seconds.max(trial.elapsed),
        }
    }
}

impl<A> Trial<A> {
    /// The score, if there is one: the higher, the better.
    pub fn score(&self) -> Option<f64> {
        self.measured.score()
    }
}

/// The best of trials: the highest score after the most steps; the first of equals.
pub fn best<A>(trials: &[Trial<A>]) -> Option<&Trial<A>> {
    trials.iter().filter(|trial| trial.score().is_some()).min_by(|a, b| better_first(a, b))
}

/// The trials that have a score, in the order of [`best`].
pub fn ranked<A>(trials: &[Trial<A>]) -> Vec<&Trial<A>> {
    let mut scored: Vec<_> = trials.iter().filter(|trial| trial.score().is_some()).collect();
    scored.sort_by(|a, b| better_first(a, b));
    scored
}

fn better_first<A>(a: &Trial<A>, b: &Trial<A>) -> Ordering {
    let score = |trial: &Trial<A>| trial.score().unwrap_or(f64::NEG_INFINITY);
    let steps = b.measured.steps.cmp(&a.measured.steps);
    steps.then(score(b).total_cmp(&score(a))).then(a.trial.cmp(&b.trial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: usize, steps: usize, outcome: Outcome) -> Trial<String> {
        let measured = Measurement { steps, outcome, seconds: 0.5, seed: u64::MAX };
        Trial { trial: number, arch: "a".into(), measured, elapsed: 1.5 }
    }

    #[test]
    fn lines_read_back() {
        let scored = trial(3, 16, Outcome::of(0.1 + 0.2));
        let text = serde_json::to_string(&scored).unwrap();
        assert_eq!(
            text,
            r#"{"trial":3,"arch":"a","steps":16,"score":0.30000000000000004,"seconds":0.5,"seed":18446744073709551615,"elapsed":1.5}"#
        );
        assert_eq!(serde_json::from_str::<Trial<String>>(&text).unwrap(), scored);
        let failed = trial(4, 16, Outcome::of(f64::NAN));
        let text = serde_json::to_string(&failed).unwrap();
        assert!(text.contains(r#""failed":"the score is not a finite number: NaN""#), "{text}");
        assert_eq!(serde_json::from_str::<Trial<String>>(&text).unwrap(), failed);
    }

    #[test]
    fn more_steps_weigh_more_than_a_score() {
        let trials = [
            trial(0, 8, Outcome::Score(0.9)),
            trial(1, 16, Outcome::Failed("diverged".into())),
            trial(2, 16, Outcome::Score(0.5)),
            trial(3, 16, Outcome::Score(0.7)),
            trial(4, 16, Outcome::Score(0.7)),
        ];
        assert_eq!(best(&trials).unwrap().trial, 3);
        let order: Vec<usize> = ranked(&trials).iter().map(|trial| trial.trial).collect();
        assert_eq!(order, [3, 4, 2, 0]);
        assert_eq!(best(&trials[..2]).unwrap().trial, 0);
        assert!(best(&trials[1..2]).is_none());
    }
}
