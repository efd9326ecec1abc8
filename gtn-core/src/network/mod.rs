//! Learners: networks built from data, with their parameters apart.

mod assemble;
pub(crate) mod builder;
mod layers;
mod leaves;
mod params;
mod probe;

pub use layers::{Layer, PerAxis};
pub use params::{Init, Layout, Params, Slot};

use crate::data::{Batch, ImageShape};
use crate::graph::{Graph, Trace, Value};
use crate::ops::{CrossEntropy, LogSoftmax};
use crate::seed::Seed;
use crate::tensors::{multiples, one_like};
use crate::{Error, Result};
use builder::{Means, NetworkBuilder};
use candle_core::{DType, Device, Tensor};
pub(crate) use leaves::{Leaf, Leaves};
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
/// It holds no parameters: those are [`Params`], handed to each call. Calls refuse an empty batch and one of another
/// shape ([`Error::Shape`]), and another network's parameters ([`Error::Spec`]).
#[derive(Debug, Clone)]
pub struct Network {
    norm_momentum: f64,
    /// The loss while learning: norms use the batch's means.
    learn: Graph,
    learn_leaves: Leaves,
    batch_means: Vec<Value>,
    rectified: Vec<Value>,
    /// The loss while being judged: norms use the running means.
    judge: Graph,
    judge_leaves: Leaves,
    logits: Graph,
}

