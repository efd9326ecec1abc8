//! The outer loop: one meta-iteration after another.

mod adam;
mod checkpoint;
mod muon;

pub use checkpoint::write_beside;

use crate::activations::{Activations, Room};
use crate::data::{Batch, Batches, ImageShape};
use crate::inner::{InnerOptimizer, Rates};
use crate::learner::{LearnerFamily, LearnerSpec};
use crate::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use crate::network::{Init, Layout, Params};
use crate::recipe::{MetaSpec, OuterOptimizer, Recipe};
use crate::seed::Seed;
use crate::teacher::{Course, Teacher};
use crate::tensors::{inner_product, joined, read};
use crate::{Error, Result};
use adam::Adam;
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Names of what is learned about the inner loop, `(steps)` each.
const LOG_LR: &str = "log_lr";
/// Logits, so that a momentum stays between 0 and 1.
const LOGIT_MOMENTUM: &str = "logit_momentum";
/// Beyond this a momentum's logit counts no further: single precision cannot tell its sigmoid from 1.
const STEEP: f32 = 15.0;

/// Trains a teacher of learners of the family `L`.
#[derive(Debug)]
pub struct Trainer<L = LearnerSpec> {
    recipe: Recipe<L>,
    image: ImageShape,
    classes: usize,
    device: Device,
    activations: Activations,
    teacher: Box<dyn Teacher>,
    iteration: usize,
    learned: Params,
    adam: Adam,
}

/// What a meta-iteration found.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Its number, from 1.
    pub iteration: usize,
    /// The meta-loss: cross-entropy on real data, mean over the times that the learner was judged.
    pub meta_loss: f64,
    /// The learner's loss on its last synthetic batch.
    pub inner_loss: f64,
    /// Norm of the meta-gradient before clipping.
    pub gradient_norm: f64,
    /// The outer learning rate.
    pub outer_lr: f64,
    /// Learners that diverged before the one that this tells of; see [`LearnerFamily::varies`].
    pub diverged: usize,
}

/// Learners that a meta-iteration draws at most, when one after the other diverges.
const DRAWS: usize = 5;

/// What a learner is taught with from its first step to its last.
#[derive(Debug, Clone)]
pub struct TeachingSet {
    /// The steps in order.
    pub steps: Vec<TeachingStep>,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
}

/// One step of a [`TeachingSet`].
#[derive(Debug, Clone)]
pub struct TeachingStep {
    /// Images and targets.
    pub batch: Batch,
    /// Learning rate and momentum.
    pub rates: Rates,
}

impl<L: LearnerFamily> Trainer<L> {
    /// A trainer before its first meta-iteration.
    ///
    /// # Errors
    /// [`Error::Spec`] when the recipe does not fit the data.
    pub fn new(
        recipe: &Recipe<L>,
        image: ImageShape,
        classes: usize,
        device: &Device,
    ) -> Result<Self> {
        recipe.validate()?;
        let teacher = recipe.teacher.build(&recipe.inner, image, classes)?;
        // A learner that does not fit the data is told about now, not after the first draw.
        recipe.learner.network(Seed(recipe.seed), image, classes)?;
        let mut layout = Layout::default();
        teacher.declare(&mut layout)?;
        let steps = [recipe.inner.steps];
        layout.push(LOG_LR, &steps, Init::Constant(recipe.inner.lr.ln()))?;
        let momentum = recipe.inner.momentum;
        let logit = (momentum / (1.0 - momentum)).ln();
        layout.push(LOGIT_MOMENTUM, &steps, Init::Constant(logit))?;

        let layout = Arc::new(layout);
        let mut rng = Seed(recipe.seed).derive("teacher", 0).rng();
        let learned = Params::init(&layout, DType::F32, device, &mut rng)?;
        Ok(Self {
            adam: Adam::start(learned.flat())?,
            recipe: recipe.clone(),
            image,
            classes,
            device: device.clone(),
            activations: Activations::default(),
            teacher,
            iteration: 0,
            learned,
        })
    }

