//! Adam. State: the mean of gradients, the mean of squares.

use super::{DECAY, EPSILON, Rates, State, StepAdjoint, StepAt};
use crate::Result;
use crate::cpu::{Float, elementwise};
use crate::tensors::inner_product;
use candle_core::Tensor;

/// `√(1−β₂ᵗ)/(1−β₁ᵗ)`, and its derivative by β₁.
pub(super) fn correction(momentum: f64, step: usize) -> (f64, f64) {
    let t = (step + 1) as f64;
    let second = (1.0 - DECAY.powf(t)).sqrt();
    let first = 1.0 - momentum.powf(t);
    (second / first, second / (first * first) * t * momentum.powf(t - 1.0))
}

pub(super) fn step<T: Float>(
    params: &Tensor,
    state: &State,
    gradient: &Tensor,
    rates: Rates,
    step: usize,
) -> Result<(Tensor, State)> {
    let (decay, fresh) = (T::from_f64(DECAY), T::from_f64(1.0 - DECAY));
    let (m, one_less_m) = (T::from_f64(rates.momentum), T::from_f64(1.0 - rates.momentum));
    let epsilon = T::from_f64(EPSILON);
    let size = T::from_f64(rates.lr * correction(rates.momentum, step).0);
    let inputs = [params, &state.0[0], &state.0[1], gradient];
    let [params, mean, squares] = elementwise::<T, 4, 3>(
        inputs,
        #[inline(always)]
        move |[p, mean, s, g]| {
            let mean = m * mean + one_less_m * g;
            let s = decay * s + fresh * g * g;
            [p - size * mean / ((s + epsilon).sqrt() + epsilon), mean, s]
        },
    )?;
    Ok((params, State(vec![mean, squares])))
}

pub(super) fn adjoint<T: Float>(
    at: StepAt<'_>,
    params: &Tensor,
    state: &State,
) -> Result<StepAdjoint> {
    let Rates { lr, momentum } = at.rates;
    let (factor, factor_by_momentum) = correction(momentum, at.step);
    let (decay, fresh) = (T::from_f64(DECAY), T::from_f64(1.0 - DECAY));
    let (m, one_less_m) = (T::from_f64(momentum), T::from_f64(1.0 - momentum));
    let epsilon = T::from_f64(EPSILON);
    let size = T::from_f64(lr * factor);
    let two = T::from_f64(2.0);
    let inputs = [
        params,
        &state.0[0],
        &state.0[1],
        at.gradient(),
        &at.before.0[0],
        &at.after.0[0],
        &at.after.0[1],
    ];
    // Besides the adjoints: what the factor and the momentum are multiplied with.
    let [gradient, mean, squares, by_size, by_momentum] = elementwise::<T, 7, 5>(
        inputs,
        #[inline(always)]
        move |[p_bar, m_bar, s_bar, g, old, mean, s]| {
            let root = (s + epsilon).sqrt();
            let inverse = T::one() / (root + epsilon);
            let by_size = -p_bar * mean * inverse;
            let m_bar = m_bar - size * p_bar * inverse;
            let s_bar = s_bar - size * by_size * inverse / (two * root);
            [
                one_less_m * m_bar + two * fresh * s_bar * g,
                m * m_bar,
                decay * s_bar,
                by_size,
                m_bar * (old - g),
            ]
        },
    )?;
    let ones = by_size.ones_like()?;
    let by_size = inner_product(&by_size, &ones)?;
    let by_momentum = inner_product(&by_momentum, &ones)?;
    Ok(StepAdjoint {
        lr: (&by_size * factor)?,
        momentum: (by_momentum + (by_size * (lr * factor_by_momentum))?)?,
        gradient,
        state: State(vec![mean, squares]),
    })
}
