//! What goes wrong with a candidate.

use super::Evaluator;
use crate::trial::{Measurement, Outcome};
use gtn_core::seed::Seed;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Judges a candidate. Whatever goes wrong with it, a panic included, is its own failure and no other's: it is
/// measured as failed. Returns one measurement for each of `steps`, by which a search knows it again: of these steps, or
/// of 0 where the evaluator counts none, and of this seed.
///
/// ```
/// use gtn_core::seed::Seed;
/// use gtn_nas::evaluator::judge;
/// use gtn_nas::trial::Outcome;
///
/// let ratio = |candidate: &u32| f64::from(100 / candidate);
/// assert_eq!(judge(&ratio, &4, &[0], Seed(1))[0].score(), Some(25.0));
/// assert!(matches!(&judge(&ratio, &0, &[0], Seed(1))[0].outcome, Outcome::Failed(_)));
/// ```
pub fn judge<T: ?Sized>(
    evaluator: &(impl Evaluator<T> + ?Sized),
    candidate: &T,
    steps: &[usize],
    seed: Seed,
) -> Vec<Measurement> {
    let start = Instant::now();
    let found = catch_unwind(AssertUnwindSafe(|| evaluator.evaluate(candidate, steps, seed)));
    let reason = match found {
        Ok(Ok(measured)) if measured.len() == steps.len() => {
            let asked = |(one, &steps): (Measurement, &usize)| {
                let steps = if one.steps == 0 { 0 } else { steps };
                Measurement { steps, seed: seed.0, ..one.checked() }
            };
            return measured.into_iter().zip(steps).map(asked).collect();
        }
        Ok(Ok(measured)) => {
            format!("the evaluator measured {} times, not {}", measured.len(), steps.len())
        }
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panicked: {}", words(panic.as_ref())),
    };
    let seconds = start.elapsed().as_secs_f64();
    let failed = |&steps| Measurement {
        steps,
        outcome: Outcome::Failed(reason.clone()),
        seconds,
        seed: seed.0,
    };
    steps.iter().map(failed).collect()
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
