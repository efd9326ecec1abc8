//! Teaching fresh learners and judging what they learned.

use crate::Result;
use crate::data::Batch;
use crate::inner::InnerOptimizer;
use crate::meta::Taught;
use crate::network::Network;
use crate::seed::Seed;
use crate::trainer::{TeachingSet, TeachingStep};
use candle_core::{DType, Device, Tensor};

/// Teaches a fresh learner, whose weights `draw` decides.
///
/// `after_step` sees the learner after each step (counted from 1).
///
/// # Errors
/// What the tensors' device or `after_step` reports. A learner that diverges is no
/// error: its accuracy tells.
pub fn teach(
    network: &Network,
    set: &TeachingSet,
    draw: Seed,
    after_step: &mut dyn FnMut(usize, &Taught) -> Result<()>,
) -> Result<Taught> {
    let lessons = set.steps.iter().cloned().map(Ok);
    teach_by(network, set.optimizer, lessons, draw, &mut |step| {
        after_step(step.number, step.taught)
    })
}

/// What [`teach_by`] shows of a step.
#[derive(Debug)]
pub struct TaughtStep<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// The learner after it.
    pub taught: &'a Taught,
    loss: &'a Tensor,
}

impl TaughtStep<'_> {
    /// The learner's loss on the step's batch, before the step: a scalar where it was computed. Whoever reads it
    /// waits for the device, so reading many at once is cheaper.
    #[must_use]
    pub fn loss(&self) -> &Tensor {
        self.loss
    }
}

/// Teaches as [`teach`], with lessons that are made one by one: a long training need not fit into memory.
///
/// # Errors
/// What `lessons`, `after_step` or the tensors' device reports.
pub fn teach_by(
    network: &Network,
    optimizer: InnerOptimizer,
    lessons: impl IntoIterator<Item = Result<TeachingStep>>,
    draw: Seed,
    after_step: &mut dyn FnMut(&TaughtStep<'_>) -> Result<()>,
) -> Result<Taught> {
    let mut lessons = lessons.into_iter().peekable();
    let device = match lessons.peek() {
        Some(Ok(first)) => first.batch.images.device().clone(),
        _ => Device::Cpu,
    };
    let params = network.first_params(draw, &device)?;
    let mut state = optimizer.start(params.flat())?;
    let running = network.fresh_running(params.flat().dtype(), &device)?;
    let mut taught = Taught { params, running };
    for (step, lesson) in lessons.enumerate() {
        let TeachingStep { batch, rates } = lesson?;
        let found = network.learn(&taught.params, &batch, false)?;
        let (flat, next) =
            optimizer.step(taught.params.flat(), &state, found.gradient.flat(), rates, step)?;
        state = next;
        taught = Taught {
            running: network.update_running(&taught.running, &found.means)?,
            params: taught.params.with_flat(flat),
        };
        after_step(&TaughtStep { number: step + 1, taught: &taught, loss: found.loss() })?;
    }
    Ok(taught)
}

/// The share of images whose most probable class is the right one: 0 to 1; 0 for no images.
///
/// Where probabilities are not numbers, no class is right.
pub fn accuracy(
    network: &Network,
    taught: &Taught,
    batches: impl IntoIterator<Item = Result<Batch>>,
) -> Result<f64> {
    let (mut logits, mut targets) = (Vec::new(), Vec::new());
    for batch in batches {
        let batch = batch?;
        logits.push(network.logits(&taught.params, &taught.running, &batch.images)?);
        targets.push(batch.targets);
    }
    if logits.is_empty() {
        return Ok(0.0);
    }
    // Read once all are on their way: reading waits for the device.
    let rows = |batches: Vec<Tensor>| -> Result<_> {
        Ok(Tensor::cat(&batches, 0)?.to_dtype(DType::F32)?.to_vec2::<f32>()?)
    };
    let (logits, targets) = (rows(logits)?, rows(targets)?);
    let is_right =
        |(a, b): &(&Vec<f32>, &Vec<f32>)| best(a).is_some_and(|class| best(b) == Some(class));
    let right = logits.iter().zip(&targets).filter(is_right).count();
    Ok(right as f64 / logits.len() as f64)
}

/// The first of the largest; `None` where one is not a number.
fn best(row: &[f32]) -> Option<usize> {
    if row.iter().any(|v| v.is_nan()) {
        return None;
    }
    (0..row.len()).reduce(|best, i| if row[i] > row[best] { i } else { best })
}