    /// A trainer that goes on from a checkpoint, as if it had never stopped.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when the file is damaged or of another recipe.
    pub fn resume(
        recipe: &Recipe<L>,
        image: ImageShape,
        classes: usize,
        device: &Device,
        checkpoint: &Path,
    ) -> Result<Self> {
        let mut trainer = Self::new(recipe, image, classes, device)?;
        trainer.load(checkpoint)?;
        Ok(trainer)
    }

    /// The same without the data at hand: images and classes are those that the checkpoint was made for.
    ///
    /// # Errors
    /// As [`Trainer::resume`].
    pub fn reopen(recipe: &Recipe<L>, device: &Device, checkpoint: &Path) -> Result<Self> {
        let (image, classes) = checkpoint::made_for::<L>(checkpoint)?;
        Self::resume(recipe, image, classes, device, checkpoint)
    }

    /// Sets what becomes of activations between the two sweeps, [`Activations::default`] if nobody says; the results do not
    /// depend on it.
    pub fn with_activations(mut self, activations: Activations) -> Self {
        self.activations = activations;
        self
    }

    /// Meta-iterations done.
    pub fn iteration(&self) -> usize {
        self.iteration
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe<L> {
        &self.recipe
    }

    /// Everything that is learned, by name.
    pub fn learned(&self) -> &Params {
        &self.learned
    }

    /// Does one meta-iteration. Where a learner diverges and others are different, another is drawn.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when a loss or the meta-gradient is not finite, of five draws one after the other where
    /// learners differ; the trainer is then unchanged.
    pub fn step(&mut self, real: &dyn Batches) -> Result<Iteration> {
        let draw = Seed(self.recipe.seed).derive("iteration", self.iteration as u64);
        let draws = if self.recipe.learner.varies() { DRAWS } else { 1 };
        let mut done = self.step_with(draw, real);
        for diverged in 1..draws {
            if !matches!(done, Err(Error::NonFinite { .. })) {
                break;
            }
            done = self
                .step_with(draw.derive("another learner", diverged as u64), real)
                .map(|done| Iteration { diverged, ..done });
        }
        done
    }

    /// One meta-iteration with the learner that `draw` draws.
    fn step_with(&mut self, draw: Seed, real: &dyn Batches) -> Result<Iteration> {
        let network = self.recipe.learner.network(draw, self.image, self.classes)?;
        let initial = network.first_params(draw, &self.device)?;
        let steps = self.recipe.inner.steps;
        let meta = self.recipe.meta_at(self.iteration);
        let mut teaching = Teaching {
            course: self.teacher.open(&self.learned, draw, real)?,
            learns_targets: self.teacher.learns_targets(),
            rates: self.rates()?,
        };
        let mut judging = Judging {
            meta,
            steps,
            real,
            // Batches are numbered on from one meta-iteration to the next; a late one, with fewer exams, leaves numbers out.
            next: ((self.iteration + 1) * self.recipe.meta.exams(steps)) as u64,
        };
        let place = || format!("meta-iteration {}", self.iteration + 1);
        let found = meta_gradient(
            &network,
            self.recipe.inner.optimizer,
            &initial,
            &mut teaching,
            &mut judging,
            self.activations,
        )
        .map_err(|error| match error {
            Error::NonFinite { what, place: step } => {
                Error::NonFinite { what, place: format!("{step} of {}", place()) }
            }
            other => other,
        })?;

        let gradient = self.gradient(teaching.finish(&found.rates, &self.device)?)?;
        let scale = 1.0 / meta.exams(steps) as f64;
        let norm = read(&[inner_product(&gradient, &gradient)?])?[0].sqrt() * scale;
        let clip = self.recipe.outer.clip;
        let shrink = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        // The squares of a longer one would be infinite, and Adam's mean of them for good.
        let longest = f64::from(f32::MAX).sqrt();
        if !norm.is_finite() || norm * shrink > longest {
            return Err(Error::NonFinite { what: "meta-gradient", place: place() });
        }
        let outer_lr = adam::cosine(&self.recipe.outer, self.iteration, self.recipe.iterations);
        let (learned, adam) = self.adam.step(
            &self.recipe.outer,
            outer_lr,
            self.iteration,
            self.learned.flat(),
            &gradient,
            scale * shrink,
        )?;
        let mut learned = self.learned.with_flat(learned);
        if self.recipe.outer.optimizer == OuterOptimizer::Muon {
            let means = self.learned.with_flat(adam.mean.clone());
            let weights = self.teacher.weights();
            learned = muon::stepped(&self.learned, learned, &means, &weights, outer_lr)?;
        }
        self.learned = learned;
        self.adam = adam;
        self.iteration += 1;
        Ok(Iteration {
            iteration: self.iteration,
            meta_loss: found.meta_loss * scale,
            inner_loss: found.inner_losses.last().copied().unwrap_or(f64::NAN),
            gradient_norm: norm,
            outer_lr,
            diverged: 0,
        })
    }

    /// What a fresh learner is taught with, as `draw` decides where something is drawn at random.
    pub fn teaching_set(&self, draw: Seed, real: &dyn Batches) -> Result<TeachingSet> {
        let mut course = self.teacher.open(&self.learned, draw, real)?;
        let steps = self.rates()?.into_iter().enumerate().map(|(step, rates)| {
            Ok(TeachingStep { batch: course.batch(step, &mut Room::none())?, rates })
        });
        Ok(TeachingSet {
            steps: steps.collect::<Result<_>>()?,
            optimizer: self.recipe.inner.optimizer,
        })
    }

    /// The learned learning rate and momentum of each step; momenta between 3·10⁻⁷ and 1 − 3·10⁻⁷.
    pub fn rates(&self) -> Result<Vec<Rates>> {
        let steps = self.recipe.inner.steps;
        let both = [LOG_LR, LOGIT_MOMENTUM].map(|name| Ok((Some(self.learned.get(name)?), steps)));
        let both = both.into_iter().collect::<Result<Vec<_>>>()?;
        // By themselves: of a part of a device's tensor, candle brings the whole to the host.
        let both = joined(&both, DType::F32, &self.device)?.to_vec1::<f32>()?;
        let (lrs, momenta) = both.split_at(steps);
        let rate = |(&lr, &logit): (&f32, &f32)| Rates {
            lr: f64::from(lr).exp(),
            momentum: 1.0 / (1.0 + (-f64::from(logit.clamp(-STEEP, STEEP))).exp()),
        };
        Ok(lrs.iter().zip(momenta).map(rate).collect())
    }

    fn gradient(&self, named: HashMap<String, Tensor>) -> Result<Tensor> {
        let layout = self.learned.layout();
        let parts: Vec<_> =
            layout.slots().iter().map(|slot| named.get(&slot.name).cloned()).collect();
        Ok(Params::gather(layout, &parts, DType::F32, &self.device)?.flat().clone())
    }
}

/// A course with its rates.
struct Teaching<'a> {
    course: Box<dyn Course + 'a>,
    learns_targets: bool,
    rates: Vec<Rates>,
}

