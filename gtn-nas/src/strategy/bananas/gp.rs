//! A Gaussian process on encodings of architectures.

use crate::linalg::Cholesky;

/// Lengths over which scores are alike, times the typical distance of two architectures.
const LENGTHS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
/// Shares of a score's variance that are chance.
const NOISES: [f64; 3] = [0.01, 0.1, 0.4];

/// A Gaussian process fitted to scores: constant mean, Matérn kernel (ν = 5/2), length and noise of the
/// highest marginal likelihood on a small grid (Rasmussen & Williams 2006, chapters 2, 4 and 5).
#[derive(Debug)]
pub(super) struct Gp {
    codes: Vec<Vec<f64>>,
    length: f64,
    /// Share of a score's variance that is the architecture's.
    signal: f64,
    /// Mean and standard deviation of the scores.
    center: (f64, f64),
    cholesky: Cholesky,
    /// `K⁻¹·y`.
    weights: Vec<f64>,
}

impl Gp {
    /// Fits to the scores of architectures; at least two.
    pub(super) fn fit(codes: Vec<Vec<f64>>, scores: &[f64]) -> Option<Self> {
        let n = scores.len();
        if n < 2 {
            return None;
        }
        let mean = scores.iter().sum::<f64>() / n as f64;
        let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n as f64;
        let std = variance.sqrt().max(1e-12);
        let y: Vec<f64> = scores.iter().map(|score| (score - mean) / std).collect();

        let mut distances = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                distances[i * n + j] = distance(&codes[i], &codes[j]);
            }
        }
        let pairs = (n * (n - 1) / 2) as f64;
        let typical = (distances.iter().sum::<f64>() / pairs).max(1e-9);
        let mut best: Option<(f64, f64, f64, Cholesky, Vec<f64>)> = None;
        for length in LENGTHS.map(|length| length * typical) {
            for noise in NOISES {
                let signal = 1.0 - noise;
                let cholesky = Cholesky::of(n, |i, j| {
                    let alike = signal * matern(distances[i * n + j] / length);
                    alike + if i == j { noise } else { 0.0 }
                });
                let Some(cholesky) = cholesky else { continue };
                let weights = cholesky.solve(&y);
                let fit: f64 = y.iter().zip(&weights).map(|(y, w)| y * w).sum();
                let likelihood = -0.5 * (fit + cholesky.log_determinant());
                if best.as_ref().is_none_or(|(most, ..)| likelihood > *most) {
                    best = Some((likelihood, length, signal, cholesky, weights));
                }
            }
        }
        let (_, length, signal, cholesky, weights) = best?;
        Some(Self { codes, length, signal, center: (mean, std), cholesky, weights })
    }

    /// What an architecture's scores are like, but for chance: their mean, and the standard deviation of what is
    /// believed of it.
    pub(super) fn predict(&self, code: &[f64]) -> (f64, f64) {
        let covariance =
            |known: &Vec<f64>| self.signal * matern(distance(known, code) / self.length);
        let alike: Vec<f64> = self.codes.iter().map(covariance).collect();
        let mean: f64 = alike.iter().zip(&self.weights).map(|(k, w)| k * w).sum();
        let explained: f64 = self.cholesky.forward(&alike).iter().map(|v| v * v).sum();
        let (center, std) = self.center;
        (center + std * mean, std * (self.signal - explained).max(1e-6).sqrt())
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn matern(distance: f64) -> f64 {
    let r = 5f64.sqrt() * distance;
    (1.0 + r + r * r / 3.0) * (-r).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_function_is_learned() {
        let f = |x: f64, y: f64| (3.0 * x).sin() + y * y;
        let grid =
            |n: usize| (0..n * n).map(move |i| [i % n, i / n].map(|v| v as f64 / (n - 1) as f64));
        let codes: Vec<Vec<f64>> = grid(5).map(|point| point.to_vec()).collect();
        let scores: Vec<f64> = grid(5).map(|[x, y]| f(x, y)).collect();
        let gp = Gp::fit(codes, &scores).unwrap();
        for [x, y] in grid(8) {
            let (mean, std) = gp.predict(&[x, y]);
            assert!((mean - f(x, y)).abs() < 0.1, "{x} {y}: {mean} for {}", f(x, y));
            assert!(std < 0.3);
        }
        let (_, far) = gp.predict(&[9.0, -9.0]);
        let (_, near) = gp.predict(&[0.5, 0.5]);
        assert!(far > 3.0 * near, "{far} {near}");
    }

    /// Two scores of one architecture, a deviation below and above their mean: as much chance as there may be, 0.4.
    /// K = [[1, 0.6], [0.6, 1]], so that 0.6 − 0.6²·2/1.6 of the variance is left.
    #[test]
    fn chance_leaves_doubt_about_what_is_known() {
        let gp = Gp::fit(vec![vec![0.0]; 2], &[-1.0, 1.0]).unwrap();
        let (mean, std) = gp.predict(&[0.0]);
        assert!(mean.abs() < 1e-12 && (std - 0.15f64.sqrt()).abs() < 1e-12, "{mean} {std}");
    }

    #[test]
    fn equal_scores_and_equal_codes_are_no_trouble() {
        let gp = Gp::fit(vec![vec![0.0]; 5], &[1.0; 5]).unwrap();
        assert!((gp.predict(&[0.0]).0 - 1.0).abs() < 1e-9);
        assert!(Gp::fit(vec![vec![0.0]], &[1.0]).is_none());
    }
}
