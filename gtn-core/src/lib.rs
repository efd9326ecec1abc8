//! Generative Teaching Networks: a generator learns to make training data by
//! differentiating through whole trainings of the networks that it teaches
//! (Such, Rawal, Lehman, Stanley & Clune, arXiv 1912.07768).
//!
//! From the outside in:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`trainer`] | the outer loop: meta-iterations, Adam, Muon, checkpoints |
//! | [`recipe`] | a run described by data |
//! | [`teacher`] | where batches come from: a generator and its curricula, learned pixels, real data |
//! | [`meta`] | the exact meta-gradient, which can do with the activations of one step at a time |
//! | [`inner`] | the learner's optimizers, and their derivatives |
//! | [`learner`], [`network`] | learners described by data, and built |
//! | [`generator`] | noise and a label become an image |
//! | [`graph`], [`ops`] | networks as graphs of operations that differentiate twice |
//! | [`evaluate`] | teaching fresh learners and judging them |
//! | [`activations`] | what is kept of a step for the way back |
//! | [`data`], [`seed`] | batches, and named streams of random numbers |
//! | [`device`] | what a run computes on |
//!
//! The meta-gradient engine needs none of the rest: see [`meta::meta_gradient`]. A whole run looks like this:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
//! use gtn_core::evaluate::{accuracy, teach};
//! use gtn_core::learner::LearnerFamily;
//! use gtn_core::recipe::Recipe;
//! use gtn_core::seed::{Seed, normal};
//! use gtn_core::trainer::Trainer;
//!
//! /// Stands for a data set: dark images of class 0, bright ones of class 1.
//! struct DarkOrBright;
//!
//! impl Batches for DarkOrBright {
//!     fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
//!         let labels: Vec<u32> = (0..size as u32).map(|i| i % 2).collect();
//!         let noise = normal(&[size, 1, 8, 8], DType::F32, &Device::Cpu, &mut Seed(index).rng())?;
//!         let shift: Vec<f32> = labels.iter().map(|&l| l as f32 - 0.5).collect();
//!         let shift = Tensor::from_vec(shift, (size, 1, 1, 1), &Device::Cpu)?;
//!         let images = noise.broadcast_add(&shift)?;
//!         Ok(Batch { images, targets: one_hot(&labels, 2, DType::F32, &Device::Cpu)? })
//!     }
//! }
//!
//! let mut recipe: Recipe = Recipe { iterations: 10, ..Recipe::default() };
//! recipe.learner = "conv2_fc:4,4,8".parse()?;
//! recipe.teacher = gtn_core::teacher::TeacherSpec::Generator {
//!     curriculum: gtn_core::teacher::Curriculum::Full,
//!     noise: 8,
//!     widths: [16, 8, 8],
//!     learned_labels: false,
//!     learned_pixels: false,
//! };
//! recipe.inner.steps = 4;
//! recipe.inner.batch = 8;
//!
//! let image = ImageShape { channels: 1, height: 8, width: 8 };
//! let mut trainer = Trainer::new(&recipe, image, 2, &Device::Cpu)?;
//! for _ in 0..recipe.iterations {
//!     let done = trainer.step(&DarkOrBright)?;
//!     println!("meta-loss {:.3}", done.meta_loss);
//! }
//!
//! // A fresh learner sees synthetic data only, and is judged on real data.
//! let network = recipe.learner.network(Seed(1), image, 2)?;
//! let set = trainer.teaching_set(Seed(1), &DarkOrBright)?;
//! let taught = teach(&network, &set, Seed(1), &mut |_, _| Ok(()))?;
//! let test = (1000..1004).map(|i| DarkOrBright.batch(i, 50));
//! println!("accuracy {:.2}", accuracy(&network, &taught, test)?);
//! # Ok::<(), gtn_core::Error>(())
//! ```
//!
//! On a CPU the work is shared by rayon's threads. Best call from one of them, as an iteration is thousands of
//! short loops: with `rayon::ThreadPoolBuilder::new().use_current_thread().build_global()` at the start of `main`, small
//! networks train faster than from a thread that hands over each loop and sleeps. Results are the same bits.

pub mod activations;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
pub mod data;
pub mod device;
mod error;
pub mod evaluate;
pub mod generator;
pub mod graph;
pub mod inner;
mod layout;
pub mod learner;
pub mod meta;
pub mod network;
pub mod ops;
pub mod recipe;
pub mod seed;
pub mod teacher;
mod tensors;
pub mod trainer;

pub use error::{Error, Result};
