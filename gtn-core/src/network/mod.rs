//! Learners: networks built from data, with their parameters apart.

mod assemble;
pub(crate) mod builder;
mod layers;
mod params;
mod probe;

pub use layers::{Layer, PerAxis};
pub use params::{Init, Layout, Params, Slot};

use crate::data::{Batch, ImageShape};
use crate::graph::{Graph, Trace, Value};
use crate::ops::{CrossEntropy, LogSoftmax};
use crate::tensors::{combined, scaled, zeros_like};
use crate::{Error, Result};
use builder::{Leaf, Means, NetworkBuilder};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a network's layers are normalized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Normalization {
    /// Share `m` of the old running mean in the new one, at least 0 and below 1:
    /// `running ← m·running + (1 − m)·batch mean`.
    pub norm_momentum: f64,
    /// Whether convolutions and linear layers learn directions and lengths (`NAME.weight` and
    /// `NAME.g`; Salimans & Kingma, arXiv 1602.07868) or their weights as they are (`NAME.weight`
    /// alone). Both start at the same weights.
    pub weight_norm: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Self { norm_momentum: 0.0, weight_norm: true }
    }
}

/// A learner's architecture, built for one image shape and number of classes.
///
/// It holds no parameters: those are [`Params`], handed to each call.
#[derive(Debug, Clone)]
pub struct Network {
    params: Arc<Layout>,
    running: Arc<Layout>,
    norm_momentum: f64,
    /// The loss while learning: norms use the batch's means.
    learn: Graph,
    learn_leaves: Vec<Leaf>,
    batch_means: Vec<Value>,
    rectified: Vec<Value>,
    /// The loss while being judged: norms use the running means.
    judge: Graph,
    judge_leaves: Vec<Leaf>,
    logits: Graph,
}

impl Network {
    /// Builds a network from its layers.
    ///
    /// # Errors
    /// [`Error::Spec`] that names the layer that does not fit, or when `norm_momentum` is out of range.
    pub fn new(
        layers: &[Layer],
        image: ImageShape,
        classes: usize,
        normalization: Normalization,
    ) -> Result<Self> {
        let Normalization { norm_momentum, weight_norm } = normalization;
        if !(0.0..1.0).contains(&norm_momentum) {
            return Err(Error::spec(format!(
                "norm_momentum must be at least 0 and below 1, found {norm_momentum}"
            )));
        }
        let build = |means| {
            let mut net = NetworkBuilder::new(means, weight_norm);
            let x = net.input(&image.dims());
            let targets = net.input(&[classes]);
            let logits = assemble::assemble(&mut net, layers, x, classes)?;
            let log_p = net.apply(LogSoftmax, &[logits])?;
            let loss = net.apply(CrossEntropy, &[log_p, targets])?;
            Ok::<_, Error>((net.finish(loss), logits))
        };
        let (learn, _) = build(Means::Batch)?;
        let (judge, logits) = build(Means::Running)?;
        Ok(Self {
            params: learn.params,
            running: learn.running,
            norm_momentum,
            learn: learn.graph,
            learn_leaves: learn.leaves,
            batch_means: learn.batch_means,
            rectified: learn.rectified,
            logits: judge.graph.with_output(logits),
            judge: judge.graph,
            judge_leaves: judge.leaves,
        })
    }

    /// Names and shapes of the parameters.
    pub fn params(&self) -> &Arc<Layout> {
        &self.params
    }

    /// Names and shapes of the running means.
    pub fn running(&self) -> &Arc<Layout> {
        &self.running
    }

    /// Running means before the first step: zeros.
    pub fn fresh_running(&self, dtype: DType, device: &Device) -> Result<Params> {
        Params::zeros(&self.running, dtype, device)
    }

    /// The logits `(batch, classes)` of images, judged with the running means.
    pub fn logits(&self, params: &Params, running: &Params, images: &Tensor) -> Result<Tensor> {
        let inputs = without_targets(images)?;
        self.logits.infer(&leaves(&self.judge_leaves, &inputs, params, Some(running))?)
    }

    /// The loss on a batch, judged with the running means: a scalar.
    pub fn judge(&self, params: &Params, running: &Params, batch: &Batch) -> Result<Tensor> {
        self.judge.infer(&leaves(&self.judge_leaves, &batch.inputs(), params, Some(running))?)
    }

