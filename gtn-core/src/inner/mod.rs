//! Inner optimizers: the rule by which a learner takes a step, and the
//! derivative of that rule.

mod adam;
#[cfg(feature = "cuda")]
mod cuda;
mod rmsprop;
mod sgd;

use crate::Result;
use crate::cpu::by_dtype;
use crate::device::on_cuda;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The rules on offer. Each has one state tensor or two, of the parameters' size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InnerOptimizer {
    /// Momentum SGD: `v ← m·v + g`, `θ ← θ − a·v`.
    Sgd,
    /// RMSProp with momentum: `s ← 0.9·s + 0.1·g²`, `v ← m·v + g/√(s + 1e-5)`, `θ ← θ − a·v`.
    RmsProp,
    /// Adam (Kingma & Ba, arXiv 1412.6980) whose β₁ is the step's momentum and β₂ is 0.9:
    /// `θ ← θ − a·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√(s + 1e-5) + 1e-5)`.
    Adam,
}

/// Decay of the mean of squares, for the rules that keep one.
const DECAY: f64 = 0.9;

/// Keeps square roots differentiable at zero.
const EPSILON: f64 = 1e-5;

/// Learning rate and momentum of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Learning rate, above 0.
    pub lr: f64,
    /// Momentum (Adam: β₁).
    pub momentum: f64,
}

/// An optimizer's state between two steps.
#[derive(Debug, Clone)]
pub(crate) struct State(Vec<Tensor>);

/// A step's adjoints, but for that of the parameters: a rule of the form
/// `θ ← θ − …` hands it through unchanged.
#[derive(Debug)]
pub(crate) struct StepAdjoint {
    /// Of the gradient: the direction along which the loss is differentiated again.
    pub(crate) gradient: Tensor,
    /// Of the state before the step.
    pub(crate) state: State,
    /// Of the learning rate: an f64 scalar where the parameters lie.
    pub(crate) lr: Tensor,
    /// Of the momentum, likewise.
    pub(crate) momentum: Tensor,
}

/// What a step's adjoint is taken at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepAt<'a> {
    pub(crate) before: &'a State,
    pub(crate) after: &'a State,
    /// Needed where [`InnerOptimizer::keeps_gradient`] says so.
    pub(crate) gradient: Option<&'a Tensor>,
    pub(crate) rates: Rates,
    /// Counted from 0.
    pub(crate) step: usize,
}

impl InnerOptimizer {
    /// The state before the first step.
    pub(crate) fn start(self, params: &Tensor) -> Result<State> {
        let slots = match self {
            Self::Sgd => 1,
            Self::RmsProp | Self::Adam => 2,
        };
        let zero = params.zeros_like()?;
        Ok(State(vec![zero; slots]))
    }

    /// Whether the adjoint looks at the gradient; for SGD the states say enough.
    pub(crate) fn keeps_gradient(self) -> bool {
        self != Self::Sgd
    }

    /// Parameters and state after step `step` (from 0).
    pub(crate) fn step(
        self,
        params: &Tensor,
        state: &State,
        gradient: &Tensor,
        rates: Rates,
        step: usize,
    ) -> Result<(Tensor, State)> {
        on_cuda!(params => self.step_on_cuda([params, gradient], state, rates, step));
        by_dtype!(params, T => match self {
            Self::Sgd => sgd::step::<T>(params, state, gradient, rates),
            Self::RmsProp => rmsprop::step::<T>(params, state, gradient, rates),
            Self::Adam => adam::step::<T>(params, state, gradient, rates, step),
        })
    }

    /// Adjoints of what went into a step, from those of the parameters and the state after it.
    pub(crate) fn adjoint(
        self,
        at: StepAt<'_>,
        params: &Tensor,
        state: &State,
    ) -> Result<StepAdjoint> {
        on_cuda!(params => self.adjoint_on_cuda(at, params, state));
        by_dtype!(params, T => match self {
            Self::Sgd => sgd::adjoint::<T>(at, params, state),
            Self::RmsProp => rmsprop::adjoint::<T>(at, params, state),
            Self::Adam => adam::adjoint::<T>(at, params, state),
        })
    }
}

