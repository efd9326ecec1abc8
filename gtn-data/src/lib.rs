//! Image data sets for teaching and judging small classifiers.
//!
//! [`open`] recognizes what a folder holds (MNIST-style idx files, CIFAR-10 in its binary or Python
//! form, or an image folder `train/CLASS/*.png`), [`digits::generate`] draws a seeded set of
//! handwritten-looking digits without any download, and [`Dataset::new`] takes images already in
//! memory. Each way ends in a [`Dataset`]: three [`Split`]s of 8-bit images, the class names, and
//! the normalization of the training split.
//!
//! A split goes to a device once, as bytes ([`Split::to_device`]); batches are gathered and
//! normalized there. What batch number `i` holds is a pure function of the seed and `i`, so a run
//! resumes from its step number alone.
//!
//! ```
//! use candle_core::{DType, Device};
//! use gtn_data::{Augment, digits};
//!
//! # fn main() -> gtn_data::Result<()> {
//! let digits = digits::generate(digits::Sizes { train: 200, validation: 50, test: 50 }, 7)?;
//! let train = digits.train().to_device(&Device::Cpu, DType::F32)?;
//!
//! // Batch 41 of an endless shuffled stream, each image cropped at random after padding by 2.
//! let batches = train.shuffled(32, 7)?.augmented(Augment { pad: 2, ..Augment::default() })?;
//! let batch = batches.batch(41)?;
//! assert_eq!(batch.images.dims(), [32, 1, 28, 28]);
//! assert_eq!(batch.labels.dims(), [32]);
//!
//! // One pass over the test split, in order; the last batch may be smaller.
//! let test = digits.test().to_device(&Device::Cpu, DType::F32)?;
//! let mut seen = 0;
//! for batch in test.sequential(32)? {
//!     seen += batch?.labels.dim(0)?;
//! }
//! assert_eq!(seen, 50);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `hub` (off by default) adds a module of that name, which downloads MNIST, Fashion-MNIST and
//! CIFAR-10 through `candle-datasets`.

mod augment;
mod dataset;
mod device;
pub mod digits;
mod error;
mod formats;
mod holdout;
#[cfg(feature = "hub")]
pub mod hub;
mod images;
mod normalize;
mod open;
mod random;
mod sampler;
mod summary;

pub use augment::Augment;
pub use dataset::{Dataset, Format, Split};
pub use device::{Batch, DeviceSplit, Sequential, Shuffled};
pub use error::{Error, Result};
pub use holdout::Holdout;
pub use images::{ImageShape, LabeledImages};
pub use normalize::Normalization;
pub use open::open;
pub use sampler::Sampler;
pub use summary::{SplitSummary, Summary};
