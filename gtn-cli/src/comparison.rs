//! Learners taught by the teacher against learners taught by real data.
//!
//! Both kinds are as many, start from the same weights, take as many steps with batches of
//! the same size under the same optimizer, and are judged on the same test images. The
//! learning rates that the teacher learned are answered by a search on the validation split:
//! whatever pair of learning rate and momentum does best there is used for the real data.

use crate::batches::{Judged, Shuffled};
use crate::learner::Learner;
use crate::progress::Progress;
use crate::records::{Accuracy, CurvePoint, Eval, Spread, Tuned};
use crate::teaching;
use crate::trained::Trained;
use crate::tuning::{PAIRS, tune};
use anyhow::Result;
use gtn_core::evaluate::{accuracy, teach};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::learner::LearnerFamily;
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::trainer::TeachingSet;
use gtn_data::Augment;

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
    let (dataset, device, classes) = (&trained.dataset, &trained.device, trained.classes());
    let inner = &trained.config.recipe.inner;
    let judged = |split, name, limit| Judged::new(split, name, classes, limit, device);
    let school = School {
        trained,
        learner,
        test: judged(dataset.test(), "test", usize::MAX)?,
        on_the_way: judged(dataset.test(), "test", CURVE_IMAGES)?,
        validation: judged(dataset.validation(), "validation", TUNING_IMAGES)?,
        real: Shuffled::new(dataset.train(), classes, Augment::default(), Seed(0), device)?,
        optimizer: inner.optimizer,
        steps: inner.steps,
        batch: inner.batch,
    };
    let first = PAIRS * LEARNERS_A_PAIR;
    let mut progress = Progress::new("evaluating", first + 2 * learners, 0);
    let rates = tune(inner.optimizer, LEARNERS_A_PAIR, &mut progress, |rates, progress| {
        school.score(rates, progress)
    })?;

    let (mut synthetic, mut real) = (Vec::new(), Vec::new());
    for index in 0..learners as u64 {
        let seed = trained.seed("eval", index);
        synthetic.push(school.course(&trained.teaching_set(seed)?, seed)?);
        progress.step("taught by synthetic data");
        real.push(school.course(&school.real_set(rates, seed)?, seed)?);
        progress.step("taught by real data");
    }
    let marks = school.marks();
    let points = marks.iter().enumerate().map(|(mark, &step)| CurvePoint {
        step,
        synthetic: spread(&synthetic, mark),
        real: spread(&real, mark),
    });
    let (of_synthetic, of_real) =
        (spread(&synthetic, marks.len() - 1), spread(&real, marks.len() - 1));
    Ok(Eval {
        steps: school.steps,
        synthetic: Accuracy { mean: of_synthetic.mean, std: of_synthetic.std, n: learners },
        real: Tuned {
            mean: of_real.mean,
            std: of_real.std,
            n: learners,
            lr: rates.lr,
            momentum: rates.momentum,
        },
        curve: points.collect(),
    })
}

struct School<'a> {
    trained: &'a Trained,
    learner: &'a Learner,
    test: Judged,
    on_the_way: Judged,
    validation: Judged,
    real: Shuffled,
    optimizer: InnerOptimizer,
    steps: usize,
    batch: usize,
}

impl School<'_> {
    /// The steps after which a learner is judged: powers of two, and the last.
    fn marks(&self) -> Vec<usize> {
        let powers = std::iter::successors(Some(1), |step| Some(2 * step));
        powers.take_while(|&step| step < self.steps).chain([self.steps]).collect()
    }

    /// Test accuracies of a fresh learner at each mark.
    fn course(&self, set: &TeachingSet, seed: Seed) -> Result<Vec<f64>> {
        let (network, marks) = (self.network(seed)?, self.marks());
        let mut accuracies = Vec::with_capacity(marks.len());
        teach(&network, set, seed, &mut |step, taught| {
            if marks.contains(&step) {
                let judged = if step == self.steps { &self.test } else { &self.on_the_way };
                accuracies.push(accuracy(&network, taught, judged.batches())?);
            }
            Ok(())
        })?;
        Ok(accuracies)
    }

    fn network(&self, seed: Seed) -> Result<Network> {
        Ok(self.learner.network(seed, self.trained.image(), self.trained.classes())?)
    }

    fn real_set(&self, rates: Rates, seed: Seed) -> Result<TeachingSet> {
        let batches = self.real.reordered(seed.derive("real batches", 0));
        teaching::real(&batches, [self.steps, self.batch], rates, self.optimizer)
    }

    /// Mean validation accuracy of a few learners.
    fn score(&self, rates: Rates, progress: &mut Progress) -> Result<f64> {
        let mut sum = 0.0;
        for index in 0..LEARNERS_A_PAIR as u64 {
            let seed = self.trained.seed("tuning", index);
            let set = self.real_set(rates, seed)?;
            let network = self.network(seed)?;
            let taught = teach(&network, &set, seed, &mut |_, _| Ok(()))?;
            sum += accuracy(&network, &taught, self.validation.batches())?;
            progress.step("tuning on real data");
        }
        Ok(sum / LEARNERS_A_PAIR as f64)
    }
}

/// Mean and sample standard deviation over learners of their accuracies at one mark.
fn spread(learners: &[Vec<f64>], mark: usize) -> Spread {
    let at_mark: Vec<f64> = learners.iter().map(|accuracies| accuracies[mark]).collect();
    let Accuracy { mean, std, .. } = Accuracy::of(&at_mark);
    Spread { mean, std }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_mean_and_sample_deviation() {
        let learners = [vec![0.0, 0.5], vec![0.0, 0.7]];
        let Spread { mean, std } = spread(&learners, 1);
        assert!((mean - 0.6).abs() < 1e-12 && (std - 0.02f64.sqrt()).abs() < 1e-12, "{mean} {std}");
        assert_eq!(spread(&learners[..1], 1), Spread { mean: 0.5, std: 0.0 });
    }
}
