//! The exact meta-gradient: through every step of a learner's training, with the activations of one step at a time.
//!
//! With parameters θ, optimizer state v, batch (x, y) and inner loss L, a step is
//! `g = ∇L(θ; x, y)`, `(θ, v) ← rule(θ, v, g)`. Walking back from the last step,
//! the rule's own derivative turns the adjoints of (θ, v) into the
//! adjoint `u` of `g`; then `S = ⟨∇L(θ; x, y), u⟩` is differentiated by θ, x and y.
//! `S` is the derivative of `L` along `u`: one pass with tangents, and one
//! backward pass over it ([`Network::curvature`]). Only θ, v and the batch of each step are
//! kept, and g where the rule's derivative depends on it (Adam, RMSProp). This is mixed-mode differentiation: Kemaev et al., arXiv 2505.00793.

use crate::activations::{Activations, Room};
use crate::data::Batch;
use crate::inner::{InnerOptimizer, Rates, State, StepAt};
use crate::network::{LessonTrace, Network, Params};
use crate::tensors::read;
use crate::{Error, Result};
use candle_core::Tensor;

/// What a learner is taught with, step by step, and who learns from how it went.
pub trait Syllabus {
    /// The number of steps.
    fn steps(&self) -> usize;

    /// The batch and the rates of step `step` (from 0). Whoever makes the batch may keep for [`Self::learn`] what fits
    /// into `room`.
    fn lesson(&mut self, step: usize, room: &mut Room) -> Result<(Batch, Rates)>;

    /// Takes in the adjoints of a step's batch. Called once for each step, the last step first.
    fn learn(&mut self, step: usize, adjoint: LessonAdjoint) -> Result<()>;

    /// Whether the targets are learned: if not, their adjoints are not computed.
    fn learns_targets(&self) -> bool;
}

/// Adjoints of a batch that a step was taught with.
#[derive(Debug)]
pub struct LessonAdjoint {
    /// Of the images.
    pub images: Tensor,
    /// Of the targets, where they are learned.
    pub targets: Option<Tensor>,
}

/// The real data on which a learner is judged.
pub trait Exam {
    /// The batch on which the learner is judged after step `step` (from 0); `None` where it is not. Asked once for each
    /// step, the last one first: judging goes with the way back.
    fn batch(&mut self, step: usize) -> Result<Option<Batch>>;
}

/// A learner after its training.
#[derive(Debug, Clone)]
pub struct Taught {
    /// Its parameters.
    pub params: Params,
    /// Its running means.
    pub running: Params,
}

/// What [`meta_gradient`] returns; the adjoints of the batches went to [`Syllabus::learn`].
#[derive(Debug)]
pub struct MetaGradient {
    /// The meta-losses added up.
    pub meta_loss: f64,
    /// The learner's loss on each step's batch, before the step.
    pub inner_losses: Vec<f64>,
    /// The gradient of the sum of the meta-losses by the rates of each step.
    pub rates: Vec<Rates>,
    /// The learner after the last step.
    pub taught: Taught,
    /// The gradient of the sum of the meta-losses by the learner's first parameters.
    pub initial: Params,
}

/// What a step leaves for the way back.
struct Footprint {
    params: Params,
    running: Params,
    state: State,
    batch: Batch,
    rates: Rates,
    gradient: Option<Tensor>,
    trace: Option<LessonTrace>,
}

