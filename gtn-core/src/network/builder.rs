//! Layers with parameters, laid over a graph.

use super::leaves::{Input, Leaf, Leaves};
use super::params::{Init, Layout};
use crate::Result;
use crate::graph::{Graph, GraphBuilder, Value};
use crate::ops::{BatchNorm, Bias, ChannelMean, DepthwiseConv, LeakyRelu, Linear, MeanNorm, Op};
use std::sync::Arc;

/// Whose mean a mean-only batch norm subtracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// The batch's own.
    Batch,
    /// The running means, which are leaves then.
    Running,
}

/// A network in the making.
#[derive(Debug)]
pub(crate) struct NetworkBuilder {
    graph: GraphBuilder,
    leaves: Vec<Leaf>,
    inputs: Vec<Input>,
    params: Layout,
    running: Layout,
    batch_means: Vec<Value>,
    rectified: Vec<Value>,
    means: Means,
    weight_norm: bool,
}

/// What [`NetworkBuilder::finish`] returns.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) leaves: Leaves,
    pub(crate) batch_means: Vec<Value>,
    /// The outputs of the rectifiers.
    pub(crate) rectified: Vec<Value>,
}

/// How long the rows of a last layer are at the start: what its outputs are before anything is learned should say little.
pub(crate) const OUTPUT_GAIN: f64 = 0.577_350_269_189_625_8;

/// How long a weight's rows are for a leaky rectifier of this slope to follow, so that signals neither grow nor fade from
/// layer to layer: He et al., arXiv 1502.01852. A rectifier of slope 1, that is none, asks for 1.
pub(crate) fn rectifier_gain(slope: f64) -> f64 {
    (2.0 / (1.0 + slope * slope)).sqrt()
}

impl NetworkBuilder {
    pub(crate) fn new(means: Means, weight_norm: bool) -> Self {
        Self {
            graph: GraphBuilder::new(),
            leaves: Vec::new(),
            inputs: Vec::new(),
            params: Layout::default(),
            running: Layout::default(),
            batch_means: Vec::new(),
            rectified: Vec::new(),
            means,
            weight_norm,
        }
    }

    pub(crate) fn input(&mut self, name: &'static str, sample: &[usize]) -> Value {
        self.leaves.push(Leaf::Input(self.inputs.len()));
        self.inputs.push(Input { name, sample: sample.to_vec() });
        self.graph.leaf(&[&[1], sample].concat())
    }

    pub(crate) fn apply(&mut self, op: impl Op + 'static, args: &[Value]) -> Result<Value> {
        self.graph.apply(op, args)
    }

    /// The shape of one sample of a value.
    pub(crate) fn sample(&self, value: Value) -> &[usize] {
        &self.graph.shape(value)[1..]
    }

    fn param(&mut self, name: String, shape: &[usize], init: Init) -> Result<Value> {
        let number = self.params.push(name, shape, init)?;
        self.leaves.push(Leaf::Param(number));
        Ok(self.graph.leaf(shape))
    }

    /// A weight whose rows are `gain` long at the start: normalized, as directions and lengths, or as it is.
    ///
    /// Directions start evenly from ±1/√fan-in. Longer ones would slow the learner down: a direction turns by its
    /// gradient over its length squared.
    fn weight(&mut self, name: &str, shape: &[usize], gain: f64) -> Result<Value> {
        let weight = format!("{name}.weight");
        if !self.weight_norm {
            return self.param(weight, shape, Init::Rows { length: gain });
        }
        // Too large a shape is refused below.
        let fan_in = shape[1..].iter().fold(1usize, |all, &side| all.saturating_mul(side));
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        let number = self.params.push(weight, shape, Init::Uniform { bound })?;
        self.params.push(format!("{name}.g"), &shape[..1], Init::Constant(gain))?;
        self.leaves.push(Leaf::Weight(number));
        Ok(self.graph.leaf(shape))
    }

    pub(crate) fn conv(
        &mut self,
        name: &str,
        x: Value,
        channels: usize,
        [kernel_h, kernel_w]: [usize; 2],
        op: impl Op + 'static,
        gain: f64,
    ) -> Result<Value> {
        // A value that is no feature map is refused by the operation itself.
        let inputs = self.sample(x).first().copied().unwrap_or(0);
        let w = self.weight(name, &[channels, inputs, kernel_h, kernel_w], gain)?;
        self.apply(op, &[x, w])
    }

    pub(crate) fn depthwise_conv(
        &mut self,
        name: &str,
        x: Value,
        [kernel_h, kernel_w]: [usize; 2],
        op: DepthwiseConv,
        gain: f64,
    ) -> Result<Value> {
        let channels = self.sample(x).first().copied().unwrap_or(0);
        let w = self.weight(name, &[channels, 1, kernel_h, kernel_w], gain)?;
        self.apply(op, &[x, w])
    }

    pub(crate) fn linear(
        &mut self,
        name: &str,
        x: Value,
        features: usize,
        gain: f64,
    ) -> Result<Value> {
        let inputs = self.sample(x).iter().product();
        let w = self.weight(name, &[features, inputs], gain)?;
        self.apply(Linear, &[x, w])
    }

    pub(crate) fn bias(&mut self, name: &str, x: Value) -> Result<Value> {
        let channels = self.sample(x)[0];
        let bias = self.param(format!("{name}.bias"), &[channels], Init::Constant(0.0))?;
        self.apply(Bias, &[x, bias])
    }

    /// Mean-only batch norm and a leaky rectifier (`slope` 1: none).
    pub(crate) fn mean_norm(&mut self, name: &str, x: Value, slope: f64) -> Result<Value> {
        let channels = self.sample(x)[0];
        let bias = self.param(format!("{name}.bias"), &[channels], Init::Constant(0.0))?;
        let number = self.running.push(format!("{name}.mean"), &[channels], Init::Constant(0.0))?;
        let mean = match self.means {
            Means::Batch => {
                let mean = self.apply(ChannelMean, &[x])?;
                self.batch_means.push(mean);
                mean
            }
            Means::Running => {
                self.leaves.push(Leaf::Running(number));
                self.graph.leaf(&[channels])
            }
        };
        let y = self.apply(MeanNorm { slope }, &[x, mean, bias])?;
        if slope != 1.0 {
            self.rectified.push(y);
        }
        Ok(y)
    }

    pub(crate) fn batch_norm(&mut self, name: &str, x: Value) -> Result<Value> {
        let channels = self.sample(x)[0];
        let scale = self.param(format!("{name}.weight"), &[channels], Init::Constant(1.0))?;
        let shift = self.param(format!("{name}.bias"), &[channels], Init::Constant(0.0))?;
        self.apply(BatchNorm { epsilon: 1e-5 }, &[x, scale, shift])
    }

    pub(crate) fn leaky_relu(&mut self, x: Value, slope: f64) -> Result<Value> {
        let y = self.apply(LeakyRelu { slope }, &[x])?;
        self.rectified.push(y);
        Ok(y)
    }

    pub(crate) fn finish(self, output: Value) -> Built {
        Built {
            graph: self.graph.finish(output),
            leaves: Leaves {
                all: self.leaves,
                inputs: self.inputs,
                params: Arc::new(self.params),
                running: Arc::new(self.running),
            },
            batch_means: self.batch_means,
            rectified: self.rectified,
        }
    }
}
