//! A training run described by data.

use crate::inner::InnerOptimizer;
use crate::learner::{LearnerFamily, LearnerSpec};
use crate::teacher::TeacherSpec;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// All that a run depends on, but for its real data.
///
/// Its learners are those described by data, unless another family `L` is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "L: LearnerFamily"))]
pub struct Recipe<L = LearnerSpec> {
    /// Seed of every draw.
    pub seed: u64,
    /// Meta-iterations, 1 to 10⁹.
    pub iterations: usize,
    /// Who is taught.
    pub learner: L,
    /// Who teaches.
    pub teacher: TeacherSpec,
    /// How a learner learns.
    pub inner: InnerSpec,
    /// How a learner is judged.
    pub meta: MetaSpec,
    /// How the teacher learns.
    pub outer: OuterSpec,
}

/// The inner loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InnerSpec {
    /// Steps of the optimizer, 1 to 100,000.
    pub steps: usize,
    /// Images a step, 1 to 100,000; times the steps at most 2³⁰.
    pub batch: usize,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Where the learning rate of every step starts; above 0.
    pub lr: f64,
    /// Where the momentum of every step starts; above 0 and below 1.
    pub momentum: f64,
}

/// The meta-loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetaSpec {
    /// Real images a meta-loss, 1 to 100,000.
    pub batch: usize,
    /// Meta-loss after every so-many-th step and after the last; 0: after the last only.
    pub every: usize,
    /// Otherwise towards the end of the run, where this says how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<LateSpec>,
}

/// The end of a run, where the meta-loss is that after the last step alone.
///
/// Judged after all its steps, a learner is to learn fast, and the mean is ruled by the first of them; from the start judged after the last alone,
/// it does not learn at all for long. So first the one, then the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LateSpec {
    /// Share of the meta-iterations, above 0 and at most 1.
    pub share: f64,
    /// Real images a meta-loss, 1 to 100,000: more, for there is one alone.
    pub batch: usize,
}

/// The rule by which a teacher takes a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OuterOptimizer {
    /// Adam (Kingma & Ba, arXiv 1412.6980).
    #[default]
    Adam,
    /// Adam, but for the weights of a generator's layers, which take orthogonal steps along the mean of their gradients: Muon (Jordan et al.,
    /// 2024), as long as Adam's (Liu et al., arXiv 2502.16982).
    Muon,
}

/// The outer loop, with a cosine schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OuterSpec {
    /// The rule of a step.
    #[serde(skip_serializing_if = "is_default")]
    pub optimizer: OuterOptimizer,
    /// Learning rate of the first meta-iteration; above 0.
    pub lr: f64,
    /// Decay of the mean of gradients; at least 0, below 1.
    pub beta1: f64,
    /// Decay of the mean of squares; at least 0, below 1.
    pub beta2: f64,
    /// Added to the root of the mean of squares; at least 10⁻²⁰, more than the least root in single precision.
    pub epsilon: f64,
    /// Learning rate of the last meta-iteration, as a share of the first; 0 to 1.
    pub final_lr: f64,
    /// Largest norm of the meta-gradient: a longer one is scaled down to it.
    /// 0: no limit.
    pub clip: f64,
}

impl<L: Default> Default for Recipe<L> {
    /// The paper's settings for MNIST (arXiv 1912.07768).
    fn default() -> Self {
        Self {
            seed: 0,
            iterations: 2000,
            learner: L::default(),
            teacher: TeacherSpec::default(),
            inner: InnerSpec::default(),
            meta: MetaSpec::default(),
            outer: OuterSpec::default(),
        }
    }
}

impl Default for InnerSpec {
    fn default() -> Self {
        Self { steps: 32, batch: 128, optimizer: InnerOptimizer::Sgd, lr: 0.02, momentum: 0.5 }
    }
}

impl Default for MetaSpec {
    fn default() -> Self {
        Self { batch: 128, every: 1, late: None }
    }
}

impl Default for LateSpec {
    fn default() -> Self {
        Self { share: 0.3, batch: 512 }
    }
}

impl Default for OuterSpec {
    fn default() -> Self {
        Self {
            optimizer: OuterOptimizer::Adam,
            lr: 0.02,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            final_lr: 0.1,
            clip: 0.0,
        }
    }
}

/// What a configuration of before there was a choice does not say.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl MetaSpec {
    /// Whether a learner is judged after step `step` (from 0) of `steps`, where it is not [late](Recipe::meta_at).
    pub fn judged_after(&self, step: usize, steps: usize) -> bool {
        step + 1 == steps || (self.every > 0 && (step + 1).is_multiple_of(self.every))
    }

    /// How often a learner of `steps` steps is judged, where it is not [late](Recipe::meta_at).
    pub fn exams(&self, steps: usize) -> usize {
        (0..steps).filter(|&step| self.judged_after(step, steps)).count()
    }
}

