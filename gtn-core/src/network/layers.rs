//! A network described by data: what a learner's TOML holds.

use crate::ops::Padding;
use serde::{Deserialize, Serialize};

/// One layer. Layers follow each other: each takes the output of the one before, the current
/// value.
///
/// A network with branches is such a list, too: [`Layer::Mark`] gives the current value a name,
/// [`Layer::Take`] goes back to a named value to start a branch there, and [`Layer::Sum`] and
/// [`Layer::Concat`] are where branches meet. A block whose input is added to its output:
///
/// ```
/// use gtn_core::data::ImageShape;
/// use gtn_core::learner::{LearnerFamily, LearnerSpec};
/// use gtn_core::seed::Seed;
///
/// let learner: LearnerSpec = toml::from_str(
///     "preset = 'custom'
///      layers = [
///          { op = 'conv', name = 'stem', channels = 8, kernel = 3, padding = 1 },
///          { op = 'mark', value = 'stem' },
///          { op = 'mean_norm', name = 'norm' },
///          { op = 'leaky_relu', slope = 0.1 },
///          { op = 'conv', name = 'wide', channels = 8, kernel = [1, 7], padding = [0, 3] },
///          { op = 'mark', value = 'block' },
///          { op = 'sum', of = ['stem', 'block'] },
///          { op = 'global_avg_pool' },
///          { op = 'classifier', name = 'fc' },
///      ]",
/// )?;
/// let image = ImageShape { channels: 1, height: 8, width: 8 };
/// let network = learner.network(Seed(0), image, 10)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every convolution and linear layer is weight-normalized, unless [`super::Normalization`] says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Convolution without bias.
    Conv {
        /// Prefix of its parameters' names.
        name: String,
        /// Output channels.
        channels: usize,
        /// Height and width of the kernel.
        kernel: PerAxis,
        /// Pixels from one output to the next.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros added above and below, and on the left and the right.
        #[serde(default)]
        padding: PerAxis,
    },
    /// Convolution of each channel by itself, without bias.
    DepthwiseConv {
        /// Prefix of its parameters' names.
        name: String,
        /// Height and width of the kernel.
        kernel: PerAxis,
        /// Pixels from one output to the next.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros added above and below, and on the left and the right.
        #[serde(default)]
        padding: PerAxis,
    },
    /// Max-pooling.
    MaxPool {
        /// Side of the square window, 1 to 16.
        kernel: usize,
        /// Pixels from one window to the next.
        stride: usize,
        /// Pixels around the image; they never win.
        #[serde(default)]
        padding: Padding,
    },
    /// Average-pooling.
    AvgPool {
        /// Side of the square window.
        kernel: usize,
        /// Pixels from one window to the next.
        stride: usize,
        /// Pixels around the image; they do not count.
        #[serde(default)]
        padding: Padding,
    },
    /// Zeros: a branch that is not there.
    Zeroize {
        /// Pixels from one output to the next.
        #[serde(default = "one")]
        stride: usize,
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
    GlobalAvgPool {},
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
    /// Gives the current value a name, and leaves it the current one.
    Mark {
        /// The name, which no value before has.
        value: String,
    },
    /// Makes a named value the current one.
    Take {
        /// Its name.
        value: String,
    },
    /// Makes the sum of named values the current value. They have one shape.
    Sum {
        /// Their names, at least one.
        of: Vec<String>,
    },
    /// Makes the current value of the channels of named values, in order. They have one height and
    /// width.
    Concat {
        /// Their names, at least one.
        of: Vec<String>,
    },
}

/// A number for both axes, or `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or [height, width]")]
pub enum PerAxis {
    /// The same for both.
    Both(usize),
    /// Height first.
    Each([usize; 2]),
}

impl PerAxis {
    /// Height and width.
    pub fn axes(self) -> [usize; 2] {
        match self {
            Self::Both(both) => [both; 2],
            Self::Each(axes) => axes,
        }
    }
}

impl Default for PerAxis {
    fn default() -> Self {
        Self::Both(0)
    }
}

impl From<usize> for PerAxis {
    fn from(both: usize) -> Self {
        Self::Both(both)
    }
}

impl From<[usize; 2]> for PerAxis {
    fn from(axes: [usize; 2]) -> Self {
        Self::Each(axes)
    }
}

fn one() -> usize {
    1
}