impl StepAt<'_> {
    fn gradient(&self) -> &Tensor {
        self.gradient.expect("keeps_gradient() asked for it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cuda_or_skip;
    use crate::ops::check::uniform;
    use candle_core::Device;
    use proptest::prelude::*;

    /// A scalar function of everything that goes into a step.
    fn value(
        rule: InnerOptimizer,
        [params, gradient, s0, s1]: [&Tensor; 4],
        rates: Rates,
        step: usize,
        weights: &[Tensor],
    ) -> f64 {
        let mut state = rule.start(params).unwrap();
        for (slot, value) in state.0.iter_mut().zip([s0, s1]) {
            *slot = value.clone();
        }
        let (params, state) = rule.step(params, &state, gradient, rates, step).unwrap();
        std::iter::once(&params)
            .chain(&state.0)
            .zip(weights)
            .map(|(v, w)| (v * w).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap())
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn adjoints_match_central_differences(
            rule in prop::sample::select(vec![
                InnerOptimizer::Sgd, InnerOptimizer::RmsProp, InnerOptimizer::Adam,
            ]),
            n in 1usize..9, step in 0usize..5, seed: u64,
            lr in 0.01f64..0.5, momentum in 0.05f64..0.9,
        ) {
            let draw = |i: u64| uniform(&[n], seed.wrapping_add(i));
            let (params, gradient) = (draw(1), draw(2));
            // Means of squares are not negative.
            let (s0, s1) = (draw(3), (draw(4).abs().unwrap() + 0.1).unwrap());
            let s0 = if rule == InnerOptimizer::RmsProp { s0.abs().unwrap() } else { s0 };
            let weights = [draw(5), draw(6), draw(7)];
            let rates = Rates { lr, momentum };

            let mut before = rule.start(&params).unwrap();
            for (slot, value) in before.0.iter_mut().zip([&s0, &s1]) {
                *slot = value.clone();
            }
            let (_, after) = rule.step(&params, &before, &gradient, rates, step).unwrap();
            let state = State(weights[1..=before.0.len()].to_vec());
            let at = StepAt { before: &before, after: &after, gradient: Some(&gradient), rates, step };
            let ours = rule.adjoint(at, &weights[0], &state).unwrap();

            let h = 1e-6;
            let difference = |f: &dyn Fn(f64) -> f64| (f(h) - f(-h)) / (2.0 * h);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
            let by_lr = difference(&|e| value(rule, [&params, &gradient, &s0, &s1],
                Rates { lr: lr + e, momentum }, step, &weights));
            let [lr_bar, momentum_bar] = [&ours.lr, &ours.momentum].map(|t| t.to_scalar::<f64>().unwrap());
            prop_assert!(close(lr_bar, by_lr), "lr: {lr_bar} {by_lr}");
            let by_momentum = difference(&|e| value(rule, [&params, &gradient, &s0, &s1],
                Rates { lr, momentum: momentum + e }, step, &weights));
            prop_assert!(close(momentum_bar, by_momentum), "momentum: {momentum_bar} {by_momentum}");

            let along = draw(8);
            let moved = |t: &Tensor, e: f64| (t + (&along * e).unwrap()).unwrap();
            let dot = |t: &Tensor| (t * &along).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
            let by_gradient = difference(&|e| value(rule, [&params, &moved(&gradient, e), &s0, &s1],
                rates, step, &weights));
            prop_assert!(close(dot(&ours.gradient), by_gradient));
            let by_s0 = difference(&|e| value(rule, [&params, &gradient, &moved(&s0, e), &s1],
                rates, step, &weights));
            prop_assert!(close(dot(&ours.state.0[0]), by_s0));
            if ours.state.0.len() > 1 {
                let by_s1 = difference(&|e| value(rule, [&params, &gradient, &s0, &moved(&s1, e)],
                    rates, step, &weights));
                prop_assert!(close(dot(&ours.state.0[1]), by_s1));
            }
        }
    }

    /// Everything that a step and its adjoint compute of parameters, gradient, two slots of state,
    /// and the adjoints of parameters and slots.
    fn everything(
        rule: InnerOptimizer,
        inputs: [Tensor; 7],
        rates: Rates,
        step: usize,
    ) -> Vec<Tensor> {
        let [params, gradient, s0, s1, p_bar, bar0, bar1] = inputs;
        let slots = rule.start(&params).unwrap().0.len();
        let state = |all: [Tensor; 2]| State(all.into_iter().take(slots).collect());
        let before = state([s0, s1]);
        let (moved, after) = rule.step(&params, &before, &gradient, rates, step).unwrap();
        let at = StepAt { before: &before, after: &after, gradient: Some(&gradient), rates, step };
        let found = rule.adjoint(at, &p_bar, &state([bar0, bar1])).unwrap();
        let mut all = vec![moved, found.gradient, found.lr, found.momentum];
        all.extend(after.0.into_iter().chain(found.state.0));
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn a_cuda_device_takes_the_same_steps(
            rule in prop::sample::select(vec![
                InnerOptimizer::Sgd, InnerOptimizer::RmsProp, InnerOptimizer::Adam,
            ]),
            n in prop_oneof![1usize..9, 900usize..5000], step in 0usize..5, seed: u64,
        ) {
            let Some(device) = cuda_or_skip() else { return Ok(()) };
            let rates = Rates { lr: 0.3, momentum: 0.4 };
            // Means of squares are not negative.
            let inputs: [Tensor; 7] = std::array::from_fn(|i| {
                let draw = uniform(&[n], seed.wrapping_add(i as u64));
                if [2, 3].contains(&i) { draw.abs().unwrap() } else { draw }
            });
            let placed = inputs.each_ref().map(|t| t.to_device(device).unwrap());
            let expected = everything(rule, inputs, rates, step);
            for (found, expected) in everything(rule, placed, rates, step).iter().zip(&expected) {
                let gap = (found.to_device(&Device::Cpu).unwrap() - expected).unwrap();
                let gap = gap.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                prop_assert!(gap < 1e-10 * n as f64, "{gap:e}");
            }
        }
    }
}