impl Network {
    /// Builds a network from its layers.
    ///
    /// # Errors
    /// [`Error::Spec`] that names the layer that does not fit, or when `norm_momentum` is out of range, or images or
    /// classes are nothing.
    pub fn new(
        layers: &[Layer],
        image: ImageShape,
        classes: usize,
        normalization: Normalization,
    ) -> Result<Self> {
        let Normalization { norm_momentum, weight_norm } = normalization;
        if !(0.0..1.0).contains(&norm_momentum) {
            return Err(Error::spec(format!(
                "learner.norm_momentum must be at least 0 and below 1, found {norm_momentum}"
            )));
        }
        if image.dims().contains(&0) || classes == 0 {
            return Err(Error::spec(format!(
                "a learner needs images of at least one channel, row and column, and at least one class, found {image:?} and {classes} classes"
            )));
        }
        let build = |means| {
            let mut net = NetworkBuilder::new(means, weight_norm);
            let x = net.input("images", &image.dims());
            let targets = net.input("targets", &[classes]);
            let logits = assemble::assemble(&mut net, layers, x, classes)?;
            let log_p = net.apply(LogSoftmax, &[logits])?;
            let loss = net.apply(CrossEntropy, &[log_p, targets])?;
            Ok::<_, Error>((net.finish(loss), logits))
        };
        let (learn, _) = build(Means::Batch)?;
        let (judge, logits) = build(Means::Running)?;
        Ok(Self {
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
        self.learn_leaves.params()
    }

    /// Names and shapes of the running means.
    pub fn running(&self) -> &Arc<Layout> {
        self.learn_leaves.running()
    }

    /// A learner's first parameters, as `draw` decides, in single precision.
    pub fn first_params(&self, draw: Seed, device: &Device) -> Result<Params> {
        Params::init(self.params(), DType::F32, device, &mut draw.derive("weights", 0).rng())
    }

    /// Running means before the first step: zeros.
    pub fn fresh_running(&self, dtype: DType, device: &Device) -> Result<Params> {
        Params::zeros(self.running(), dtype, device)
    }

    /// The logits `(batch, classes)` of images, judged with the running means.
    pub fn logits(&self, params: &Params, running: &Params, images: &Tensor) -> Result<Tensor> {
        self.logits.infer(&self.judge_leaves.values(&[images], params, Some(running))?)
    }

    /// The loss on a batch, judged with the running means: a scalar. With it its gradients by the parameters and by the
    /// running means, each added to what `onto` holds.
    pub fn judge_gradient(
        &self,
        params: &Params,
        running: &Params,
        batch: &Batch,
        onto: Option<[&Params; 2]>,
    ) -> Result<(Tensor, [Params; 2])> {
        let leaves = self.judge_leaves.values(&batch.inputs(), params, Some(running))?;
        let trace = self.judge.forward(&leaves, &[])?;
        let wants = self.judge_leaves.mask(|leaf| !matches!(leaf, Leaf::Input(_)));
        let seed = [(self.judge.output(), one_like(trace.output())?)];
        let adjoints = self.judge.backward(&trace, &seed, &wants)?;
        let [onto_params, onto_running] = onto.map_or([None; 2], |onto| onto.map(Some));
        let by_params = self.judge_leaves.gradient(params, &adjoints, onto_params)?;
        let by_running = self.judge_leaves.running_gradient(running, &adjoints, onto_running)?;
        Ok((trace.output().clone(), [by_params, by_running]))
    }

    /// One learning step's forward and backward pass.
    ///
    /// With `second_order` the returned [`Lesson`] keeps what
    /// [`Network::curvature`] needs.
    pub fn learn(&self, params: &Params, batch: &Batch, second_order: bool) -> Result<Lesson> {
        let (graph, adjoints) = self.traced(params, batch, Leaf::learned, second_order)?;
        Ok(Lesson {
            gradient: self.learn_leaves.gradient(params, &adjoints, None)?,
            means: graph.observed().to_vec(),
            trace: self.lesson_trace(params, graph, adjoints, second_order),
        })
    }

    /// The trace of a lesson, for [`Network::curvature`] alone.
    pub(crate) fn retrace(&self, params: &Params, batch: &Batch) -> Result<LessonTrace> {
        let wanted = |leaf: &Leaf| matches!(leaf, Leaf::Weight(_));
        let (graph, adjoints) = self.traced(params, batch, wanted, true)?;
        Ok(self.lesson_trace(params, graph, adjoints, true))
    }

    /// The passes of a lesson, with the adjoints of the leaves that are wanted.
    fn traced(
        &self,
        params: &Params,
        batch: &Batch,
        wanted: fn(&Leaf) -> bool,
        second_order: bool,
    ) -> Result<(Trace, Vec<Option<Tensor>>)> {
        let leaves = self.learn_leaves.values(&batch.inputs(), params, None)?;
        let mut trace = self.learn.forward(&leaves, &self.batch_means)?;
        let wants = self.learn_leaves.mask(wanted);
        let seed = [(self.learn.output(), one_like(trace.output())?)];
        let adjoints = if second_order {
            let later = vec![true; wants.len()];
            self.learn.backward_keeping(&mut trace, &seed, &wants, &later)?
        } else {
            self.learn.backward(&trace, &seed, &wants)?
        };
        Ok((trace, adjoints))
    }

    fn lesson_trace(
        &self,
        params: &Params,
        graph: Trace,
        mut adjoints: Vec<Option<Tensor>>,
        second_order: bool,
    ) -> LessonTrace {
        let needed = |leaf: &Leaf| second_order && matches!(leaf, Leaf::Weight(_));
        for (adjoint, needed) in adjoints.iter_mut().zip(self.learn_leaves.mask(needed)) {
            adjoint.take_if(|_| !needed);
        }
        LessonTrace { params: params.clone(), graph, adjoints, second_order }
    }

    /// The running means after a step whose batch had these means, in the order of [`Network::running`].
    ///
    /// # Panics
    /// When there are fewer means than the network has norms, or of other sizes.
    pub fn update_running(&self, running: &Params, means: &[Tensor]) -> Result<Params> {
        let m = self.norm_momentum;
        let means: Vec<_> = means.iter().cloned().map(Some).collect();
        running.combined_with(m, 1.0 - m, &means)
    }

    /// Adjoints of a step's running means: of those before it, and of its batch's.
    pub(crate) fn running_adjoints(&self, after: &Params) -> Result<(Params, Params)> {
        let m = self.norm_momentum;
        let [before, batch] = multiples(after.flat(), [m, 1.0 - m])?;
        Ok((after.with_flat(before), after.with_flat(batch)))
    }

    /// Gradients of `⟨∇L, direction⟩ + ⟨batch means, means⟩`, where `L` is the loss of the learning step that
    /// `trace` is of and `∇` is by the parameters; that by the parameters is added to `onto`.
    ///
    /// # Errors
    /// [`Error::Spec`] for the trace of a lesson without `second_order`, or of another network.
    pub fn curvature(
        &self,
        trace: &LessonTrace,
        direction: &Params,
        means: &Params,
        soft_labels: bool,
        onto: Option<&Params>,
    ) -> Result<Curvature> {
        let LessonTrace { params, graph, adjoints, second_order } = trace;
        if !second_order {
            return Err(Error::spec(
                "this lesson was taught without what its curvature needs; teach it with second_order",
            ));
        }
        let leaves = self.learn_leaves.tangents(params, direction)?;
        let tangents = self.learn.tangent(graph, &leaves)?;
        self.learn_leaves.own_running(means)?;
        let seeds: Vec<_> = self.batch_means.iter().copied().zip(means.tensors()?).collect();
        let wants = self.learn_leaves.mask(|leaf| soft_labels || *leaf != Leaf::Input(1));
        let mut moves = self.learn.backward_tangent(graph, &tangents, &seeds, &wants)?;
        let along = [params, direction];
        let params = self.learn_leaves.gradient_tangent(along, adjoints, &moves, onto)?;
        let mut input = |i| moves[self.learn_leaves.input(i)].take();
        Ok(Curvature { params, images: input(0), targets: input(1) })
    }
}

/// What a learning step's passes found.
#[derive(Debug)]
pub struct Lesson {
    /// The gradient of the loss by the parameters.
    pub gradient: Params,
    /// The means that the norms saw in this batch, in the order of [`Network::running`].
    pub means: Vec<Tensor>,
    /// What [`Network::curvature`] starts from.
    pub trace: LessonTrace,
}

impl Lesson {
    /// The loss, a scalar.
    pub fn loss(&self) -> &Tensor {
        self.trace.graph.output()
    }
}

/// What the passes of a learning step leave for [`Network::curvature`].
#[derive(Debug)]
pub struct LessonTrace {
    params: Params,
    graph: Trace,
    /// Of the leaves: those of normalized weights.
    adjoints: Vec<Option<Tensor>>,
    /// Whether all of this is enough for [`Network::curvature`].
    second_order: bool,
}

impl LessonTrace {
    /// Bytes of the tensors held, not counting inputs; parameters count where an operation keeps them as its weights,
    /// which it does without weight normalization.
    pub(crate) fn bytes(&self, batch: &Batch) -> usize {
        let adjoints = self.adjoints.iter().flatten();
        let adjoints = adjoints.map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum::<usize>();
        self.graph.bytes(&batch.inputs()) + adjoints
    }
}

/// What [`Network::curvature`] returns; `None` where a gradient is zero or was not asked for.
#[derive(Debug)]
pub struct Curvature {
    /// By the parameters, and what it was added to.
    pub params: Params,
    /// By the images.
    pub images: Option<Tensor>,
    /// By the targets.
    pub targets: Option<Tensor>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{LearnerFamily, LearnerSpec};
    use crate::seed::{Seed, normal};

    #[test]
    fn what_is_not_the_networks_is_refused() {
        let image = ImageShape { channels: 1, height: 8, width: 8 };
        let build =
            |spec: &str, image| spec.parse::<LearnerSpec>().unwrap().network(Seed(0), image, 3);
        let network = build("conv2_fc:4,5,6", image).unwrap();
        let params = |network: &Network| {
            Params::init(network.params(), DType::F64, &Device::Cpu, &mut Seed(1).rng()).unwrap()
        };
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
        let learn = |params: &Params, images: &[usize], targets: &[usize]| {
            let batch = Batch { images: zeros(images), targets: zeros(targets) };
            network.learn(params, &batch, true).map(|_| ())
        };
        let own = params(&network);
        assert!(learn(&own, &[5, 1, 8, 8], &[5, 3]).is_ok());
        for (images, targets, expected) in [
            (&[5, 1, 8, 9], &[5, 3], "images: expected (5, 1, 8, 8), found [5, 1, 8, 9]"),
            (&[0, 1, 8, 8], &[0, 3], "images: expected (batch, 1, 8, 8), found [0, 1, 8, 8]"),
            (&[5, 1, 8, 8], &[5, 4], "targets: expected (5, 3), found [5, 4]"),
            (&[5, 1, 8, 8], &[4, 3], "targets: expected (5, 3), found [4, 3]"),
        ] {
            assert_eq!(learn(&own, images, targets).unwrap_err().to_string(), expected);
        }
        let other = build("conv2_fc:4,7,6", image).unwrap();
        let error = learn(&params(&other), &[5, 1, 8, 8], &[5, 3]).unwrap_err().to_string();
        let expected = "these are another network's parameters: expected `conv2.weight` of shape [5, 4, 3, 3], found `conv2.weight` of shape [7, 4, 3, 3]";
        assert_eq!(error, expected);
        let running = other.fresh_running(DType::F64, &Device::Cpu).unwrap();
        let error = network.logits(&own, &running, &zeros(&[5, 1, 8, 8])).unwrap_err().to_string();
        assert!(error.starts_with("these are another network's running means: "), "{error}");

        let error = build("conv5_gap:4,5,6", ImageShape { height: 0, ..image }).unwrap_err();
        assert!(error.to_string().contains("at least one channel, row and column"), "{error}");
    }

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
