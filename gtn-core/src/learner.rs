//! Families of learners, and those described by data: presets, widths drawn at random, or layer
//! by layer.

use crate::data::ImageShape;
use crate::network::{Layer, Network};
use crate::ops::Padding;
use crate::seed::Seed;
use crate::{Error, Result};
use rand::RngExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::str::FromStr;

/// A family of learners, of which each fresh learner is a member.
///
/// A recipe holds its family, so a family is data: what it is written as tells it from others, in
/// configurations and checkpoints alike. The default is for recipes that name none.
///
/// [`LearnerSpec`] is one; a space of architectures to search is another. Here is one whose
/// members are stacks of one to three convolutions:
///
/// ```
/// use gtn_core::data::ImageShape;
/// use gtn_core::learner::LearnerFamily;
/// use gtn_core::network::{Layer, Network};
/// use gtn_core::recipe::Recipe;
/// use gtn_core::seed::Seed;
/// use gtn_core::trainer::Trainer;
/// use rand::RngExt;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
/// struct Stacks {
///     channels: usize,
/// }
///
/// impl LearnerFamily for Stacks {
///     fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
///         let depth = seed.derive("depth", 0).rng().random_range(1..=3);
///         let conv = |number: usize| Layer::Conv {
///             name: format!("conv{number}"),
///             channels: self.channels,
///             kernel: 3.into(),
///             stride: 1,
///             padding: 1.into(),
///         };
///         let norm = |number: usize| Layer::MeanNorm { name: format!("norm{number}") };
///         let mut layers: Vec<_> = (0..depth).flat_map(|n| [conv(n), norm(n)]).collect();
///         layers.extend([Layer::GlobalAvgPool, Layer::Classifier { name: "fc".into() }]);
///         Network::new(&layers, image, classes, 0.0)
///     }
/// }
///
/// let recipe = Recipe { learner: Stacks { channels: 8 }, ..Recipe::default() };
/// let image = ImageShape { channels: 1, height: 28, width: 28 };
/// let trainer = Trainer::new(&recipe, image, 10, &candle_core::Device::Cpu)?;
/// # Ok::<(), gtn_core::Error>(())
/// ```
pub trait LearnerFamily:
    Debug + Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync
{
    /// The member that `seed` draws, built.
    ///
    /// # Errors
    /// [`Error::Spec`] when such images and classes do not fit it.
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> Result<Network>;
}

/// Learners described by data.
///
/// ```
/// use gtn_core::learner::LearnerSpec;
///
/// let spec: LearnerSpec = toml::from_str(
///     "preset = 'conv2_fc'\nwidths = [16, [16, 64], 64]  # the second is drawn anew for each learner",
/// )?;
/// assert_eq!(spec.to_string(), "conv2_fc:16,16-64,64");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "preset", rename_all = "snake_case")]
pub enum LearnerSpec {
    /// Two convolutions with max-pooling and two fully connected layers: the paper's for MNIST.
    Conv2Fc {
        /// Channels of the convolutions, outputs of the first fully connected
        /// layer: (64, 128, 256) in the paper.
        #[serde(default = "paper_widths")]
        widths: [Width; 3],
        /// Share of the old running mean in the new one: at least 0, below 1.
        #[serde(default)]
        norm_momentum: f64,
    },
    /// Five convolutions, two of stride 2, and global average pooling: the paper's for CIFAR-10.
    Conv5Gap {
        /// Channels of the first, the second and third, the fourth and fifth
        /// convolution: (64, 128, 256) in the paper.
        #[serde(default = "paper_widths")]
        widths: [Width; 3],
        /// Share of the old running mean in the new one: at least 0, below 1.
        #[serde(default)]
        norm_momentum: f64,
    },
    /// Any stack of layers.
    Custom {
        /// The layers, of which the last is a [`Layer::Classifier`].
        layers: Vec<Layer>,
        /// Share of the old running mean in the new one: at least 0, below 1.
        #[serde(default)]
        norm_momentum: f64,
    },
}

/// A width, or the inclusive range that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Width {
    /// Always the same.
    Fixed(usize),
    /// Drawn evenly, ends included.
    Range([usize; 2]),
}

fn paper_widths() -> [Width; 3] {
    [64, 128, 256].map(Width::Fixed)
}

impl Default for LearnerSpec {
    fn default() -> Self {
        Self::Conv2Fc { widths: paper_widths(), norm_momentum: 0.0 }
    }
}

impl LearnerSpec {
    /// The layers of the member that `seed` draws.
    ///
    /// # Errors
    /// [`Error::Spec`] when a width is zero or its range is empty.
    pub fn layers(&self, seed: Seed) -> Result<Vec<Layer>> {
        match self {
            Self::Conv2Fc { widths, .. } => Ok(conv2_fc(draw(widths, seed)?)),
            Self::Conv5Gap { widths, .. } => Ok(conv5_gap(draw(widths, seed)?)),
            Self::Custom { layers, .. } => Ok(layers.clone()),
        }
    }

    fn norm_momentum(&self) -> f64 {
        match *self {
            Self::Conv2Fc { norm_momentum, .. }
            | Self::Conv5Gap { norm_momentum, .. }
            | Self::Custom { norm_momentum, .. } => norm_momentum,
        }
    }
}

impl LearnerFamily for LearnerSpec {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> Result<Network> {
        Network::new(&self.layers(seed)?, image, classes, self.norm_momentum())
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
    layers.push(Layer::GlobalAvgPool);
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
        let (name, widths) = match self {
            Self::Conv2Fc { widths, .. } => ("conv2_fc", widths),
            Self::Conv5Gap { widths, .. } => ("conv5_gap", widths),
            Self::Custom { layers, .. } => return write!(f, "custom ({} layers)", layers.len()),
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
        match name {
            "conv2_fc" => Ok(Self::Conv2Fc { widths, norm_momentum: 0.0 }),
            "conv5_gap" => Ok(Self::Conv5Gap { widths, norm_momentum: 0.0 }),
            _ => Err(Error::spec(format!(
                "there is no learner preset `{name}`; there are conv2_fc and conv5_gap, for example conv2_fc:16,32,64"
            ))),
        }
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