    /// The loss as [`Network::judge`], with its gradients by the parameters and by the running means.
    pub fn judge_gradient(
        &self,
        params: &Params,
        running: &Params,
        batch: &Batch,
    ) -> Result<(Tensor, Params, Params)> {
        let leaves = leaves(&self.judge_leaves, &batch.inputs(), params, Some(running))?;
        let trace = self.judge.forward(&leaves, &[])?;
        let wants = mask(&self.judge_leaves, |l| !matches!(l, Leaf::Input(_)));
        let seed = [(self.judge.output(), trace.output().ones_like()?)];
        let adjoints = self.judge.backward(&trace, &seed, &wants)?;
        let pick = |layout: &Arc<Layout>, of: fn(Leaf) -> Option<usize>| {
            gather(layout, &self.judge_leaves, &adjoints, of, params)
        };
        Ok((trace.output().clone(), pick(&self.params, param)?, pick(&self.running, running_mean)?))
    }

    /// One learning step's forward and backward pass.
    ///
    /// With `second_order` the returned [`Lesson`] keeps what
    /// [`Network::curvature`] needs.
    pub fn learn(&self, params: &Params, batch: &Batch, second_order: bool) -> Result<Lesson> {
        self.lesson(params, batch, true, second_order)
    }

    /// The trace of a lesson, for [`Network::curvature`] alone.
    pub(crate) fn retrace(&self, params: &Params, batch: &Batch) -> Result<Trace> {
        Ok(self.lesson(params, batch, false, true)?.trace)
    }

    fn lesson(
        &self,
        params: &Params,
        batch: &Batch,
        gradient: bool,
        second_order: bool,
    ) -> Result<Lesson> {
        let leaves = leaves(&self.learn_leaves, &batch.inputs(), params, None)?;
        let mut trace = self.learn.forward(&leaves, &self.batch_means)?;
        let wants = mask(&self.learn_leaves, |l| gradient && matches!(l, Leaf::Param(_)));
        let seed = [(self.learn.output(), trace.output().ones_like()?)];
        let adjoints = if second_order {
            let later = vec![true; self.learn_leaves.len()];
            self.learn.backward_keeping(&mut trace, &seed, &wants, &later)?
        } else {
            self.learn.backward(&trace, &seed, &wants)?
        };
        let gradient = gather(&self.params, &self.learn_leaves, &adjoints, param, params)?;
        let means: Vec<_> = trace.observed().iter().cloned().map(Some).collect();
        let flat = params.flat();
        let means = Params::gather(&self.running, &means, flat.dtype(), flat.device())?;
        Ok(Lesson { gradient, means, trace })
    }

    /// The running means after a step whose batch had these means.
    pub fn update_running(&self, running: &Params, means: &Params) -> Result<Params> {
        let m = self.norm_momentum;
        Ok(running.with_flat(combined(m, running.flat(), 1.0 - m, means.flat())?))
    }

    /// Adjoints of a step's running means: of those before it, and of its batch's.
    pub(crate) fn running_adjoints(&self, after: &Params) -> Result<(Params, Params)> {
        let m = self.norm_momentum;
        let share = |factor| Ok::<_, Error>(after.with_flat(scaled(factor, after.flat())?));
        Ok((share(m)?, share(1.0 - m)?))
    }

    /// Gradients of `⟨∇L, direction⟩ + ⟨batch means, means⟩`, where `L` is
    /// the loss of the learning step that `trace` is of and `∇` is by the parameters.
    pub fn curvature(
        &self,
        trace: &Trace,
        direction: &Params,
        means: &Params,
        soft_labels: bool,
    ) -> Result<Curvature> {
        let directions = direction.tensors()?;
        let leaves: Vec<Option<Tensor>> = self
            .learn_leaves
            .iter()
            .map(|leaf| param(*leaf).map(|i| directions[i].clone()))
            .collect();
        let tangents = self.learn.tangent(trace, &leaves)?;
        let seeds: Vec<_> = self.batch_means.iter().copied().zip(means.tensors()?).collect();
        let wants = mask(&self.learn_leaves, |l| soft_labels || *l != Leaf::Input(1));
        let mut adjoints = self.learn.backward_tangent(trace, &tangents, &seeds, &wants)?;
        let params = gather(&self.params, &self.learn_leaves, &adjoints, param, direction)?;
        let mut input = |i: usize| {
            let at = self.learn_leaves.iter().position(|l| *l == Leaf::Input(i));
            adjoints[at.expect("both inputs are leaves")].take()
        };
        Ok(Curvature { params, images: input(0), targets: input(1) })
    }
}

