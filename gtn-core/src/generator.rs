//! The generator: noise and a label become an image.

use crate::data::ImageShape;
use crate::graph::{Graph, Trace};
use crate::layout::{channels_first, channels_last, contiguous};
use crate::network::builder::{Means, NetworkBuilder, OUTPUT_GAIN, rectifier_gain};
use crate::network::{Layout, Leaf, Leaves, Params};
use crate::ops::{Concat, Conv2d, ReflectionPad, Reshape, Tanh, Upsample};
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
/// It holds no parameters: [`Generator::at`] takes them.
#[derive(Debug, Clone)]
pub struct Generator {
    graph: Graph,
    leaves: Leaves,
    /// Names and shapes of the leaves that are learned.
    learned: Arc<Layout>,
    noise: usize,
}

/// A [`Generator`] at some parameters: normalized weights are made of them once, for all its batches.
#[derive(Debug)]
pub struct GeneratorAt<'a> {
    generator: &'a Generator,
    params: Params,
    /// The tensor of each leaf but the inputs.
    leaves: Vec<Option<Tensor>>,
    /// The adjoints of the leaves that are learned, added up over batches.
    adjoints: Params,
}

/// A generated batch, and what [`GeneratorAt::backward`] starts from.
#[derive(Debug)]
pub struct GeneratorTrace {
    graph: Trace,
    bytes: usize,
}

impl GeneratorTrace {
    /// The images `(batch, channels, height, width)`.
    pub fn images(&self) -> &Tensor {
        self.graph.output()
    }

    /// Bytes of the tensors held, not counting inputs, and what all batches share.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The adjoints of what a batch was generated from.
#[derive(Debug)]
pub struct InputAdjoint {
    /// Of the noise `(batch, noise)`.
    pub noise: Tensor,
    /// Of the targets `(batch, classes)`.
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
        let inputs = [net.input("noise", &[noise]), net.input("targets", &[classes])];
        let x = net.apply(Concat, &inputs)?;

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
        let learned = Arc::new(built.leaves.learned()?);
        Ok(Self { graph: built.graph, leaves: built.leaves, learned, noise })
    }

    /// Names and shapes of the parameters.
    pub fn params(&self) -> &Arc<Layout> {
        self.leaves.params()
    }

    /// Numbers of noise a sample.
    pub fn noise(&self) -> usize {
        self.noise
    }

    /// The generator at these parameters.
    ///
    /// # Errors
    /// [`Error::Spec`] when they are laid out for another network.
    pub fn at(&self, params: Params) -> Result<GeneratorAt<'_>> {
        let flat = params.flat();
        Ok(GeneratorAt {
            generator: self,
            leaves: self.leaves.without_inputs(&params, None)?,
            adjoints: Params::zeros(&self.learned, flat.dtype(), flat.device())?,
            params,
        })
    }
}

