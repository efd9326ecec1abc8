//! The rules on a CUDA device: one launch a step, and for its derivative one and one that adds up what
//! the rates are owed.

use super::{DECAY, EPSILON, InnerOptimizer, Rates, State, StepAdjoint, StepAt, adam::correction};
use crate::Result;
use crate::cuda::{Launch, Partial, elementwise, empty};
use candle_core::Tensor;

impl InnerOptimizer {
    pub(super) fn step_on_cuda(
        self,
        [params, gradient]: [&Tensor; 2],
        state: &State,
        Rates { lr, momentum }: Rates,
        step: usize,
    ) -> Result<(Tensor, State)> {
        let slots = &state.0;
        let adaptive = |size| [size, momentum, DECAY, 1.0 - DECAY, EPSILON];
        Ok(match self {
            Self::Sgd => {
                let inputs = [params, &slots[0], gradient];
                let [params, velocity] = elementwise("sgd_step", inputs, &[lr, momentum])?;
                (params, State(vec![velocity]))
            }
            Self::RmsProp => {
                let inputs = [params, &slots[0], &slots[1], gradient];
                let [params, squares, velocity] =
                    elementwise("rmsprop_step", inputs, &adaptive(lr))?;
                (params, State(vec![squares, velocity]))
            }
            Self::Adam => {
                let size = lr * correction(momentum, step).0;
                let inputs = [params, &slots[0], &slots[1], gradient];
                let [params, mean, squares] =
                    elementwise("adam_step", inputs, &adam(size, momentum))?;
                (params, State(vec![mean, squares]))
            }
        })
    }

    pub(super) fn adjoint_on_cuda(
        self,
        at: StepAt<'_>,
        params: &Tensor,
        state: &State,
    ) -> Result<StepAdjoint> {
        let Rates { lr, momentum } = at.rates;
        let adaptive = |size| [size, momentum, DECAY, 1.0 - DECAY, EPSILON];
        let (bar, before, after) = (&state.0, &at.before.0, &at.after.0);
        match self {
            Self::Sgd => {
                let inputs = [&bar[0], params, &before[0], &after[0]];
                let ([gradient, velocity], sums) =
                    with_sums("sgd_adjoint", inputs, &[lr, momentum])?;
                Ok(StepAdjoint {
                    gradient,
                    state: State(vec![velocity]),
                    lr: sums.get(0)?,
                    momentum: sums.get(1)?,
                })
            }
            Self::RmsProp => {
                let inputs =
                    [params, &bar[0], &bar[1], at.gradient(), &after[0], &before[1], &after[1]];
                let ([gradient, squares, velocity], sums) =
                    with_sums("rmsprop_adjoint", inputs, &adaptive(lr))?;
                Ok(StepAdjoint {
                    gradient,
                    state: State(vec![squares, velocity]),
                    lr: sums.get(0)?,
                    momentum: sums.get(1)?,
                })
            }
            Self::Adam => {
                let (factor, by_momentum) = correction(momentum, at.step);
                let inputs =
                    [params, &bar[0], &bar[1], at.gradient(), &before[0], &after[0], &after[1]];
                let ([gradient, mean, squares], sums) =
                    with_sums("adam_adjoint", inputs, &adam(lr * factor, momentum))?;
                let by_size = sums.get(0)?;
                Ok(StepAdjoint {
                    gradient,
                    state: State(vec![mean, squares]),
                    lr: (&by_size * factor)?,
                    momentum: (sums.get(1)? + (by_size * (lr * by_momentum))?)?,
                })
            }
        }
    }
}

/// The numbers of Adam's kernels. What is left of 1 beside a momentum near it would be lost in single precision.
fn adam(size: f64, momentum: f64) -> [f64; 6] {
    [size, momentum, 1.0 - momentum, DECAY, 1.0 - DECAY, EPSILON]
}

/// What the kernel `name` makes of vectors of one size, and two sums over all elements.
fn with_sums<const IN: usize, const OUT: usize>(
    name: &'static str,
    inputs: [&Tensor; IN],
    reals: &[f64],
) -> Result<([Tensor; OUT], Tensor)> {
    let (like, n) = (inputs[0], inputs[0].elem_count());
    let outputs = (0..OUT).map(|_| empty(like, like.dims())).collect::<Result<Vec<_>>>()?;
    let sums = Partial::new(like, n, 2)?;
    let launch = Launch::blocks(name, like, sums.blocks, n)?.tensors(inputs)?.tensors(&outputs)?;
    sums.filled(launch, reals)?;
    Ok((outputs.try_into().expect("one tensor for each output"), sums.totals()?))
}