/// What a learning step's passes found.
#[derive(Debug)]
pub struct Lesson {
    /// The gradient of the loss by the parameters.
    pub gradient: Params,
    /// The means that the norms saw in this batch.
    pub means: Params,
    /// What [`Network::curvature`] starts from.
    pub trace: Trace,
}

impl Lesson {
    /// The loss, a scalar.
    pub fn loss(&self) -> &Tensor {
        self.trace.output()
    }
}

/// What [`Network::curvature`] returns; `None` where a gradient is zero or was not asked for.
#[derive(Debug)]
pub struct Curvature {
    /// By the parameters.
    pub params: Params,
    /// By the images.
    pub images: Option<Tensor>,
    /// By the targets.
    pub targets: Option<Tensor>,
}

/// A network's inputs where the targets are not needed: up to the logits.
fn without_targets(images: &Tensor) -> Result<[Tensor; 2]> {
    Ok([images.clone(), zeros_like(images, &[0])?])
}

fn param(leaf: Leaf) -> Option<usize> {
    match leaf {
        Leaf::Param(i) => Some(i),
        _ => None,
    }
}

fn running_mean(leaf: Leaf) -> Option<usize> {
    match leaf {
        Leaf::Running(i) => Some(i),
        _ => None,
    }
}

pub(crate) fn mask(leaves: &[Leaf], wanted: impl Fn(&Leaf) -> bool) -> Vec<bool> {
    leaves.iter().map(wanted).collect()
}

/// The tensor of each leaf.
pub(crate) fn leaves(
    leaves: &[Leaf],
    inputs: &[Tensor],
    params: &Params,
    running: Option<&Params>,
) -> Result<Vec<Tensor>> {
    let params = params.tensors()?;
    let running = running.map(Params::tensors).transpose()?.unwrap_or_default();
    Ok(leaves
        .iter()
        .map(|leaf| match *leaf {
            Leaf::Input(i) => inputs[i].clone(),
            Leaf::Param(i) => params[i].clone(),
            Leaf::Running(i) => running[i].clone(),
        })
        .collect())
}

/// The adjoints of the leaves that `of` picks, in their layout's order.
pub(crate) fn gather(
    layout: &Arc<Layout>,
    leaves: &[Leaf],
    adjoints: &[Option<Tensor>],
    of: fn(Leaf) -> Option<usize>,
    like: &Params,
) -> Result<Params> {
    let mut parts = vec![None; layout.slots().len()];
    for (leaf, adjoint) in leaves.iter().zip(adjoints) {
        if let Some(i) = of(*leaf) {
            parts[i] = adjoint.clone();
        }
    }
    Params::gather(layout, &parts, like.flat().dtype(), like.flat().device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{LearnerFamily, LearnerSpec};
    use crate::seed::{Seed, normal};

    #[test]
    fn without_weight_norm_a_learner_starts_at_the_same_weights() {
        let image = ImageShape { channels: 1, height: 8, width: 8 };
        let images = normal(&[5, 1, 8, 8], DType::F64, &Device::Cpu, &mut Seed(2).rng()).unwrap();
        let logits = |weight_norm| {
            let mut spec: LearnerSpec = "conv2_fc:4,5,6".parse().unwrap();
            spec.normalization.weight_norm = weight_norm;
            let network = spec.network(Seed(0), image, 3).unwrap();
            let lengths = network.params().slots().iter().any(|slot| slot.name.ends_with(".g"));
            assert_eq!(lengths, weight_norm);
            let layout = network.params();
            let params =
                Params::init(layout, DType::F64, &Device::Cpu, &mut Seed(1).rng()).unwrap();
            let running = network.fresh_running(DType::F64, &Device::Cpu).unwrap();
            network.logits(&params, &running, &images).unwrap()
        };
        let gap = (logits(true) - logits(false)).unwrap().abs().unwrap().max_all().unwrap();
        // Lengths are computed in f32.
        assert!(gap.to_scalar::<f64>().unwrap() < 1e-5);
    }
}
