//! Learners taught by the teacher against learners taught by real data.
//!
//! Both kinds are as many, start from the same weights, take as many steps with batches of
//! the same size under the same optimizer, and are judged on the same test images. The
//! learning rates that the teacher learned are answered by a search on the validation split:
//! whatever pair of learning rate and momentum does best there is used for the real data.

use crate::batches::{Judged, Shuffled, image_shape};
use crate::config::RunConfig;
use crate::learner::Learner;
use crate::progress::Progress;
use crate::records::{Accuracy, CurvePoint, Eval, Judgment, Split, Spread, Tuned};
use crate::teaching;
use crate::trained::Trained;
use crate::tuning::{Given, tune};
use anyhow::Result;
use candle_core::Device;
use gtn_core::evaluate::{accuracy, teach};
use gtn_core::inner::Rates;
use gtn_core::learner::LearnerFamily;
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::trainer::TeachingSet;
use gtn_data::Dataset;

/// Learners by which one pair of learning rate and momentum is judged.
const LEARNERS_A_PAIR: usize = 4;
/// Images that judge them.
const TUNING_IMAGES: usize = 1_000;
/// Test images that judge a learner on its way; the last step is judged by all.
const CURVE_IMAGES: usize = 2_000;

/// Compares `learners` fresh learners of each kind.
///
/// # Errors
/// When there is no validation split to tune on, or the device fails.
pub fn compare(trained: &Trained, learner: &Learner, learners: usize) -> Result<Eval> {
    let school = School::open(&trained.config, learner, &trained.dataset, &trained.device)?;
    let mut progress = Progress::new("evaluating", School::TUNING + 2 * learners, 0);
    let rates = school.tune(&mut progress)?;

    let (mut synthetic, mut real) = (Vec::new(), Vec::new());
    for index in 0..learners as u64 {
        synthetic.push(school.taught(trained, index)?);
        progress.step("taught by synthetic data");
        real.push(school.taught_by_real(rates, index)?);
        progress.step("taught by real data");
    }
    let spread = |learners: &[Vec<f64>], mark: usize| {
        let Accuracy { mean, std, .. } = at_mark(learners, mark);
        Spread { mean, std }
    };
    let points = school.marks.iter().enumerate().map(|(mark, &step)| CurvePoint {
        step,
        synthetic: spread(&synthetic, mark),
        real: spread(&real, mark),
    });
    let last = school.marks.len() - 1;
    let Accuracy { mean, std, n } = at_mark(&real, last);
    Ok(Eval {
        steps: trained.config.recipe.inner.steps,
        synthetic: at_mark(&synthetic, last),
        real: Tuned { mean, std, n, lr: rates.lr, momentum: rates.momentum },
        iteration: Some(trained.trainer.iteration()),
        curve: points.collect(),
    })
}

/// How well `learners` fresh learners do that the teacher teaches, judged by all images of a split that may decide something.
///
/// # Errors
/// When there are none, or the device fails.
pub fn judge(
    trained: &Trained,
    learner: &Learner,
    learners: usize,
    split: Split,
) -> Result<Judgment> {
    let school = School::open(&trained.config, learner, &trained.dataset, &trained.device)?;
    let school = school.judging_by(split)?;
    let mut progress = Progress::new("evaluating", learners, 0);
    let mut synthetic = Vec::new();
    for index in 0..learners as u64 {
        synthetic.push(school.taught(trained, index)?);
        progress.step("taught by synthetic data");
    }
    Ok(Judgment {
        steps: trained.config.recipe.inner.steps,
        split,
        synthetic: at_mark(&synthetic, 0),
    })
}

/// Mean and sample standard deviation over learners of their accuracies at one mark.
#[must_use]
pub fn at_mark(learners: &[Vec<f64>], mark: usize) -> Accuracy {
    Accuracy::of(&learners.iter().map(|accuracies| accuracies[mark]).collect::<Vec<_>>())
}

/// Teaches fresh learners of a run, by its teacher or by real data, and judges them, on the test split if on no other.
pub struct School<'a> {
    config: &'a RunConfig,
    learner: &'a Learner,
    dataset: &'a Dataset,
    device: &'a Device,
    marks: Vec<usize>,
    judged: Judged,
    /// All of `judged` if not given.
    on_the_way: Option<Judged>,
    real: Shuffled,
}

impl<'a> School<'a> {
    /// Steps of progress that [`School::tune`] makes at least.
    pub const TUNING: usize = Given::NOTHING.pairs() * LEARNERS_A_PAIR;

    /// A school for learners of this kind. They learn as often, from batches of the same size and under
    /// the same optimizer as those of `config`, and are judged after each power of two of steps and after the last;
    /// on the way by a part of the test split.
    ///
    /// # Errors
    /// When there are no test images, or the device fails.
    pub fn open(
        config: &'a RunConfig,
        learner: &'a Learner,
        dataset: &'a Dataset,
        device: &'a Device,
    ) -> Result<Self> {
        let steps = config.recipe.inner.steps;
        let test = |limit| images(dataset, Split::Test, limit, device);
        let powers = std::iter::successors(Some(1), |step| Some(2 * step));
        Ok(Self {
            config,
            learner,
            dataset,
            device,
            marks: powers.take_while(|&step| step < steps).chain([steps]).collect(),
            judged: test(usize::MAX)?,
            on_the_way: Some(test(CURVE_IMAGES)?),
            real: Shuffled::new(dataset.train(), dataset.classes().len(), Seed(0), device)?,
        })
    }

