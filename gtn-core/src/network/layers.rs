//! A network described by data: what a learner's TOML holds.

use super::builder::NetworkBuilder;
use crate::graph::Value;
use crate::ops::{Conv2d, GlobalAvgPool, MaxPool, Reshape};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// One layer. Layers follow each other: each takes the output of the one before.
///
/// Every convolution and linear layer is weight-normalized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Convolution without bias.
    Conv {
        /// Prefix of its parameters' names.
        name: String,
        /// Output channels.
        channels: usize,
        /// Side of the square kernel.
        kernel: usize,
        /// Pixels from one output to the next.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros added on each side.
        #[serde(default)]
        padding: usize,
    },
    /// Max-pooling.
    MaxPool {
        /// Side of the square window.
        kernel: usize,
        /// Pixels from one window to the next.
        stride: usize,
        /// Pixels added on each side, at most half the window.
        #[serde(default)]
        padding: usize,
    },
    /// Mean-only batch norm with a learned bias.
    MeanNorm {
        /// Prefix of its parameters' names.
        name: String,
    },
    /// Leaky ReLU.
    LeakyRelu {
        /// Slope below zero, above 0.
        slope: f64,
    },
    /// The mean of each feature map.
    GlobalAvgPool,
    /// Fully connected layer without bias, on the flattened input.
    Linear {
        /// Prefix of its parameters' names.
        name: String,
        /// Outputs.
        features: usize,
    },
    /// Fully connected layer with bias and as many outputs as the data has
    /// classes: the last layer of every network.
    Classifier {
        /// Prefix of its parameters' names.
        name: String,
    },
}

fn one() -> usize {
    1
}

/// Lays `layers` over `x`; the result is the logits `(batch, classes)`.
pub(super) fn build(
    net: &mut NetworkBuilder,
    layers: &[Layer],
    mut x: Value,
    classes: usize,
) -> Result<Value> {
    match layers.split_last() {
        Some((Layer::Classifier { .. }, before))
            if !before.iter().any(|l| matches!(l, Layer::Classifier { .. })) => {}
        _ => {
            return Err(Error::spec(
                "a learner's last layer, and no other, must be a `classifier`",
            ));
        }
    }
    let mut left = layers;
    while let [layer, after @ ..] = left {
        let built = match (layer, after) {
            // Two layers, one operation.
            (Layer::MeanNorm { name }, [Layer::LeakyRelu { slope }, after @ ..]) => {
                left = after;
                valid_slope(*slope).and_then(|slope| net.mean_norm(name, x, slope))
            }
            _ => {
                left = after;
                build_one(net, layer, x, classes)
            }
        };
        let number = layers.len() - after.len();
        x = built.map_err(|e| Error::spec(format!("layer {number} of the learner: {e}")))?;
    }
    Ok(x)
}

fn build_one(net: &mut NetworkBuilder, layer: &Layer, x: Value, classes: usize) -> Result<Value> {
    match *layer {
        Layer::Conv { ref name, channels, kernel, stride, padding } => {
            positive("channels", channels)?;
            net.conv(name, x, channels, kernel, Conv2d { stride, padding: [padding; 2] })
        }
        Layer::MaxPool { kernel, stride, padding } => {
            net.apply(MaxPool { kernel, stride, padding }, &[x])
        }
        Layer::MeanNorm { ref name } => net.mean_norm(name, x, 1.0),
        Layer::LeakyRelu { slope } => net.leaky_relu(x, valid_slope(slope)?),
        Layer::GlobalAvgPool => net.apply(GlobalAvgPool, &[x]),
        Layer::Linear { ref name, features } => {
            positive("features", features)?;
            let x = flatten(net, x)?;
            net.linear(name, x, features)
        }
        Layer::Classifier { ref name } => {
            let x = flatten(net, x)?;
            let x = net.linear(name, x, classes)?;
            net.bias(name, x)
        }
    }
}

fn valid_slope(slope: f64) -> Result<f64> {
    if slope > 0.0 && slope.is_finite() {
        return Ok(slope);
    }
    Err(Error::spec(format!("the slope of a leaky ReLU must be above 0, found {slope}")))
}

fn positive(what: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::spec(format!("{what} must be at least 1"))) } else { Ok(()) }
}

fn flatten(net: &mut NetworkBuilder, x: Value) -> Result<Value> {
    let elements = net.sample(x).iter().product();
    if net.sample(x).len() == 1 {
        return Ok(x);
    }
    net.apply(Reshape { sample: vec![elements] }, &[x])
}
