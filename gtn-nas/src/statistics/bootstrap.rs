//! How much of a statistic is chance.

use gtn_core::seed::Seed;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Where a statistic lies with some confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Percentile interval of a statistic (Efron & Tibshirani 1993, chapter 13): the statistic is computed on
/// `resamples` draws of `n` places with replacement, and the outermost `1 − confidence` of the results are
/// left out, `confidence` being from 0 to 1. Draws on which it is not defined do not count; `None` if it is on none.
///
/// ```
/// use gtn_nas::statistics::bootstrap;
///
/// let heights = [1.62, 1.75, 1.80, 1.71, 1.68, 1.90];
/// let interval = bootstrap(6, 2000, 0.95, gtn_core::seed::Seed(1), |sample| {
///     Some(sample.iter().map(|&i| heights[i]).sum::<f64>() / sample.len() as f64)
/// });
/// let interval = interval.unwrap();
/// assert!(interval.low < 1.74 && 1.74 < interval.high);
/// ```
///
/// # Panics
/// When `confidence` is not from 0 to 1.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    confidence: f64,
    seed: Seed,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Interval> {
    assert!((0.0..=1.0).contains(&confidence), "a confidence from 0 to 1, found {confidence}");
    if n == 0 {
        return None;
    }
    let mut rng = seed.derive("bootstrap", 0).rng();
    let mut sample = vec![0; n];
    let mut found: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            sample.iter_mut().for_each(|place| *place = rng.random_range(0..n));
            statistic(&sample)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    let outside = (1.0 - confidence) / 2.0;
    let last = found.len().checked_sub(1)?;
    let high = (((1.0 - outside) * found.len() as f64).ceil() as usize - 1).min(last);
    let low = ((outside * found.len() as f64) as usize).min(high);
    Some(Interval { low: found[low], high: found[high] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[usize]) -> Option<f64> {
        |sample| Some(sample.iter().map(|&i| values[i]).sum::<f64>() / sample.len() as f64)
    }

    /// The mean of 100 throws of a coin: 0.5 ± 1.96·0.05.
    #[test]
    fn the_mean_of_a_coin_has_the_textbook_interval() {
        let throws: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let found = bootstrap(100, 4000, 0.95, Seed(3), mean(&throws)).unwrap();
        assert!(
            (found.low - 0.402).abs() < 0.015 && (found.high - 0.598).abs() < 0.015,
            "{found:?}"
        );
        assert_eq!(found, bootstrap(100, 4000, 0.95, Seed(3), mean(&throws)).unwrap());
        let narrow = bootstrap(100, 4000, 0.5, Seed(3), mean(&throws)).unwrap();
        assert!(found.low < narrow.low && narrow.high < found.high);
    }

    #[test]
    fn undefined_draws_do_not_count() {
        let odd = |sample: &[usize]| (sample[0] == 1).then_some(7.0);
        let found = bootstrap(2, 100, 0.95, Seed(1), odd).unwrap();
        assert_eq!(found, Interval { low: 7.0, high: 7.0 });
        assert_eq!(bootstrap(2, 100, 0.95, Seed(1), |_| None), None);
        assert_eq!(bootstrap(0, 100, 0.95, Seed(1), |_| Some(1.0)), None);
        assert_eq!(
            bootstrap(2, 1, 1.0, Seed(1), |_| Some(1.0)),
            Some(Interval { low: 1.0, high: 1.0 })
        );
    }
}