    /// The same school, which judges after `marks` (rising steps from 1 to the last), each time by the whole test split.
    #[must_use]
    pub fn judging_after(self, marks: Vec<usize>) -> Self {
        Self { marks, on_the_way: None, ..self }
    }

    /// The same school, which judges after the last step alone, by all images of this split.
    ///
    /// # Errors
    /// When there are none, or the device fails.
    pub fn judging_by(self, split: Split) -> Result<Self> {
        let judged = images(self.dataset, split, usize::MAX, self.device)?;
        Ok(Self { marks: vec![self.config.recipe.inner.steps], judged, ..self })
    }

    /// Accuracies at each mark of the `index`-th learner that the teacher teaches.
    ///
    /// # Errors
    /// When the device fails.
    pub fn taught(&self, trained: &Trained, index: u64) -> Result<Vec<f64>> {
        let seed = self.seed("eval", index);
        self.course(&trained.teaching_set(seed)?, seed)
    }

    /// Accuracies at each mark of the `index`-th learner that real data teaches: the same learner as
    /// [`School::taught`] has.
    ///
    /// # Errors
    /// When the device fails.
    pub fn taught_by_real(&self, rates: Rates, index: u64) -> Result<Vec<f64>> {
        let seed = self.seed("eval", index);
        self.course(&self.real_set(rates, seed)?, seed)
    }

    fn seed(&self, name: &str, index: u64) -> Seed {
        Seed(self.config.recipe.seed).derive(name, index)
    }

    fn course(&self, set: &TeachingSet, seed: Seed) -> Result<Vec<f64>> {
        let network = self.network(seed)?;
        let mut accuracies = Vec::with_capacity(self.marks.len());
        teach(&network, set, seed, &mut |step, taught| {
            if self.marks.contains(&step) {
                let last = step == self.config.recipe.inner.steps;
                let judged = self.on_the_way.as_ref().filter(|_| !last).unwrap_or(&self.judged);
                accuracies.push(accuracy(&network, taught, judged.batches())?);
            }
            Ok(())
        })?;
        Ok(accuracies)
    }

    fn network(&self, seed: Seed) -> Result<Network> {
        Ok(self.learner.network(seed, image_shape(self.dataset), self.dataset.classes().len())?)
    }

    fn real_set(&self, rates: Rates, seed: Seed) -> Result<TeachingSet> {
        let inner = &self.config.recipe.inner;
        let batches = self.real.reordered(seed.derive("real batches", 0));
        teaching::real(&batches, [inner.steps, inner.batch], rates, inner.optimizer)
    }

    /// The learning rate and momentum for real data that do best on the validation split.
    ///
    /// # Errors
    /// When there is no validation split, or the device fails.
    pub fn tune(&self, progress: &mut Progress) -> Result<Rates> {
        let validation = images(self.dataset, Split::Validation, TUNING_IMAGES, self.device)?;
        let optimizer = self.config.recipe.inner.optimizer;
        tune(optimizer, Given::NOTHING, LEARNERS_A_PAIR, progress, |rates, progress| {
            self.score(rates, &validation, progress)
        })
    }

    /// Mean validation accuracy of a few learners.
    fn score(&self, rates: Rates, validation: &Judged, progress: &mut Progress) -> Result<f64> {
        let mut sum = 0.0;
        for index in 0..LEARNERS_A_PAIR as u64 {
            let seed = self.seed("tuning", index);
            let set = self.real_set(rates, seed)?;
            let network = self.network(seed)?;
            let taught = teach(&network, &set, seed, &mut |_, _| Ok(()))?;
            sum += accuracy(&network, &taught, validation.batches())?;
            progress.step("tuning on real data");
        }
        Ok(sum / LEARNERS_A_PAIR as f64)
    }
}

/// Images of a split, at most so many.
fn images(dataset: &Dataset, split: Split, limit: usize, device: &Device) -> Result<Judged> {
    let images = match split {
        Split::Train => dataset.train(),
        Split::Validation => dataset.validation(),
        Split::Test => dataset.test(),
    };
    Judged::new(images, split.name(), dataset.classes().len(), limit, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_mean_and_sample_deviation() {
        let learners = [vec![0.0, 0.5], vec![0.0, 0.7]];
        let Accuracy { mean, std, .. } = at_mark(&learners, 1);
        assert!((mean - 0.6).abs() < 1e-12 && (std - 0.02f64.sqrt()).abs() < 1e-12, "{mean} {std}");
        assert_eq!(at_mark(&learners[..1], 1), Accuracy { mean: 0.5, std: 0.0, n: 1 });
    }
}
