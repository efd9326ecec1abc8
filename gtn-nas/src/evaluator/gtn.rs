//! A few steps on synthetic data.

use super::Evaluator;
use super::training::{Exam, teach_and_judge};
use crate::trial::Measurement;
use crate::{Error, Result};
use gtn_core::data::Batches;
use gtn_core::learner::LearnerFamily;
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::teacher::{Curriculum, TeacherSpec};
use gtn_core::trainer::{TeachingSet, Trainer};
use std::sync::OnceLock;
use std::time::Instant;

/// Judges a network by its accuracy after the first steps of a trained teacher's curriculum (Such et al., arXiv
/// 1912.07768), with the learning rates that the teacher learned.
pub struct Gtn<'a, L> {
    trainer: &'a Trainer<L>,
    real: &'a (dyn Batches + Sync),
    exam: &'a Exam,
    /// Where the teacher shows the same to everyone, it is made once.
    fixed: OnceLock<TeachingSet>,
}

impl<'a, L: LearnerFamily> Gtn<'a, L> {
    /// A trained teacher; what it was trained on, in case that it draws from there; and what networks are judged on.
    pub fn new(trainer: &'a Trainer<L>, real: &'a (dyn Batches + Sync), exam: &'a Exam) -> Self {
        Self { trainer, real, exam, fixed: OnceLock::new() }
    }

    fn is_fixed(&self) -> bool {
        match self.trainer.recipe().teacher {
            TeacherSpec::Generator { curriculum, .. } => curriculum == Curriculum::Full,
            TeacherSpec::Pixels { .. } => true,
            TeacherSpec::Real => false,
        }
    }

    /// What a learner of this seed is taught with.
    pub(super) fn set(&self, seed: Seed) -> Result<TeachingSet> {
        if let Some(set) = self.fixed.get() {
            return Ok(set.clone());
        }
        let set = self.trainer.teaching_set(seed, self.real)?;
        Ok(if self.is_fixed() { self.fixed.get_or_init(|| set).clone() } else { set })
    }
}

impl<L: LearnerFamily> Evaluator<Network> for Gtn<'_, L> {
    fn steps(&self) -> usize {
        self.trainer.recipe().inner.steps
    }

    fn evaluate(&self, network: &Network, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let most = Evaluator::<Network>::steps(self);
        if let Some(beyond) = steps.iter().find(|&&steps| steps > most) {
            return Err(Error::Setting(format!(
                "the teacher's curriculum has {most} steps, so that nobody can be judged after {beyond}; ask for fewer"
            )));
        }
        let start = Instant::now();
        let set = self.set(seed)?;
        let lessons = set.steps.into_iter().map(Ok);
        teach_and_judge(network, set.optimizer, lessons, steps, seed, self.exam, start)
    }
}
