//! Small symmetric matrices.

/// The lower triangle `L` of `A = L·Lᵀ`.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    n: usize,
    /// Row by row.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a symmetric matrix of `n` rows; `None` if it is not positive definite, or so little that rounding hides it.
    pub(crate) fn of(n: usize, matrix: impl Fn(usize, usize) -> f64) -> Option<Self> {
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let entry = matrix(i, j);
                let rest = entry - known;
                lower[i * n + j] = if i != j {
                    rest / lower[j * n + j]
                } else if rest > n as f64 * f64::EPSILON * entry {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { n, lower })
    }

    /// `L⁻¹·b`.
    pub(crate) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let (n, l) = (self.n, &self.lower);
        let mut x = b.to_vec();
        for i in 0..n {
            let known: f64 = (0..i).map(|k| l[i * n + k] * x[k]).sum();
            x[i] = (x[i] - known) / l[i * n + i];
        }
        x
    }

    /// `A⁻¹·b`.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (n, l) = (self.n, &self.lower);
        let mut x = self.forward(b);
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| l[k * n + i] * x[k]).sum();
            x[i] = (x[i] - known) / l[i * n + i];
        }
        x
    }

    /// `ln |A|`.
    pub(crate) fn log_determinant(&self) -> f64 {
        (0..self.n).map(|i| 2.0 * self.lower[i * self.n + i].ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [[f64; 3]; 3] = [[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]];

    #[test]
    fn solves_and_measures() {
        let cholesky = Cholesky::of(3, |i, j| A[i][j]).unwrap();
        let x = cholesky.solve(&[1.0, -2.0, 0.5]);
        for (row, b) in A.iter().zip([1.0, -2.0, 0.5]) {
            let found: f64 = row.iter().zip(&x).map(|(a, x)| a * x).sum();
            assert!((found - b).abs() < 1e-12);
        }
        // 4·(5·3 − 1) − 2·(2·3 − 0.4) + 0.4·(2 − 2)
        assert!((cholesky.log_determinant() - 44.8f64.ln()).abs() < 1e-12);
        assert!(Cholesky::of(2, |_, _| 1.0).is_none(), "singular");
    }
}
