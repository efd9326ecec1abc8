//! Opened: the teacher, the data and whatever else candidates are judged with.

use super::judging::{EvaluatorName, Judging, Tuning};
use crate::batches::{Judged, Shuffled, image_shape};
use crate::data;
use crate::error::Usage;
use crate::progress::Progress;
use crate::report::words::short;
use crate::trained::Trained;
use crate::tuning::{Given, tune};
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use gtn_core::data::{Batch, Batches, ImageShape};
use gtn_core::inner::Rates;
use gtn_core::network::{Network, Normalization};
use gtn_core::seed::Seed;
use gtn_data::Dataset;
use gtn_nas::evaluator::proxy::ZeroCost;
use gtn_nas::evaluator::{Evaluator, Exam, Full, Gtn, Lowered, Real, judge};
use gtn_nas::space::{NetworkSpace, SpaceSpec};
use gtn_nas::{side_by_side, with_space};
use std::ops::ControlFlow;
use std::path::Path;

/// Images at which proxies look, at most.
const PROBED: usize = 64;
/// Steps on real data where nobody says otherwise.
const REAL_STEPS: usize = 32;
/// Share of the old running mean in the new one, in long trainings: one batch's means would be noise.
const FULL_NORM_MOMENTUM: f64 = 0.9;

/// All that evaluators look at.
pub struct Materials {
    /// The teacher, if there is one.
    pub trained: Option<Trained>,
    /// The real data.
    pub dataset: Dataset,
    /// The device of all tensors.
    pub device: Device,
    train: Shuffled,
    augmented: Shuffled,
    validation: Exam,
    probed: Batch,
}

impl Materials {
    /// Opens what `judging` names.
    ///
    /// # Errors
    /// When something is missing or damaged, or there are no validation images.
    pub fn open(judging: &Judging, device: Device) -> Result<Self> {
        let data = judging.data.as_deref();
        let run = judging.run.as_deref().map(Path::new);
        let trained = run.map(|run| Trained::open(run, data, device.clone())).transpose()?;
        let dataset = match &trained {
            Some(trained) => trained.dataset.clone(),
            None => data::open(data.unwrap_or("digits"), None)?,
        };
        Self::on(judging, dataset, trained, device)
    }

    /// The same with the data and the teacher at hand: what `judging` calls them is of no account.
    ///
    /// # Errors
    /// When there are no validation images.
    pub fn on(
        judging: &Judging,
        dataset: Dataset,
        trained: Option<Trained>,
        device: Device,
    ) -> Result<Self> {
        let classes = dataset.classes().len();
        let shuffled = |split| Shuffled::new(split, classes, Seed(0), &device);
        let train = shuffled(dataset.train())?;
        let thinned = judging.full.images.map(|images| dataset.train().thinned(images));
        let augmented = shuffled(thinned.as_ref().unwrap_or(dataset.train()))?
            .augmented(judging.full.augment, "full.augment")?;
        let validation =
            Judged::new(dataset.validation(), "validation", classes, judging.judged, &device)?;
        // No more than there are: no image is looked at twice.
        let probed = train.batch(0, PROBED.min(dataset.train().len()))?;
        let validation = Exam::new(validation.batches())?;
        Ok(Self { trained, train, augmented, validation, probed, device, dataset })
    }

    /// The shape of the images.
    #[must_use]
    pub fn image(&self) -> ImageShape {
        image_shape(&self.dataset)
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.dataset.classes().len()
    }

    /// The exam on validation images.
    #[must_use]
    pub fn validation(&self) -> &Exam {
        &self.validation
    }

    /// An exam on all test images.
    ///
    /// # Errors
    /// When the device fails.
    pub fn test(&self) -> Result<Exam> {
        let test = self.dataset.test();
        let judged = Judged::new(test, "test", self.classes(), usize::MAX, &self.device)?;
        Ok(Exam::new(judged.batches())?)
    }