/// Trains a learner and differentiates the sum of its meta-losses through the training.
///
/// The host waits for the device three times, however many steps there are: for the losses of the
/// training, and at the end for the meta-losses and for the gradient by the rates.
///
/// # Errors
/// [`Error::NonFinite`] that names the step at which the learner's loss or
/// the meta-loss became infinite or not-a-number.
pub fn meta_gradient(
    network: &Network,
    optimizer: InnerOptimizer,
    initial: &Params,
    syllabus: &mut dyn Syllabus,
    exam: &mut dyn Exam,
    activations: Activations,
) -> Result<MetaGradient> {
    let steps = syllabus.steps();
    let flat = initial.flat();
    let running = network.fresh_running(flat.dtype(), flat.device())?;

    let mut footprints: Vec<Footprint> = Vec::with_capacity(steps);
    let mut inner_losses = Vec::with_capacity(steps);
    let mut taught = Taught { params: initial.clone(), running };
    let mut state = optimizer.start(flat)?;
    let mut room = Room::from(activations);
    for step in 0..steps {
        let (batch, rates) = syllabus.lesson(step, &mut room)?;
        let lesson = network.learn(&taught.params, &batch, room.is_left())?;
        inner_losses.push(lesson.loss().clone());
        let (params, after) =
            optimizer.step(taught.params.flat(), &state, lesson.gradient.flat(), rates, step)?;
        let next = Taught {
            running: network.update_running(&taught.running, &lesson.means)?,
            params: taught.params.with_flat(params),
        };
        let before = std::mem::replace(&mut taught, next);
        let gradient = optimizer.keeps_gradient().then(|| lesson.gradient.flat().clone());
        let kept = room.take(lesson.trace.bytes(&batch));
        footprints.push(Footprint {
            params: before.params,
            running: before.running,
            state: std::mem::replace(&mut state, after),
            trace: kept.then_some(lesson.trace),
            batch,
            rates,
            gradient,
        });
    }

    let inner_losses = read(&inner_losses)?;
    for (step, &loss) in inner_losses.iter().enumerate() {
        finite("inner loss", loss, step, steps)?;
    }

    let learned = taught.clone();
    let mut adjoint = Adjoint {
        params: initial.with_flat(flat.zeros_like()?),
        running: network.fresh_running(flat.dtype(), flat.device())?,
        state: optimizer.start(flat)?,
    };
    let mut meta_losses = Vec::new();
    let mut rates = Vec::with_capacity(2 * steps);
    for (step, footprint) in footprints.into_iter().enumerate().rev() {
        if let Some(batch) = exam.batch(step)? {
            let onto = [&adjoint.params, &adjoint.running];
            let Taught { params, running } = &taught;
            let (loss, sums) = network.judge_gradient(params, running, &batch, Some(onto))?;
            meta_losses.push((step, loss));
            [adjoint.params, adjoint.running] = sums;
        }
        let at = StepAt {
            before: &footprint.state,
            after: &state,
            gradient: footprint.gradient.as_ref(),
            rates: footprint.rates,
            step,
        };
        let update = optimizer.adjoint(at, adjoint.params.flat(), &adjoint.state)?;
        let (running, means) = network.running_adjoints(&adjoint.running)?;
        let trace = match footprint.trace {
            Some(trace) => trace,
            None => network.retrace(&footprint.params, &footprint.batch)?,
        };
        let direction = taught.params.with_flat(update.gradient);
        let (soft, onto) = (syllabus.learns_targets(), Some(&adjoint.params));
        let curvature = network.curvature(&trace, &direction, &means, soft, onto)?;
        drop(trace);
        adjoint = Adjoint { params: curvature.params, running, state: update.state };
        let images = match curvature.images {
            Some(images) => images,
            None => footprint.batch.images.zeros_like()?,
        };
        rates.extend([update.momentum, update.lr]);
        syllabus.learn(step, LessonAdjoint { images, targets: curvature.targets })?;
        taught = Taught { params: footprint.params, running: footprint.running };
        state = footprint.state;
    }
    let (judged_after, losses): (Vec<_>, Vec<_>) = meta_losses.into_iter().unzip();
    let losses = read(&losses)?;
    for (&step, &loss) in judged_after.iter().zip(&losses) {
        finite("meta-loss", loss, step, steps)?;
    }
    // The last step's momentum came first.
    rates.reverse();
    let rates = read(&rates)?;
    let rates = rates.chunks_exact(2).map(|pair| Rates { lr: pair[0], momentum: pair[1] });
    Ok(MetaGradient {
        meta_loss: losses.iter().sum(),
        inner_losses,
        rates: rates.collect(),
        taught: learned,
        initial: adjoint.params,
    })
}

/// Adjoints of what one step hands to the next.
struct Adjoint {
    params: Params,
    running: Params,
    state: State,
}

fn finite(what: &'static str, value: f64, step: usize, steps: usize) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::NonFinite { what, place: format!("inner step {} of {steps}", step + 1) })
}