impl Syllabus for Teaching<'_> {
    fn steps(&self) -> usize {
        self.rates.len()
    }

    fn lesson(&mut self, step: usize, room: &mut Room) -> Result<(Batch, Rates)> {
        Ok((self.course.batch(step, room)?, self.rates[step]))
    }

    fn learn(&mut self, step: usize, adjoint: LessonAdjoint) -> Result<()> {
        self.course.learn(step, adjoint.images, adjoint.targets)
    }

    fn learns_targets(&self) -> bool {
        self.learns_targets
    }
}

impl Teaching<'_> {
    /// All gradients by name, where `by_rates` is that by the rates themselves.
    fn finish(self, by_rates: &[Rates], device: &Device) -> Result<HashMap<String, Tensor>> {
        let mut all: HashMap<_, _> = self.course.gradients()?.into_iter().collect();
        let learned = self.rates.iter().zip(by_rates).map(|(rates, by)| {
            let slope = rates.momentum * (1.0 - rates.momentum);
            ((by.lr * rates.lr) as f32, (by.momentum * slope) as f32)
        });
        let (lr, momentum): (Vec<f32>, Vec<f32>) = learned.unzip();
        all.insert(LOG_LR.into(), Tensor::new(lr, device)?);
        all.insert(LOGIT_MOMENTUM.into(), Tensor::new(momentum, device)?);
        Ok(all)
    }
}