    /// An evaluator, of networks that are judged on the validation split.
    ///
    /// # Errors
    /// [`Usage`] when it needs a run and there is none.
    pub fn evaluator<'a>(
        &'a self,
        name: EvaluatorName,
        judging: &Judging,
    ) -> Result<Box<dyn Evaluator<Network> + 'a>> {
        Ok(match name {
            EvaluatorName::Gtn => {
                let Some(trained) = &self.trained else {
                    return Err(Usage::error(
                        "the evaluator gtn needs a trained teacher; name its run folder with --run",
                    ));
                };
                Box::new(Gtn::new(&trained.trainer, trained.real(), &self.validation))
            }
            EvaluatorName::Real => Box::new(self.real(judging, settled(judging.real.rates())?)),
            EvaluatorName::Full => Box::new(self.full(judging, &self.validation)?),
            EvaluatorName::Proxy(proxy) => Box::new(ZeroCost { proxy, batch: &self.probed }),
        })
    }

    /// Trainings on real data.
    fn real(&self, judging: &Judging, rates: Rates) -> Real<'_> {
        Real {
            batches: &self.train,
            batch: self.batch(judging),
            steps: REAL_STEPS,
            optimizer: judging.real.optimizer,
            rates,
            exam: &self.validation,
        }
    }

    /// Long trainings on real data, judged by `exam`.
    ///
    /// # Errors
    /// When learning rate and momentum are not settled.
    pub fn full<'a>(&'a self, judging: &Judging, exam: &'a Exam) -> Result<Full<'a>> {
        Ok(Full {
            batches: &self.augmented,
            batch: judging.full.batch.unwrap_or_else(|| self.batch(judging)),
            steps: judging.full.steps,
            optimizer: judging.real.optimizer,
            rates: settled(judging.full_rates())?,
            exam,
        })
    }

    /// Images of a batch of real data.
    fn batch(&self, judging: &Judging) -> usize {
        let teacher = self.trained.as_ref().map(|trained| trained.config.recipe.inner.batch);
        judging.real.batch.or(teacher).unwrap_or(64)
    }

    /// The same evaluator for the architectures of a space.
    pub fn lowered<'a, S, E: ?Sized>(
        &self,
        name: EvaluatorName,
        space: &'a S,
        evaluator: &'a E,
    ) -> Lowered<'a, S, E> {
        let teacher = self.trained.as_ref().map(|t| t.config.recipe.learner.normalization());
        let mut normalization: Normalization = teacher.unwrap_or_default();
        if name == EvaluatorName::Full {
            normalization.norm_momentum = FULL_NORM_MOMENTUM;
        }
        let (image, classes) = (self.image(), self.classes());
        Lowered { space, image, classes, normalization, evaluator }
    }

    /// Fills in what `judging` leaves open. Learning rate and momentum are only looked for where `names` hold an
    /// evaluator that trains on real data.
    ///
    /// # Errors
    /// When the device fails.
    pub fn settle(
        &self,
        judging: &mut Judging,
        names: &[EvaluatorName],
        space: SpaceSpec,
        seed: Seed,
        workers: usize,
    ) -> Result<()> {
        let path = self.trained.as_ref().map(|trained| trained.config.data.path.clone());
        judging.data.get_or_insert_with(|| path.unwrap_or_else(|| "digits".into()));
        judging.real.batch = Some(self.batch(judging));
        let real = names.contains(&EvaluatorName::Real) && judging.real.rates().is_none();
        let full = names.contains(&EvaluatorName::Full) && judging.full_rates().is_none();
        if real || full {
            let (own, long) = (&judging.real, &judging.full);
            let given = if real {
                Given { lr: own.lr, momentum: own.momentum }
            } else {
                Given { lr: long.lr.or(own.lr), momentum: long.momentum.or(own.momentum) }
            };
            let rates =
                with_space!(space, space => self.tune(judging, &space, given, seed, workers))?;
            (judging.real.lr, judging.real.momentum) = (Some(rates.lr), Some(rates.momentum));
            tracing::info!(
                "real data: learning rate {} and momentum {} do best on the validation split",
                short(rates.lr),
                short(rates.momentum)
            );
        }
        Ok(())
    }

    /// The learning rate and momentum that do best on the validation split, on the mean over a few architectures.
    fn tune<S: NetworkSpace>(
        &self,
        judging: &Judging,
        space: &S,
        given: Given,
        seed: Seed,
        workers: usize,
    ) -> Result<Rates> {
        let Tuning { architectures, steps } = judging.tuning;
        let (name, total) = ("tuning on real data", given.pairs() * architectures);
        let mut progress = Progress::new(name, total, 0);
        let (mut scored, mut failure) = (false, None);
        let rates = tune(
            judging.real.optimizer,
            given,
            architectures,
            &mut progress,
            |rates, progress| {
                let real = self.real(judging, rates);
                let lowered = self.lowered(EvaluatorName::Real, space, &real);
                let mut scores = Vec::with_capacity(architectures);
                side_by_side(
                    workers,
                    0..architectures as u64,
                    |&number| {
                        let seed = seed.derive("tuning", number);
                        let arch = space.sample(&mut seed.rng());
                        judge(&lowered, &arch, &[steps], seed).remove(0)
                    },
                    |_, measured| {
                        scores.push(measured);
                        progress.step("");
                        ControlFlow::<()>::Continue(())
                    },
                )?;
                // In an order of their own, so that the sum is the same whoever was first.
                scores.sort_by_key(|measured| measured.seed);
                scored |= scores.iter().any(|measured| measured.score().is_some());
                let reason = || scores.iter().find_map(|measured| measured.failure());
                failure = failure.take().or_else(|| reason().map(str::to_owned));
                let sum: f64 = scores.iter().map(|measured| measured.score().unwrap_or(0.0)).sum();
                Ok(sum / architectures as f64)
            },
        )?;
        ensure!(
            scored,
            "no training on real data came to an end, whatever its learning rate and momentum, the first for this reason: {}",
            failure.unwrap_or_default()
        );
        Ok(rates)
    }
}

fn settled(rates: Option<Rates>) -> Result<Rates> {
    rates.context("learning rate and momentum for real data are not settled yet")
}
