//! RMSProp with momentum. State: the mean of squares, the velocity.

use super::{DECAY, EPSILON, Rates, State, StepAdjoint, StepAt};
use crate::Result;
use crate::cpu::{Float, elementwise};
use crate::tensors::inner_product;
use candle_core::Tensor;

pub(super) fn step<T: Float>(
    params: &Tensor,
    state: &State,
    gradient: &Tensor,
    rates: Rates,
) -> Result<(Tensor, State)> {
    let (a, m) = (T::from_f64(rates.lr), T::from_f64(rates.momentum));
    let (decay, fresh) = (T::from_f64(DECAY), T::from_f64(1.0 - DECAY));
    let epsilon = T::from_f64(EPSILON);
    let inputs = [params, &state.0[0], &state.0[1], gradient];
    let [params, squares, velocity] = elementwise::<T, 4, 3>(
        inputs,
        #[inline(always)]
        move |[p, s, v, g]| {
            let s = decay * s + fresh * g * g;
            let v = m * v + g / (s + epsilon).sqrt();
            [p - a * v, s, v]
        },
    )?;
    Ok((params, State(vec![squares, velocity])))
}

pub(super) fn adjoint<T: Float>(
    at: StepAt<'_>,
    params: &Tensor,
    state: &State,
) -> Result<StepAdjoint> {
    let (a, m) = (T::from_f64(at.rates.lr), T::from_f64(at.rates.momentum));
    let (decay, fresh) = (T::from_f64(DECAY), T::from_f64(1.0 - DECAY));
    let epsilon = T::from_f64(EPSILON);
    let half = T::from_f64(0.5);
    let two = T::from_f64(2.0);
    let inputs = [params, &state.0[0], &state.0[1], at.gradient(), &at.after.0[0]];
    let [v_bar, gradient, squares, velocity] = elementwise::<T, 5, 4>(
        inputs,
        #[inline(always)]
        move |[p_bar, s_bar, v_bar, g, s]| {
            let v_bar = v_bar - a * p_bar;
            let root = T::one() / (s + epsilon).sqrt();
            let s_bar = s_bar - half * v_bar * g * root * root * root;
            [v_bar, v_bar * root + two * fresh * s_bar * g, decay * s_bar, m * v_bar]
        },
    )?;
    Ok(StepAdjoint {
        lr: inner_product(params, &at.after.0[1])?.neg()?,
        momentum: inner_product(&v_bar, &at.before.0[1])?,
        gradient,
        state: State(vec![squares, velocity]),
    })
}