impl<L> Recipe<L> {
    /// Checks every number's range.
    ///
    /// # Errors
    /// [`Error::Spec`] that names the key, what is allowed and what was found.
    pub fn validate(&self) -> Result<()> {
        let Self { inner, meta, outer, .. } = self;
        count("iterations", self.iterations, 1_000_000_000)?;
        count("inner.steps", inner.steps, 100_000)?;
        count("inner.batch", inner.batch, 100_000)?;
        count("inner.steps × inner.batch", inner.steps * inner.batch, 1 << 30)?;
        count("meta.batch", meta.batch, 100_000)?;
        if let Some(LateSpec { share, batch }) = meta.late {
            check("meta.late.share", share, "above 0 and at most 1", |s| s > 0.0 && s <= 1.0)?;
            count("meta.late.batch", batch, 100_000)?;
        }
        self.teacher.validate()?;
        if outer.optimizer == OuterOptimizer::Muon
            && !matches!(self.teacher, TeacherSpec::Generator { .. })
        {
            return Err(Error::spec(
                "outer.optimizer = `muon` steps the weights of a generator, and this teacher has none; leave it out",
            ));
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        check("inner.lr", inner.lr, "above 0", positive)?;
        check("inner.momentum", inner.momentum, "above 0 and below 1", |m| m > 0.0 && m < 1.0)?;
        check("outer.lr", outer.lr, "above 0", positive)?;
        let decay = |b: f64| (0.0..1.0).contains(&b);
        check("outer.beta1", outer.beta1, "at least 0 and below 1", decay)?;
        check("outer.beta2", outer.beta2, "at least 0 and below 1", decay)?;
        // Squares below 1e-45 are none in single precision: a smaller one would make giant steps of what is left.
        let single = |e: f64| e >= 1e-20 && e.is_finite();
        check("outer.epsilon", outer.epsilon, "at least 1e-20", single)?;
        check("outer.final_lr", outer.final_lr, "between 0 and 1", |f| (0.0..=1.0).contains(&f))?;
        check("outer.clip", outer.clip, "0 (no limit) or above", |c| c >= 0.0 && c.is_finite())
    }

    /// How the learner of meta-iteration `iteration` (from 0) is judged.
    pub fn meta_at(&self, iteration: usize) -> MetaSpec {
        let is_late = |late: &LateSpec| {
            let left = self.iterations.saturating_sub(iteration) as f64;
            left <= (late.share * self.iterations as f64).round().max(1.0)
        };
        match self.meta.late.filter(is_late) {
            Some(late) => MetaSpec { batch: late.batch, every: 0, late: None },
            None => MetaSpec { late: None, ..self.meta },
        }
    }
}

/// Numbers above `most` are slips of the pen that no memory would hold, or no one live to see the end of.
fn count(key: &str, value: usize, most: usize) -> Result<()> {
    let bound = match value {
        0 => "at least 1".to_owned(),
        value if value > most => format!("at most {most}"),
        _ => return Ok(()),
    };
    Err(Error::spec(format!("{key} must be {bound}, found {value}")))
}

fn check(key: &str, value: f64, allowed: &str, ok: impl Fn(f64) -> bool) -> Result<()> {
    if ok(value) {
        return Ok(());
    }
    Err(Error::spec(format!("{key} must be {allowed}, found {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::Curriculum;

    #[test]
    fn learners_are_judged_where_the_recipe_says() {
        let judged = |every, steps| {
            let meta = MetaSpec { every, ..MetaSpec::default() };
            let after: Vec<usize> = (0..steps).filter(|&s| meta.judged_after(s, steps)).collect();
            assert_eq!(meta.exams(steps), after.len());
            after
        };
        assert_eq!(judged(1, 3), [0, 1, 2]);
        assert_eq!(judged(2, 5), [1, 3, 4]);
        assert_eq!(judged(2, 4), [1, 3]);
        assert_eq!(judged(0, 4), [3]);
        assert_eq!(judged(9, 4), [3]);
    }

    #[test]
    fn the_end_of_a_run_is_judged_as_it_is_told() {
        let late_from = |share, iterations| {
            let late = Some(LateSpec { share, batch: 7 });
            let meta = MetaSpec { batch: 3, every: 2, late };
            let recipe = Recipe::<LearnerSpec> { iterations, meta, ..Recipe::default() };
            recipe.validate().unwrap();
            let early = MetaSpec { batch: 3, every: 2, late: None };
            let late = MetaSpec { batch: 7, every: 0, late: None };
            let first = (0..iterations).find(|&i| recipe.meta_at(i) == late).unwrap();
            assert!((0..first).all(|i| recipe.meta_at(i) == early));
            assert!((first..iterations).all(|i| recipe.meta_at(i) == late));
            first
        };
        assert_eq!(late_from(0.3, 10), 7);
        assert_eq!(late_from(1.0, 10), 0);
        assert_eq!(late_from(0.25, 11), 8);
        assert_eq!(late_from(0.1, 4), 3);
        let without = Recipe::<LearnerSpec>::default();
        assert_eq!(without.meta_at(without.iterations - 1), without.meta);
        for share in [0.0, -0.5, 1.5, f64::NAN] {
            let meta = MetaSpec { late: Some(LateSpec { share, batch: 7 }), ..without.meta };
            let error = Recipe { meta, ..without.clone() }.validate().unwrap_err().to_string();
            assert!(error.contains("meta.late.share must be above 0 and at most 1"), "{error}");
        }
    }
    #[test]
    fn pixels_are_learned_for_samples_that_come_again() {
        let with = |curriculum| {
            let teacher = TeacherSpec::Generator {
                curriculum,
                noise: 3,
                widths: [6, 4, 2],
                learned_labels: false,
                learned_pixels: true,
            };
            Recipe::<LearnerSpec> { teacher, ..Recipe::default() }.validate()
        };
        with(Curriculum::Full).unwrap();
        let error = with(Curriculum::None).unwrap_err().to_string();
        assert!(error.contains("teacher.learned_pixels needs a curriculum"), "{error}");
    }

    #[test]
    fn orthogonal_steps_are_for_generators() {
        let mut recipe = Recipe::<LearnerSpec>::default();
        recipe.outer.optimizer = OuterOptimizer::Muon;
        recipe.validate().unwrap();
        for teacher in [TeacherSpec::Pixels { learned_labels: false }, TeacherSpec::Real] {
            let error = Recipe { teacher, ..recipe.clone() }.validate().unwrap_err().to_string();
            assert!(error.contains("outer.optimizer = `muon` steps the weights"), "{error}");
        }
    }
}
