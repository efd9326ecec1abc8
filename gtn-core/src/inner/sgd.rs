//! SGD with momentum. State: the velocity.

use super::{Rates, State, StepAdjoint, StepAt};
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
    let [params, velocity] = elementwise::<T, 3, 2>(
        [params, &state.0[0], gradient],
        #[inline(always)]
        move |[p, v, g]| {
            let v = m * v + g;
            [p - a * v, v]
        },
    )?;
    Ok((params, State(vec![velocity])))
}

pub(super) fn adjoint<T: Float>(
    at: StepAt<'_>,
    params: &Tensor,
    state: &State,
) -> Result<StepAdjoint> {
    let (a, m) = (T::from_f64(at.rates.lr), T::from_f64(at.rates.momentum));
    let [gradient, before] = elementwise::<T, 2, 2>(
        [&state.0[0], params],
        #[inline(always)]
        move |[v_bar, p_bar]| {
            let v_bar = v_bar - a * p_bar;
            [v_bar, m * v_bar]
        },
    )?;
    Ok(StepAdjoint {
        lr: inner_product(params, &at.after.0[0])?.neg()?,
        momentum: inner_product(&gradient, &at.before.0[0])?,
        gradient,
        state: State(vec![before]),
    })
}
