//! Learners described by data: presets, widths drawn at random, or layer by layer.

use super::LearnerFamily;
use crate::data::ImageShape;
use crate::network::{Layer, Network, Normalization};
use crate::ops::Padding;
use crate::seed::Seed;
use crate::{Error, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Learners described by data.
///
/// ```
/// use gtn_core::learner::LearnerSpec;
///
/// let spec: LearnerSpec = toml::from_str(
///     "preset = 'conv2_fc'
///      widths = [16, [16, 64], 64]  # the second is drawn anew for each learner
///      norm_momentum = 0.5",
/// )?;
/// assert_eq!(spec.to_string(), "conv2_fc:16,16-64,64");
/// assert!(spec.normalization.weight_norm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LearnerSpec {
    /// Their layers.
    #[serde(flatten)]
    pub architecture: Architecture,
    /// How their layers are normalized.
    #[serde(flatten)]
    pub normalization: Normalization,
}

/// The layers of learners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "preset", rename_all = "snake_case")]
pub enum Architecture {
    /// Two convolutions with max-pooling and two fully connected layers: the paper's for MNIST.
    Conv2Fc {
        /// Channels of the convolutions, outputs of the first fully connected
        /// layer: (64, 128, 256) in the paper.
        #[serde(default = "paper_widths")]
        widths: [Width; 3],
    },
    /// Five convolutions, two of stride 2, and global average pooling: the paper's for CIFAR-10.
    Conv5Gap {
        /// Channels of the first, the second and third, the fourth and fifth
        /// convolution: (64, 128, 256) in the paper.
        #[serde(default = "paper_widths")]
        widths: [Width; 3],
    },
    /// Any layers.
    Custom {
        /// The layers, of which the last is a [`Layer::Classifier`].
        layers: Vec<Layer>,
    },
}

/// A width, or the inclusive range that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a range [least, most] to draw it from")]
pub enum Width {
    /// Always the same.
    Fixed(usize),
    /// Drawn evenly, ends included.
    Range([usize; 2]),
}

fn paper_widths() -> [Width; 3] {
    [64, 128, 256].map(Width::Fixed)
}

impl Default for Architecture {
    fn default() -> Self {
        Self::Conv2Fc { widths: paper_widths() }
    }
}

impl Architecture {
    /// The layers of the member that `seed` draws.
    ///
    /// # Errors
    /// [`Error::Spec`] when a width is zero or its range is empty.
    pub fn layers(&self, seed: Seed) -> Result<Vec<Layer>> {
        match self {
            Self::Conv2Fc { widths } => Ok(conv2_fc(draw(widths, seed)?)),
            Self::Conv5Gap { widths } => Ok(conv5_gap(draw(widths, seed)?)),
            Self::Custom { layers } => Ok(layers.clone()),
        }
    }
}

impl LearnerFamily for LearnerSpec {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> Result<Network> {
        Network::new(&self.architecture.layers(seed)?, image, classes, self.normalization)
    }

    fn varies(&self) -> bool {
        match &self.architecture {
            Architecture::Conv2Fc { widths } | Architecture::Conv5Gap { widths } => {
                widths.iter().any(|width| matches!(width, Width::Range([low, high]) if low < high))
            }
            Architecture::Custom { .. } => false,
        }
    }
}

fn draw(widths: &[Width; 3], seed: Seed) -> Result<[usize; 3]> {
    let mut rng = seed.derive("widths", 0).rng();
    let mut drawn = [0; 3];
    for (drawn, width) in drawn.iter_mut().zip(widths) {
        let [low, high] = match *width {
            Width::Fixed(width) => [width; 2],
            Width::Range(range) => range,
        };
        if low == 0 || low > high {
            return Err(Error::spec(format!(
                "learner.widths: a width is at least 1 and a range goes upward, found {width}"
            )));
        }
        *drawn = rng.random_range(low..=high);
    }
    Ok(drawn)
}

fn norm_and_relu(number: usize) -> [Layer; 2] {
    [Layer::MeanNorm { name: format!("bn{number}") }, Layer::LeakyRelu { slope: 0.1 }]
}

fn conv2_fc([first, second, features]: [usize; 3]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (number, channels) in [(1, first), (2, second)] {
        layers.push(conv(number, channels, 1));
        layers.push(Layer::MaxPool { kernel: 3, stride: 2, padding: Padding::Each(1) });
        layers.extend(norm_and_relu(number));
    }
    layers.push(Layer::Linear { name: "fc1".into(), features });
    layers.extend(norm_and_relu(3));
    layers.push(Layer::Classifier { name: "fc2".into() });
    layers
}

fn conv5_gap([a, b, c]: [usize; 3]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (number, channels, stride) in [(1, a, 1), (2, b, 2), (3, b, 1), (4, c, 2), (5, c, 1)] {
        layers.push(conv(number, channels, stride));
        layers.extend(norm_and_relu(number));
    }
    layers.push(Layer::GlobalAvgPool {});
    layers.push(Layer::Classifier { name: "fc".into() });
    layers
}

fn conv(number: usize, channels: usize, stride: usize) -> Layer {
    Layer::Conv {
        name: format!("conv{number}"),
        channels,
        kernel: 3.into(),
        stride,
        padding: 1.into(),
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(width) => write!(f, "{width}"),
            Self::Range([low, high]) => write!(f, "{low}-{high}"),
        }
    }
}

impl fmt::Display for LearnerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, widths) = match &self.architecture {
            Architecture::Conv2Fc { widths } => ("conv2_fc", widths),
            Architecture::Conv5Gap { widths } => ("conv5_gap", widths),
            Architecture::Custom { layers } => {
                return write!(f, "custom ({} layers)", layers.len());
            }
        };
        write!(f, "{name}:{},{},{}", widths[0], widths[1], widths[2])
    }
}

impl FromStr for LearnerSpec {
    type Err = Error;

    /// Reads `PRESET` or `PRESET:W,W,W`, where a width is a number or a range like `16-64`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, widths) = match text.split_once(':') {
            Some((name, widths)) => (name, parse_widths(widths)?),
            None => (text, paper_widths()),
        };
        let architecture = match name {
            "conv2_fc" => Architecture::Conv2Fc { widths },
            "conv5_gap" => Architecture::Conv5Gap { widths },
            _ => {
                return Err(Error::spec(format!(
                    "there is no learner preset `{name}`; there are conv2_fc and conv5_gap, for example conv2_fc:16,32,64"
                )));
            }
        };
        Ok(Self { architecture, normalization: Normalization::default() })
    }
}

fn parse_widths(text: &str) -> Result<[Width; 3]> {
    let width = |part: &str| match part.split_once('-') {
        None => part.trim().parse().ok().map(Width::Fixed),
        Some((low, high)) => {
            Some(Width::Range([low.trim().parse().ok()?, high.trim().parse().ok()?]))
        }
    };
    let widths: Option<Vec<Width>> = text.split(',').map(width).collect();
    widths.and_then(|w| w.try_into().ok()).ok_or_else(|| {
        Error::spec(format!(
            "expected three widths, numbers or ranges, like 16,32-64,64; found `{text}`"
        ))
    })
}
