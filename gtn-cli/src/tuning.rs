//! The learning rate and momentum for real data: those that do best on the validation split.

use crate::progress::Progress;
use crate::report::words::short;
use anyhow::Result;
use gtn_core::inner::{InnerOptimizer, Rates};

/// Momenta tried with every learning rate.
const MOMENTA: [f64; 3] = [0.0, 0.5, 0.9];
/// Learning rates tried at first, evenly spaced by their logarithms.
const LEARNING_RATES: usize = 5;
/// How many more are tried where the best so far is the largest or the smallest.
const MORE_LEARNING_RATES: usize = 4;

/// What is not to be tuned, because it is given.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The learning rate.
    pub lr: Option<f64>,
    /// The momentum.
    pub momentum: Option<f64>,
}

impl Given {
    /// Both are tuned.
    pub const NOTHING: Self = Self { lr: None, momentum: None };

    /// Pairs that are tried at least.
    #[must_use]
    pub const fn pairs(self) -> usize {
        let rates = if self.lr.is_some() { 1 } else { LEARNING_RATES };
        let momenta = if self.momentum.is_some() { 1 } else { MOMENTA.len() };
        rates * momenta
    }
}

/// The pair of the highest score, among those with what is `given`. `score` is told to `progress`, which counts
/// `steps` for each pair, by whoever computes it.
///
/// # Errors
/// What `score` reports.
pub fn tune(
    optimizer: InnerOptimizer,
    given: Given,
    steps: usize,
    progress: &mut Progress,
    mut score: impl FnMut(Rates, &mut Progress) -> Result<f64>,
) -> Result<Rates> {
    let [low, high] = learning_rates(optimizer);
    let ratio = (high / low).powf(1.0 / (LEARNING_RATES - 1) as f64);
    let range = || (0..LEARNING_RATES).map(|i| low * ratio.powi(i as i32)).collect();
    let mut rates: Vec<f64> = given.lr.map_or_else(range, |lr| vec![lr]);
    let momenta = given.momentum.map_or(MOMENTA.to_vec(), |momentum| vec![momentum]);
    let mut best = (f64::NEG_INFINITY, Rates { lr: rates[0], momentum: momenta[0] });
    let mut tried = 0;
    while tried < rates.len() {
        for &momentum in &momenta {
            let pair = Rates { lr: rates[tried], momentum };
            let score = score(pair, progress)?;
            tracing::debug!("lr {}, momentum {momentum}: validation {score:.4}", short(pair.lr));
            if score > best.0 {
                best = (score, pair);
            }
        }
        tried += 1;
        // A best at the edge says that the range was too narrow.
        let done = given.lr.is_some() || tried == LEARNING_RATES + MORE_LEARNING_RATES;
        if tried == rates.len() && !done {
            let extreme = |pick: fn(f64, f64) -> f64| rates.iter().copied().fold(best.1.lr, pick);
            if best.1.lr >= extreme(f64::max) {
                rates.push(best.1.lr * ratio);
            } else if best.1.lr <= extreme(f64::min) {
                rates.push(best.1.lr / ratio);
            } else {
                break;
            }
            progress.more(momenta.len() * steps);
        }
    }
    Ok(best.1)
}

/// The range in which the search for a learning rate starts.
fn learning_rates(optimizer: InnerOptimizer) -> [f64; 2] {
    match optimizer {
        InnerOptimizer::Sgd => [0.01, 0.3],
        // Their steps are about as long as the learning rate, whatever the gradient.
        InnerOptimizer::RmsProp | InnerOptimizer::Adam => [0.001, 0.03],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_with(given: Given, score: impl Fn(Rates) -> f64) -> Rates {
        let mut progress = Progress::new("tuning", given.pairs(), 0);
        tune(InnerOptimizer::Sgd, given, 1, &mut progress, |rates, _| Ok(score(rates))).unwrap()
    }

    fn best(score: impl Fn(Rates) -> f64) -> Rates {
        best_with(Given::NOTHING, score)
    }

    #[test]
    fn what_is_given_is_not_tuned_and_the_other_fits_it() {
        // The more momentum, the shorter the best steps.
        let score = |r: Rates| -(r.lr / (1.0 - r.momentum) - 0.1).abs();
        let momentum_of = |lr| best_with(Given { lr: Some(lr), momentum: None }, score);
        assert_eq!(momentum_of(0.1), Rates { lr: 0.1, momentum: 0.0 });
        assert_eq!(momentum_of(0.01), Rates { lr: 0.01, momentum: 0.9 });
        let fast = best_with(Given { lr: None, momentum: Some(0.99) }, score);
        assert!(fast.momentum == 0.99 && (0.0005..0.002).contains(&fast.lr), "{fast:?}");
        let both = Rates { lr: 7.0, momentum: 0.3 };
        assert_eq!(best_with(Given { lr: Some(7.0), momentum: Some(0.3) }, score), both);
    }

    #[test]
    fn the_best_pair_is_found_beyond_the_first_range() {
        let near = |wanted: f64| {
            move |r: Rates| -(r.lr.ln() - wanted.ln()).abs() - (r.momentum - 0.5).abs()
        };
        for wanted in [0.004, 0.05, 1.0] {
            let Rates { lr, momentum } = best(near(wanted));
            assert!((lr / wanted).ln().abs() < 0.6 && momentum == 0.5, "{lr} for {wanted}");
        }
    }

    #[test]
    fn an_endless_slope_is_not_followed_for_ever() {
        assert!(best(|rates| rates.lr).lr < 100.0);
    }
}
