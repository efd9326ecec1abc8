//! Teaching a candidate, and judging it on the way.

use crate::trial::{Measurement, Outcome};
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use gtn_core::data::Batch;
use gtn_core::evaluate::{accuracy, teach_by};
use gtn_core::inner::InnerOptimizer;
use gtn_core::meta::Taught;
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_core::trainer::TeachingStep;
use std::time::Instant;

/// Real images on which candidates are judged, in memory.
#[derive(Debug, Clone)]
pub struct Exam(Vec<Batch>);

impl Exam {
    /// An exam of these batches.
    ///
    /// # Errors
    /// [`Error::Setting`] when there are none, [`Error::Core`] when they cannot be made.
    pub fn new(batches: impl IntoIterator<Item = gtn_core::Result<Batch>>) -> Result<Self> {
        let batches = batches.into_iter().collect::<gtn_core::Result<Vec<_>>>()?;
        if batches.is_empty() {
            return Err(Error::Setting("there are no images to judge candidates on".into()));
        }
        Ok(Self(batches))
    }

    /// Share of the images that a learner classifies rightly.
    fn accuracy(&self, network: &Network, taught: &Taught) -> gtn_core::Result<f64> {
        accuracy(network, taught, self.0.iter().cloned().map(Ok))
    }
}

/// How many losses are read at once: to read one would have the host wait for a GPU in every step.
const LOSSES_AT_ONCE: usize = 64;

/// Teaches a fresh learner with `lessons`, and judges it after each of `steps`. Seconds are those from `start`
/// until then, without judging on the way, and of the judging there.
///
/// # Errors
/// [`Error::Setting`] unless `steps` rise from 1 or more, [`Error::Core`] when a lesson does not fit the network.
pub(super) fn teach_and_judge(
    network: &Network,
    optimizer: InnerOptimizer,
    lessons: impl Iterator<Item = gtn_core::Result<TeachingStep>>,
    steps: &[usize],
    seed: Seed,
    exam: &Exam,
    start: Instant,
) -> Result<Vec<Measurement>> {
    if steps.first() == Some(&0) || !steps.is_sorted() {
        return Err(Error::Setting(format!(
            "expected numbers of steps that rise from 1 or more, found {steps:?}"
        )));
    }
    let (mut judging, mut found) = (0.0, Vec::with_capacity(steps.len()));
    let last = steps.last().copied().unwrap_or(0);
    let mut unread = Vec::new();
    let ended = teach_by(network, optimizer, lessons.take(last), seed, &mut |step| {
        unread.push(step.loss().clone());
        if unread.len() == LOSSES_AT_ONCE || steps.contains(&step.number) {
            let first = step.number + 1 - unread.len();
            if let Some(at) = infinite(&std::mem::take(&mut unread))? {
                return Err(gtn_core::Error::NonFinite {
                    what: "the loss",
                    place: format!("step {} of {last}", first + at),
                });
            }
        }
        for &steps in steps.iter().filter(|&&steps| steps == step.number) {
            let until_here = start.elapsed().as_secs_f64() - judging;
            let begun = Instant::now();
            let outcome = if is_finite(step.taught)? {
                Outcome::of(exam.accuracy(network, step.taught)?)
            } else {
                Outcome::Failed(format!("diverged: weights are not finite after step {steps}"))
            };
            let seconds = begun.elapsed().as_secs_f64();
            judging += seconds;
            found.push(Measurement { steps, outcome, seconds: until_here + seconds, seed: seed.0 });
        }
        Ok(())
    });
    let reason = match ended {
        Ok(_) => "there are no lessons for so many steps".to_owned(),
        Err(gtn_core::Error::NonFinite { what, place }) => {
            format!("diverged: {what} is not finite at {place}")
        }
        Err(error) => return Err(error.into()),
    };
    let seconds = start.elapsed().as_secs_f64() - judging;
    for &steps in &steps[found.len()..] {
        let outcome = Outcome::Failed(reason.clone());
        found.push(Measurement { steps, outcome, seconds, seed: seed.0 });
    }
    Ok(found)
}

/// The first of these scalars that is not finite.
fn infinite(losses: &[Tensor]) -> gtn_core::Result<Option<usize>> {
    let losses = Tensor::stack(losses, 0)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    Ok(losses.iter().position(|loss| !loss.is_finite()))
}

fn is_finite(taught: &Taught) -> gtn_core::Result<bool> {
    // A sum has no finite value if one of its terms has none.
    let sum = taught.params.flat().abs()?.sum_all()?.to_dtype(DType::F64)?;
    Ok(sum.to_scalar::<f64>()?.is_finite())
}