impl GeneratorAt<'_> {
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Images `(batch, channels, height, width)` from noise `(batch, noise)` and targets `(batch, classes)`.
    ///
    /// # Errors
    /// [`Error::Shape`] when these are of other shapes, or empty.
    pub fn generate(&self, noise: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let Generator { graph, leaves, .. } = self.generator;
        graph.infer(&leaves.with_inputs(&self.leaves, &[noise, targets])?)
    }

    /// As [`Self::generate`], with what the way back needs.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn trace(&self, noise: &Tensor, targets: &Tensor) -> Result<GeneratorTrace> {
        let Generator { graph, leaves, .. } = self.generator;
        let values = leaves.with_inputs(&self.leaves, &[noise, targets])?;
        let graph = graph.forward(&values, &[])?;
        let bytes = graph.bytes(&values.iter().collect::<Vec<_>>());
        Ok(GeneratorTrace { graph, bytes })
    }

    /// The adjoints of a batch's noise and targets from that of its images. What it adds to the gradient by the
    /// parameters is for [`Self::gradient`].
    pub fn backward(&mut self, trace: &GeneratorTrace, images: &Tensor) -> Result<InputAdjoint> {
        let Generator { graph, leaves, .. } = self.generator;
        let seed = [(graph.output(), images.clone())];
        let mut adjoints = graph.backward(&trace.graph, &seed, &leaves.mask(|_| true))?;
        let mut input = |i| adjoints[leaves.input(i)].take().expect("images depend on the input");
        let inputs = InputAdjoint { noise: input(0), targets: input(1) };
        let learned = leaves.mask(Leaf::learned).into_iter().zip(&adjoints);
        let learned = learned.filter(|(learned, _)| *learned);
        let learned = learned.map(|(_, adjoint)| adjoint.as_ref().map(channels_last).transpose());
        let learned = learned.collect::<Result<Vec<_>>>()?;
        self.adjoints = self.adjoints.combined_with(1.0, 1.0, &learned)?;
        Ok(inputs)
    }

    /// The gradient by the parameters of all that [`Self::backward`] was called for.
    pub fn gradient(&self) -> Result<Params> {
        let leaves = &self.generator.leaves;
        let mut sums = self.adjoints.tensors()?.into_iter();
        let adjoints = leaves.mask(Leaf::learned).into_iter().map(|learned| {
            let sum = if learned { sums.next() } else { None };
            sum.map(|sum| contiguous(&channels_first(sum)?)).transpose()
        });
        let adjoints = adjoints.collect::<Result<Vec<_>>>()?;
        leaves.gradient(&self.params, &adjoints, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::uniform;
    use crate::seed::Seed;
    use candle_core::{DType, Device};

    #[test]
    fn the_gradient_is_that_of_all_batches() {
        let image = ImageShape { channels: 2, height: 8, width: 4 };
        let generator = Generator::new(5, [6, 4, 3], image, 3).unwrap();
        let layout = generator.params();
        let params = Params::init(layout, DType::F64, &Device::Cpu, &mut Seed(1).rng()).unwrap();
        let batches: Vec<_> = (0..3)
            .map(|i| {
                [uniform(&[4, 5], i), uniform(&[4, 3], 10 + i), uniform(&[4, 2, 8, 4], 20 + i)]
            })
            .collect();
        let value = |at: &GeneratorAt<'_>| -> f64 {
            let products = batches.iter().map(|[noise, targets, adjoint]| {
                let images = at.generate(noise, targets).unwrap();
                (images * adjoint).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()
            });
            products.sum()
        };

        let mut at = generator.at(params.clone()).unwrap();
        for [noise, targets, adjoint] in &batches {
            let trace = at.trace(noise, targets).unwrap();
            at.backward(&trace, adjoint).unwrap();
        }
        let (gradient, h) = (at.gradient().unwrap(), 1e-5);
        // Parameter by parameter, so that none hides behind the others.
        for (i, slot) in layout.slots().iter().enumerate() {
            let mut along = params.with_flat(params.flat().zeros_like().unwrap()).named().unwrap();
            along[i].1 = uniform(&slot.shape, 30);
            let ours = (&along[i].1 * gradient.get(&slot.name).unwrap()).unwrap();
            let ours = ours.sum_all().unwrap().to_scalar::<f64>().unwrap();
            let along = Params::from_named(layout, &along.into_iter().collect()).unwrap();
            let moved = |h: f64| {
                let flat = (params.flat() + (along.flat() * h).unwrap()).unwrap();
                value(&generator.at(params.with_flat(flat)).unwrap())
            };
            let expected = (moved(h) - moved(-h)) / (2.0 * h);
            let gap = (ours - expected).abs();
            assert!(
                gap < 1e-6 * (1.0 + expected.abs()),
                "{}: {ours}, expected {expected}",
                slot.name
            );
        }
    }

    #[test]
    fn what_is_not_the_generators_is_refused() {
        let image = ImageShape { channels: 1, height: 4, width: 4 };
        let params = |generator: &Generator| {
            let rng = &mut Seed(1).rng();
            Params::init(generator.params(), DType::F64, &Device::Cpu, rng).unwrap()
        };
        let generator = Generator::new(5, [6, 4, 3], image, 3).unwrap();
        let at = generator.at(params(&generator)).unwrap();
        for (noise, targets, expected) in [
            ([4, 6], [4, 3], "noise: expected (4, 5), found [4, 6]"),
            ([4, 5], [4, 2], "targets: expected (4, 3), found [4, 2]"),
            ([4, 5], [3, 3], "targets: expected (4, 3), found [3, 3]"),
            ([0, 5], [0, 3], "noise: expected (batch, 5), found [0, 5]"),
        ] {
            let shaped = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
            let error = at.generate(&shaped(&noise), &shaped(&targets)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let other = Generator::new(5, [7, 4, 3], image, 3).unwrap();
        assert!(generator.at(params(&other)).is_err());
    }
}
