//! What a learner is taught with: synthetic batches drawn as a picture, real ones put together.

use crate::batches::Shuffled;
use crate::sheet::{self, Limits};
use anyhow::Result;
use candle_core::D;
use gtn_core::data::Batches;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::trainer::{TeachingSet, TeachingStep};

/// The class that each sample of each step mostly stands for.
///
/// # Errors
/// When the device fails.
pub fn labels(set: &TeachingSet) -> Result<Vec<Vec<u32>>> {
    set.steps
        .iter()
        .map(|step| Ok(step.batch.targets.argmax(D::Minus1)?.to_vec1::<u32>()?))
        .collect()
}

/// The batches in the order in which they are taught, as many as `limits` leaves room for, as a PNG file.
///
/// # Errors
/// When the device fails, or `limits` leaves no room.
pub fn sheet_png(set: &TeachingSet, limits: Limits) -> Result<Vec<u8>> {
    let images: Vec<_> = set.steps.iter().map(|step| step.batch.images.clone()).collect();
    sheet::png_bytes(&sheet::sheet(&images, &labels(set)?, limits)?)
}

/// Real batches to learn from with the same rates at every step.
///
/// # Errors
/// When the device fails.
pub fn real(
    batches: &Shuffled,
    [steps, size]: [usize; 2],
    rates: Rates,
    optimizer: InnerOptimizer,
) -> Result<TeachingSet> {
    let step = |number| Ok(TeachingStep { batch: batches.batch(number, size)?, rates });
    let steps = (0..steps as u64).map(step).collect::<Result<_>>()?;
    Ok(TeachingSet { steps, optimizer })
}
