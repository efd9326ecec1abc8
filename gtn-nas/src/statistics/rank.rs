//! Rank correlations.

/// The rank of each value, from 1 for the lowest; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = below as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&i| ranks[i] = mean);
        below += equal.len();
    }
    ranks
}

/// Spearman's rank correlation, −1 to 1: Pearson's correlation of the ranks. `None` for fewer than two
/// pairs, or where all values of one side are equal.
///
/// # Panics
/// When the sides are not equally long.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "pairs of values");
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() + 1) as f64 / 2.0;
    let moment = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum()
    };
    let spread = (moment(&a, &a) * moment(&b, &b)).sqrt();
    (spread > 0.0).then(|| moment(&a, &b) / spread)
}

/// Kendall's τ-b, −1 to 1: concordant minus discordant pairs, over the geometric mean of the numbers
/// of pairs that are not tied on either side. `None` as for [`spearman`].
///
/// # Panics
/// When the sides are not equally long.
pub fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "pairs of values");
    let sign = |x: f64, y: f64| f64::from(x > y) - f64::from(x < y);
    let (mut agreement, mut untied_a, mut untied_b) = (0.0, 0.0, 0.0);
    for i in 0..a.len() {
        for j in 0..i {
            let (of_a, of_b) = (sign(a[i], a[j]), sign(b[i], b[j]));
            agreement += of_a * of_b;
            untied_a += of_a * of_a;
            untied_b += of_b * of_b;
        }
    }
    let pairs = f64::sqrt(untied_a * untied_b);
    (pairs > 0.0).then(|| agreement / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // d² = 1 + 1 + 0 + 1 + 1: 1 − 6·4/(5·24)
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 3.0, 5.0, 4.0]);
        assert!((spearman(&a, &b).unwrap() - 0.8).abs() < 1e-12);
        // Of 10 pairs 2 are discordant.
        assert!((kendall(&a, &b).unwrap() - 0.6).abs() < 1e-12);
        // Ties: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4; 5 concordant of 6, one tied on the left.
        let (a, b) = ([0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]);
        assert!((spearman(&a, &b).unwrap() - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
        assert!((kendall(&a, &b).unwrap() - 5.0 / 30f64.sqrt()).abs() < 1e-12);
        // Of 6 pairs one is tied on the left and three others on the right: 2 concordant, 5 and 3 not tied.
        let (a, b) = ([1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 2.0]);
        assert!((kendall(&a, &b).unwrap() - 2.0 / 15f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn constants_have_no_correlation() {
        for (a, b) in [(&[][..], &[][..]), (&[1.0], &[2.0]), (&[1.0, 1.0], &[1.0, 2.0])] {
            assert_eq!((spearman(a, b), kendall(a, b)), (None, None));
        }
    }

    proptest! {
        #[test]
        fn only_ranks_matter(pairs in prop::collection::vec((-9i32..9, -9i32..9), 2..20)) {
            let (a, b): (Vec<f64>, Vec<f64>) =
                pairs.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
            let curved: Vec<f64> = a.iter().map(|a| a.powi(3)).collect();
            let turned: Vec<f64> = a.iter().map(|a| -a).collect();
            for correlation in [spearman, kendall] {
                let found = correlation(&a, &b);
                prop_assert_eq!(found, correlation(&curved, &b));
                prop_assert_eq!(found, correlation(&b, &a));
                let opposite = correlation(&turned, &b);
                prop_assert_eq!(found.is_some(), opposite.is_some());
                if let (Some(found), Some(opposite)) = (found, opposite) {
                    prop_assert!((found + opposite).abs() < 1e-12 && found.abs() < 1.0 + 1e-12);
                }
            }
        }
    }
}
