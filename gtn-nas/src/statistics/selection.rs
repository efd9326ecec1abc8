//! What choosing by an estimate costs.

/// The values at these places.
///
/// # Panics
/// When a place is past the end.
pub fn pick(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|&place| values[place]).collect()
}

/// Places by falling value; of equals, the first comes first.
fn order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

/// The places of the better half by an estimate, rounded up; of equals, the first comes first.
pub fn top_half(estimate: &[f64]) -> Vec<usize> {
    let mut order = order(estimate);
    order.truncate(estimate.len().div_ceil(2));
    order
}

/// The share of the `k` truly best that are among the `k` best by the estimate; where several are equal on the edge of either, the mean
/// over all ways to choose among them. `None` for no candidates or `k = 0`.
///
/// # Panics
/// When the sides are not equally long.
pub fn top_recall(estimate: &[f64], truth: &[f64], k: usize) -> Option<f64> {
    assert_eq!(estimate.len(), truth.len(), "pairs of values");
    let k = k.min(truth.len());
    if k == 0 {
        return None;
    }
    let found: f64 = among(estimate, k).iter().zip(among(truth, k)).map(|(e, t)| e * t).sum();
    Some(found / k as f64)
}

/// Of each value, the probability to be among the `k` highest, where equal ones are drawn; `k` is at least 1 and at most as many as there are.
fn among(values: &[f64], k: usize) -> Vec<f64> {
    let edge = values[order(values)[k - 1]];
    let count =
        |matches: fn(f64, f64) -> bool| values.iter().filter(|v| matches(**v, edge)).count();
    let (above, equal) = (count(|v, edge| v > edge), count(|v, edge| v == edge));
    let share = (k - above) as f64 / equal as f64;
    let chance = |&v: &f64| {
        if v > edge {
            1.0
        } else if v == edge {
            share
        } else {
            0.0
        }
    };
    values.iter().map(chance).collect()
}

/// How much better than the candidate with the highest estimate the truly best is; where several share the
/// estimate, than they are on average. `None` for no candidates.
///
/// # Panics
/// When the sides are not equally long.
pub fn regret(estimate: &[f64], truth: &[f64]) -> Option<f64> {
    assert_eq!(estimate.len(), truth.len(), "pairs of values");
    let highest = |values: &[f64]| values.iter().copied().reduce(f64::max);
    let (top, best) = (highest(estimate)?, highest(truth)?);
    let chosen: Vec<f64> =
        estimate.iter().zip(truth).filter(|(e, _)| **e == top).map(|(_, t)| *t).collect();
    // The mean of several equals may be rounded up.
    Some((best - chosen.iter().sum::<f64>() / chosen.len() as f64).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let estimate = [0.1, 0.9, 0.5, 0.9, 0.3];
        let truth = [0.2, 0.6, 0.8, 0.7, 0.1];
        assert_eq!(top_half(&estimate), [1, 3, 2]);
        assert_eq!(top_recall(&estimate, &truth, 1), Some(0.0));
        assert_eq!(top_recall(&estimate, &truth, 2), Some(0.5));
        assert_eq!(top_recall(&estimate, &truth, 3), Some(1.0));
        assert_eq!(top_recall(&estimate, &truth, 99), Some(1.0));
        // Nothing to choose by is as good as chance, in whatever order.
        assert_eq!(top_recall(&[1.0; 4], &[0.9, 0.8, 0.1, 0.2], 2), Some(0.5));
        assert_eq!(top_recall(&[1.0; 4], &[0.1, 0.2, 0.9, 0.8], 2), Some(0.5));
        assert!((regret(&estimate, &truth).unwrap() - 0.15).abs() < 1e-12);
        // The sum of three times 0.97, by three, is more than 0.97.
        let equal = [0.97; 3];
        assert!(equal.iter().sum::<f64>() / 3.0 > equal[0]);
        assert_eq!(regret(&equal, &equal), Some(0.0));
        assert_eq!((regret(&[], &[]), top_recall(&[], &[], 3)), (None, None));
    }
}