/// Judges on real batches. They are asked for from the last step to the first.
struct Judging<'a> {
    meta: MetaSpec,
    steps: usize,
    real: &'a dyn Batches,
    next: u64,
}

impl Exam for Judging<'_> {
    fn batch(&mut self, step: usize) -> Result<Option<Batch>> {
        if !self.meta.judged_after(step, self.steps) {
            return Ok(None);
        }
        self.next -= 1;
        self.real.batch(self.next, self.meta.batch).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::one_hot;
    use crate::ops::check::uniform;
    use crate::recipe::{InnerSpec, MetaSpec, OuterSpec};
    use crate::teacher::TeacherSpec;

    const IMAGE: ImageShape = ImageShape { channels: 1, height: 8, width: 8 };

    /// Always the same images.
    struct Same;

    impl Batches for Same {
        fn batch(&self, _index: u64, size: usize) -> Result<Batch> {
            let labels: Vec<u32> = (0..size as u32).map(|i| i % 3).collect();
            let images = uniform(&[size, 1, 8, 8], 1).to_dtype(DType::F32)?;
            Ok(Batch { images, targets: one_hot(&labels, 3, DType::F32, &Device::Cpu)? })
        }
    }

    fn trainer(outer: OuterSpec) -> Trainer {
        let recipe = Recipe {
            learner: "conv2_fc:4,5,6".parse().unwrap(),
            teacher: TeacherSpec::Pixels { learned_labels: false },
            inner: InnerSpec { steps: 2, batch: 6, ..InnerSpec::default() },
            meta: MetaSpec { batch: 9, every: 1, late: None },
            outer,
            ..Recipe::default()
        };
        Trainer::new(&recipe, IMAGE, 3, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_longer_gradient_is_scaled_down_to_the_limit() {
        // The mean of gradients after one step is a share of the step's gradient.
        let length = |clip: f64| {
            let mut trainer = trainer(OuterSpec { beta1: 0.75, clip, ..OuterSpec::default() });
            let norm = trainer.step(&Same).unwrap().gradient_norm;
            let mean = &trainer.adam.mean;
            (norm, read(&[inner_product(mean, mean).unwrap()]).unwrap()[0].sqrt() / 0.25)
        };
        let (norm, unlimited) = length(0.0);
        assert!((unlimited / norm - 1.0).abs() < 1e-5, "{unlimited}, {norm}");
        for (clip, expected) in [(norm / 4.0, norm / 4.0), (norm * 4.0, norm)] {
            let (same, found) = length(clip);
            assert_eq!(same, norm);
            assert!((found / expected - 1.0).abs() < 1e-5, "{found}, expected {expected}");
        }
    }

    #[test]
    fn momenta_stay_between_0_and_1() {
        let mut trainer = trainer(OuterSpec::default());
        let far = Tensor::full(1e9f32, trainer.learned.flat().dims(), &Device::Cpu).unwrap();
        for far in [far.neg().unwrap(), far] {
            trainer.learned = trainer.learned.with_flat(far);
            let inside = |m: f64| (m as f32) > 0.0 && (m as f32) < 1.0;
            assert!(trainer.rates().unwrap().iter().all(|rates| inside(rates.momentum)));
        }
    }
}
