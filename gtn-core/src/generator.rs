//! The generator: noise and a label become an image.

use crate::data::ImageShape;
use crate::graph::{Graph, Trace};
use crate::network::builder::{Means, NetworkBuilder, OUTPUT_GAIN, rectifier_gain};
use crate::network::{Layout, Leaves, Params};
use crate::ops::{Concat, Conv2d, Kept, Op, ReflectionPad, Reshape, Tanh, Upsample};
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

const SLOPE: f64 = 0.1;
/// Of noise, features or channels.
const MOST: usize = 1 << 20;

/// The generator of Such et al. (arXiv 1912.07768): two fully connected
/// layers make a small feature map, two convolutions after upsampling make it an image.
///
/// Everything is weight-normalized; batch norms use the statistics of the
/// batch that is generated; the output lies between −2 and 2.
///
/// It holds no parameters: those are [`Params`], handed to each call.
#[derive(Debug, Clone)]
pub struct Generator {
    graph: Graph,
    leaves: Leaves,
    noise: usize,
}

/// A generated batch, and what [`Generator::backward`] starts from.
#[derive(Debug)]
pub struct GeneratorTrace {
    graph: Trace,
    noise: Tensor,
    targets: Tensor,
    bytes: usize,
}

impl GeneratorTrace {
    /// The images `(batch, channels, height, width)`.
    pub fn images(&self) -> &Tensor {
        self.graph.output()
    }

    /// Bytes of the tensors held, not counting parameters and inputs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The gradients of a generated batch.
#[derive(Debug)]
pub struct GeneratorAdjoint {
    /// By the parameters, and what it was added to.
    pub params: Params,
    /// By the noise `(batch, noise)`.
    pub noise: Tensor,
    /// By the targets `(batch, classes)`.
    pub targets: Tensor,
}

impl Generator {
    /// A generator from `noise` numbers and a label of `classes` to `image`.
    ///
    /// `widths` are the outputs of the first fully connected layer, the
    /// channels of the small feature map, and those between the convolutions: (1024, 128, 64) in the paper.
    ///
    /// # Errors
    /// [`Error::Spec`] when height or width is no multiple of 4, or a size is not between 1 and 2²⁰.
    pub fn new(
        noise: usize,
        widths: [usize; 3],
        image: ImageShape,
        classes: usize,
    ) -> Result<Self> {
        let ImageShape { channels, height, width } = image;
        if height % 4 != 0 || width % 4 != 0 || height == 0 || width == 0 {
            return Err(Error::spec(format!(
                "the generator makes images whose sides are multiples of 4, found {height}×{width}; resize the data set"
            )));
        }
        let possible = |number: &usize| (1..=MOST).contains(number);
        if !possible(&noise) || !widths.iter().all(possible) {
            return Err(Error::spec(format!(
                "teacher.noise and teacher.widths must be between 1 and {MOST}, found noise {noise} and widths {widths:?}"
            )));
        }
        let [hidden, deep, shallow] = widths;
        let conv = Conv2d { stride: 1, padding: [0; 2] };
        let gain = rectifier_gain(SLOPE);
        let mut net = NetworkBuilder::new(Means::Batch, true);
        let x = net.input(&[noise + classes]);

        let x = net.linear("fc1", x, hidden, gain)?;
        let x = net.batch_norm("bn1", x)?;
        let x = net.leaky_relu(x, SLOPE)?;

        let sample = vec![deep, height / 4, width / 4];
        let x = net.linear("fc2", x, sample.iter().product(), gain)?;
        let x = net.batch_norm("bn2", x)?;
        let x = net.leaky_relu(x, SLOPE)?;
        let x = net.apply(Reshape { sample }, &[x])?;

        let x = net.apply(Upsample { factor: 2 }, &[x])?;
        let x = net.apply(ReflectionPad { padding: 1 }, &[x])?;
        let x = net.conv("conv1", x, shallow, [3; 2], conv, gain)?;
        let x = net.batch_norm("bn3", x)?;
        let x = net.leaky_relu(x, SLOPE)?;

        let x = net.apply(Upsample { factor: 2 }, &[x])?;
        let x = net.apply(ReflectionPad { padding: 1 }, &[x])?;
        let x = net.conv("conv2", x, channels, [3; 2], conv, OUTPUT_GAIN)?;
        let x = net.bias("conv2", x)?;
        let x = net.apply(Tanh { scale: 2.0 }, &[x])?;

        let built = net.finish(x);
        Ok(Self { graph: built.graph, leaves: built.leaves, noise })
    }

    /// Names and shapes of the parameters.
    pub fn params(&self) -> &Arc<Layout> {
        self.leaves.params()
    }

    /// Numbers of noise a sample.
    pub fn noise(&self) -> usize {
        self.noise
    }

    /// Images `(batch, channels, height, width)` from noise `(batch, noise)` and targets `(batch, classes)`.
    pub fn generate(&self, params: &Params, noise: &Tensor, targets: &Tensor) -> Result<Tensor> {
        self.graph.infer(&self.inputs(params, noise, targets)?)
    }

    /// As [`Self::generate`], with what the way back needs.
    pub fn trace(
        &self,
        params: &Params,
        noise: &Tensor,
        targets: &Tensor,
    ) -> Result<GeneratorTrace> {
        let inputs = self.inputs(params, noise, targets)?;
        let graph = self.graph.forward(&inputs, &[])?;
        let bytes = graph.bytes(&inputs);
        Ok(GeneratorTrace { graph, noise: noise.clone(), targets: targets.clone(), bytes })
    }

    /// Gradients of a generated batch from the adjoint of its images; that by the parameters is added to
    /// `onto`.
    pub fn backward(
        &self,
        params: &Params,
        trace: &GeneratorTrace,
        images: &Tensor,
        onto: Option<&Params>,
    ) -> Result<GeneratorAdjoint> {
        let wants = self.leaves.mask(|_| true);
        let seed = [(self.graph.output(), images.clone())];
        let adjoints = self.graph.backward(&trace.graph, &seed, &wants)?;
        let input = adjoints[self.leaves.input(0)].as_ref();
        let input = input.expect("images depend on the input");
        let parts =
            Concat.backward(&Kept::of(&[&trace.noise, &trace.targets]), input, &[true; 2])?;
        let mut parts = parts.into_iter().flatten();
        let mut part = || parts.next().expect("both are wanted");
        let params = self.leaves.gradient(params, &adjoints, onto)?;
        Ok(GeneratorAdjoint { params, noise: part(), targets: part() })
    }

    fn inputs(&self, params: &Params, noise: &Tensor, targets: &Tensor) -> Result<Vec<Tensor>> {
        let input = Concat.forward(&[noise, targets])?.y;
        self.leaves.values(&[input], params, None)
    }
}
