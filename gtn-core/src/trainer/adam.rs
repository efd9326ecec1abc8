//! The outer optimizer: Adam (Kingma & Ba, arXiv 1412.6980) with a cosine schedule.

use crate::Result;
use crate::cpu::elementwise;
use crate::device::on_cuda;
use crate::recipe::OuterSpec;
use candle_core::{Tensor, WithDType};

/// Means of gradients and of their squares.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    pub(super) mean: Tensor,
    pub(super) squares: Tensor,
}

impl Adam {
    pub(super) fn start(params: &Tensor) -> Result<Self> {
        Ok(Self { mean: params.zeros_like()?, squares: params.zeros_like()? })
    }

    /// Parameters and means after step `step` (from 0), for the gradient `scale · gradient`.
    pub(super) fn step(
        &self,
        spec: &OuterSpec,
        lr: f64,
        step: usize,
        params: &Tensor,
        gradient: &Tensor,
        scale: f64,
    ) -> Result<(Tensor, Self)> {
        type T = f32;
        let t = (step + 1) as f64;
        on_cuda!(params => {
            let OuterSpec { beta1, beta2, epsilon, .. } = *spec;
            let [params, mean, squares] = crate::cuda::elementwise(
                "outer_adam",
                [params, &self.mean, &self.squares, gradient],
                &[
                    beta1,
                    1.0 - beta1,
                    beta2,
                    1.0 - beta2,
                    lr / (1.0 - beta1.powf(t)),
                    1.0 / (1.0 - beta2.powf(t)),
                    scale,
                    epsilon,
                ],
            )?;
            Ok((params, Self { mean, squares }))
        });
        let (b1, b2) = (T::from_f64(spec.beta1), T::from_f64(spec.beta2));
        let (new1, new2) = (T::from_f64(1.0 - spec.beta1), T::from_f64(1.0 - spec.beta2));
        let size = T::from_f64(lr / (1.0 - spec.beta1.powf(t)));
        let correction = T::from_f64(1.0 / (1.0 - spec.beta2.powf(t)));
        let (scale, epsilon) = (T::from_f64(scale), T::from_f64(spec.epsilon));
        let inputs = [params, &self.mean, &self.squares, gradient];
        let [params, mean, squares] = elementwise::<T, 4, 3>(
            inputs,
            #[inline(always)]
            move |[p, m, s, g]| {
                let g = scale * g;
                let m = b1 * m + new1 * g;
                let s = b2 * s + new2 * g * g;
                [p - size * m / ((s * correction).sqrt() + epsilon), m, s]
            },
        )?;
        Ok((params, Self { mean, squares }))
    }
}

/// The learning rate of a meta-iteration (from 0) of `total`.
pub(super) fn cosine(spec: &OuterSpec, iteration: usize, total: usize) -> f64 {
    let done = iteration as f64 / (total.max(2) - 1) as f64;
    let fall = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
    spec.lr * (spec.final_lr + (1.0 - spec.final_lr) * fall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_starts_and_ends_where_it_should() {
        let spec = OuterSpec { lr: 0.5, final_lr: 0.1, ..OuterSpec::default() };
        assert_eq!(cosine(&spec, 0, 11), 0.5);
        assert!((cosine(&spec, 5, 11) - 0.275).abs() < 1e-12);
        assert!((cosine(&spec, 10, 11) - 0.05).abs() < 1e-12);
        assert_eq!(cosine(&spec, 0, 1), 0.5);
    }

    #[test]
    fn every_step_is_that_of_the_paper() {
        let spec = OuterSpec { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, ..OuterSpec::default() };
        let device = candle_core::Device::Cpu;
        let mut params = Tensor::new(&[1f32, 2.0, -3.0], &device).unwrap();
        let mut adam = Adam::start(&params).unwrap();
        let mut expected = [1f64, 2.0, -3.0];
        let (mut means, mut squares) = ([0f64; 3], [0f64; 3]);
        let (lr, scale) = (0.1, 0.25);
        for (step, gradient) in
            [[4f32, -0.5, 0.0], [1.0, 0.25, 0.0], [-2.0, 8.0, 0.5], [0.0, 1.0, 3.0]]
                .iter()
                .enumerate()
        {
            let g = Tensor::new(gradient, &device).unwrap();
            (params, adam) = adam.step(&spec, lr, step, &params, &g, scale).unwrap();
            for i in 0..3 {
                let g = scale * f64::from(gradient[i]);
                means[i] = 0.5 * means[i] + 0.5 * g;
                squares[i] = 0.9 * squares[i] + 0.1 * g * g;
                let t = step as i32 + 1;
                let (m, s) =
                    (means[i] / (1.0 - 0.5f64.powi(t)), squares[i] / (1.0 - 0.9f64.powi(t)));
                expected[i] -= lr * m / (s.sqrt() + 1e-3);
            }
            for (ours, expected) in params.to_vec1::<f32>().unwrap().iter().zip(&expected) {
                assert!(
                    (f64::from(*ours) - expected).abs() < 1e-6,
                    "step {step}: {ours}, {expected}"
                );
            }
        }
    }

    #[test]
    fn the_first_step_is_the_learning_rate_against_the_sign() {
        let spec = OuterSpec::default();
        let params = Tensor::new(&[1f32, 2.0], &candle_core::Device::Cpu).unwrap();
        let gradient = Tensor::new(&[4f32, -0.5], &candle_core::Device::Cpu).unwrap();
        let adam = Adam::start(&params).unwrap();
        let (moved, _) = adam.step(&spec, 0.25, 0, &params, &gradient, 1.0).unwrap();
        let moved = moved.to_vec1::<f32>().unwrap();
        assert!((moved[0] - 0.75).abs() < 1e-6 && (moved[1] - 2.25).abs() < 1e-6, "{moved:?}");
    }
}
