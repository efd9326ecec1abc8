//! Writing down the layers of a network.

use gtn_core::network::Layer;
use gtn_core::ops::Padding;

/// Slope of the leaky rectifier below zero, as in the GTN paper's learners.
const SLOPE: f64 = 0.1;

/// A list of layers in the making. Layers and values get names of their own.
#[derive(Debug, Default)]
pub(super) struct Lowering {
    layers: Vec<Layer>,
    named: usize,
}

/// A value that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value(String);

impl Lowering {
    fn name(&mut self, kind: &str) -> String {
        self.named += 1;
        format!("{kind}{}", self.named)
    }

    /// A convolution that, but for its stride, keeps the image's size. Both sides of the kernel are odd.
    pub(super) fn conv(&mut self, channels: usize, kernel: [usize; 2], stride: usize) {
        let name = self.name("conv");
        let padding = kernel.map(|side| side / 2).into();
        self.layers.push(Layer::Conv { name, channels, kernel: kernel.into(), stride, padding });
    }

    pub(super) fn max_pool(&mut self, kernel: usize, stride: usize) {
        self.layers.push(Layer::MaxPool { kernel, stride, padding: Padding::Same });
    }

    pub(super) fn avg_pool(&mut self, kernel: usize, stride: usize) {
        self.layers.push(Layer::AvgPool { kernel, stride, padding: Padding::Same });
    }

    pub(super) fn zeroize(&mut self) {
        self.layers.push(Layer::Zeroize { stride: 1 });
    }

    pub(super) fn norm(&mut self) {
        let name = self.name("norm");
        self.layers.push(Layer::MeanNorm { name });
    }

    pub(super) fn relu(&mut self) {
        self.layers.push(Layer::LeakyRelu { slope: SLOPE });
    }

    /// The usual unit of cells.
    pub(super) fn relu_conv_norm(&mut self, channels: usize, kernel: [usize; 2], stride: usize) {
        self.relu();
        self.conv(channels, kernel, stride);
        self.norm();
    }

    pub(super) fn global_avg_pool(&mut self) {
        self.layers.push(Layer::GlobalAvgPool {});
    }

    pub(super) fn linear(&mut self, features: usize) {
        let name = self.name("fc");
        self.layers.push(Layer::Linear { name, features });
    }

    /// The current value, to go back to.
    pub(super) fn mark(&mut self) -> Value {
        let value = self.name("value");
        self.layers.push(Layer::Mark { value: value.clone() });
        Value(value)
    }

    pub(super) fn take(&mut self, value: &Value) {
        self.layers.push(Layer::Take { value: value.0.clone() });
    }

    pub(super) fn sum(&mut self, values: &[Value]) {
        let of = values.iter().map(|value| value.0.clone()).collect();
        self.layers.push(Layer::Sum { of });
    }

    pub(super) fn concat(&mut self, values: &[Value]) {
        let of = values.iter().map(|value| value.0.clone()).collect();
        self.layers.push(Layer::Concat { of });
    }

    /// Ends with the classifier.
    pub(super) fn classify(mut self) -> Vec<Layer> {
        self.layers.push(Layer::Classifier { name: "classifier".into() });
        self.layers
    }
}
