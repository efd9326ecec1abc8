//! Teaching fresh learners and judging what they learned.

use crate::Result;
use crate::data::Batch;
use crate::meta::Taught;
use crate::network::Network;
use crate::seed::Seed;
use crate::trainer::{TeachingSet, fresh_learner};
use candle_core::DType;

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
    let device = set.steps.first().map_or(&candle_core::Device::Cpu, |s| s.batch.images.device());
    let params = fresh_learner(network, draw, device)?;
    let mut state = set.optimizer.start(params.flat())?;
    let running = network.fresh_running(params.flat().dtype(), device)?;
    let mut taught = Taught { params, running };
    for (step, lesson) in set.steps.iter().enumerate() {
        let found = network.learn(&taught.params, &lesson.batch, false)?;
        let (flat, next) = set.optimizer.step(
            taught.params.flat(),
            &state,
            found.gradient.flat(),
            lesson.rates,
            step,
        )?;
        state = next;
        taught = Taught {
            running: network.update_running(&taught.running, &found.means)?,
            params: taught.params.with_flat(flat),
        };
        after_step(step + 1, &taught)?;
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
    let (mut right, mut all) = (0usize, 0usize);
    for batch in batches {
        let batch = batch?;
        let logits = network.logits(&taught.params, &taught.running, &batch.images)?;
        let logits = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        let targets = batch.targets.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        all += logits.len();
        right += logits.iter().zip(&targets).filter(|(a, b)| best(a) == best(b)).count();
    }
    Ok(if all == 0 { 0.0 } else { right as f64 / all as f64 })
}

/// The first of the largest; `None` where one is not a number.
fn best(row: &[f32]) -> Option<usize> {
    if row.iter().any(|v| v.is_nan()) {
        return None;
    }
    (0..row.len()).reduce(|best, i| if row[i] > row[best] { i } else { best })
}
