//! Teachers: what a learner's batches come from, and what of it is learned.
//!
//! A `Teacher` holds no parameters. It declares them, and for one
//! training of one learner it opens a `Course` over their present values.

mod curriculum;
mod generated;
mod pixels;
mod real;

pub use curriculum::Curriculum;

use crate::activations::Room;
use crate::data::{Batch, Batches, ImageShape};
use crate::generator::Generator;
use crate::network::{Layout, Params};
use crate::recipe::{InnerSpec, is_default};
use crate::seed::Seed;
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// A teacher described by data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TeacherSpec {
    /// A generator.
    Generator {
        /// What enters it at each step.
        #[serde(default)]
        curriculum: Curriculum,
        /// Numbers of noise a sample, at least 1.
        #[serde(default = "paper_noise")]
        noise: usize,
        /// Outputs of its first layer, channels of its small feature map, and
        /// channels between its convolutions: (1024, 128, 64) in the paper.
        #[serde(default = "paper_widths")]
        widths: [usize; 3],
        /// Whether the labels are learned, as soft ones that start evenly spread.
        #[serde(default)]
        learned_labels: bool,
        /// Whether pixels are learned, too, that are added to each sample's image and start at 0: the generator then makes what
        /// samples have in common, and need not make all that is their own. Not without a curriculum, whose samples come once.
        #[serde(default, skip_serializing_if = "is_default")]
        learned_pixels: bool,
    },
    /// The pixels themselves are learned: dataset distillation (Wang et al., arXiv 1811.10959).
    Pixels {
        /// Whether the labels are learned, as soft ones that start evenly spread.
        #[serde(default)]
        learned_labels: bool,
    },
    /// Real batches: only the learning rates and momenta are learned.
    Real,
}

fn paper_noise() -> usize {
    128
}

fn paper_widths() -> [usize; 3] {
    [1024, 128, 64]
}

impl Default for TeacherSpec {
    fn default() -> Self {
        Self::Generator {
            curriculum: Curriculum::Full,
            noise: paper_noise(),
            widths: paper_widths(),
            learned_labels: false,
            learned_pixels: false,
        }
    }
}

impl TeacherSpec {
    /// Whether its settings go together.
    ///
    /// # Errors
    /// [`crate::Error::Spec`] when they do not.
    pub(crate) fn validate(&self) -> Result<()> {
        match *self {
            Self::Generator { curriculum: Curriculum::None, learned_pixels: true, .. } => {
                Err(Error::spec(
                    "teacher.learned_pixels needs a curriculum, found `none`, whose samples are never seen again",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The teacher for this image shape and number of classes.
    ///
    /// # Errors
    /// [`crate::Error::Spec`] when the generator cannot make such images, or there are no classes.
    pub(crate) fn build(
        &self,
        inner: &InnerSpec,
        image: ImageShape,
        classes: usize,
    ) -> Result<Box<dyn Teacher>> {
        if classes == 0 {
            return Err(Error::spec("a teacher needs at least one class, found 0"));
        }
        let pool = Pool { steps: inner.steps, batch: inner.batch, classes };
        Ok(match *self {
            Self::Generator { curriculum, noise, widths, learned_labels, learned_pixels } => {
                let generator = Generator::new(noise, widths, image, classes)?;
                Box::new(generated::Generated {
                    generator,
                    curriculum,
                    learned_labels,
                    learned_pixels: learned_pixels.then_some(image),
                    pool,
                })
            }
            Self::Pixels { learned_labels } => {
                Box::new(pixels::Pixels { image, learned_labels, pool })
            }
            Self::Real => Box::new(real::Real { pool }),
        })
    }
}

/// A kind of teaching.
pub(crate) trait Teacher: Debug + Send + Sync {
    /// Adds the teacher's learned parameters to a layout.
    fn declare(&self, layout: &mut Layout) -> Result<()>;

    /// The course for one learner. `draw` decides what is drawn at random.
    fn open<'a>(
        &'a self,
        learned: &'a Params,
        draw: Seed,
        real: &'a dyn Batches,
    ) -> Result<Box<dyn Course + 'a>>;

    /// Whether the targets are learned.
    fn learns_targets(&self) -> bool;

    /// Names of those learned parameters that are weights of layers: rows of outputs, columns of inputs.
    fn weights(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What one learner is taught with, and the gradient of how that went.
pub(crate) trait Course {
    /// The batch of step `step` (from 0). What fits into `room` is kept for [`Self::learn`].
    fn batch(&mut self, step: usize, room: &mut Room) -> Result<Batch>;

    /// Takes in the adjoints of a step's images and, where they are learned, targets. Called
    /// once for each step, the last step first.
    fn learn(&mut self, step: usize, images: Tensor, targets: Option<Tensor>) -> Result<()>;

    /// The gradients of the learned parameters, by name; those left out are zero.
    fn gradients(self: Box<Self>) -> Result<Vec<(String, Tensor)>>;
}

/// The synthetic samples of all steps together.
#[derive(Debug, Clone, Copy)]
struct Pool {
    steps: usize,
    batch: usize,
    classes: usize,
}

impl Pool {
    fn samples(&self) -> usize {
        self.steps * self.batch
    }

    /// The class of a sample where labels are fixed: classes take turns, so that they are evenly spread.
    fn class(&self, sample: u32) -> u32 {
        sample % self.classes as u32
    }
}

/// Name of the learned labels, `(samples, classes)`.
const LABELS: &str = "labels";
