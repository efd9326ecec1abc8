//! Real images in the form in which `gtn-core` asks for them.

use crate::config::RunConfig;
use crate::error::Usage;
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
use gtn_core::seed::Seed;
use gtn_data::{Augment, Dataset, DeviceSplit, Split};

/// Images a batch where the batch size decides nothing but speed.
const JUDGED_AT_ONCE: usize = 256;

/// The shape of a data set's images.
#[must_use]
pub fn image_shape(dataset: &Dataset) -> ImageShape {
    let shape = dataset.shape();
    ImageShape { channels: shape.channels, height: shape.height, width: shape.width }
}

/// Shuffled batches of one split, endless.
#[derive(Debug, Clone)]
pub struct Shuffled {
    split: DeviceSplit,
    targets: Targets,
    augment: Augment,
    seed: Seed,
}

impl Shuffled {
    /// Batches of `split` in the order that `seed` draws, the images as they are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(split: &Split, classes: usize, seed: Seed, device: &Device) -> Result<Self> {
        let split = split.to_device(device, DType::F32)?;
        let augment = Augment::default();
        Ok(Self { split, targets: Targets::new(classes, device)?, augment, seed })
    }

    /// The same with `augment` applied to each image; `table` is what a configuration has it in.
    ///
    /// # Errors
    /// [`Usage`] when it pads or hides more than there is image.
    pub fn augmented(self, augment: Augment, table: &str) -> Result<Self> {
        let fits = self.split.shuffled(1, 0).and_then(|batches| batches.augmented(augment));
        fits.map_err(|error| Usage::error(format!("{table}.{error}")))?;
        Ok(Self { augment, ..self })
    }

    /// The batches on which a run's meta-loss looks.
    ///
    /// # Errors
    /// As [`Shuffled::new`] and [`Shuffled::augmented`].
    pub fn training(config: &RunConfig, dataset: &Dataset, device: &Device) -> Result<Self> {
        let augment = Augment { pad: config.data.pad, flip: config.data.flip, cutout: 0 };
        let seed = Seed(config.recipe.seed).derive("real batches", 0);
        let classes = dataset.classes().len();
        Self::new(dataset.train(), classes, seed, device)?.augmented(augment, "data")
    }

    /// The same images in another order.
    #[must_use]
    pub fn reordered(&self, seed: Seed) -> Self {
        Self { seed, ..self.clone() }
    }
}

impl Batches for Shuffled {
    fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
        let batch = self.split.shuffled(size, self.seed.0);
        let batch = batch.and_then(|s| s.augmented(self.augment)?.batch(index));
        self.targets.of(batch.map_err(of_core)?)
    }
}

/// Images on which learners are judged: all of a split, or as many as will do, spread evenly over it.
#[derive(Debug)]
pub struct Judged {
    split: DeviceSplit,
    targets: Targets,
}

impl Judged {
    /// At most `limit` images of `split`.
    ///
    /// # Errors
    /// When there are none, or the device fails.
    pub fn new(
        split: &Split,
        name: &str,
        classes: usize,
        limit: usize,
        device: &Device,
    ) -> Result<Self> {
        ensure!(
            !split.is_empty(),
            "the {name} split is empty, so there is nothing to judge learners by; use more images, or train with data.validation above 0"
        );
        let split = split.thinned(limit).to_device(device, DType::F32)?;
        Ok(Self { split, targets: Targets::new(classes, device)? })
    }

    /// One pass over the images.
    pub fn batches(&self) -> impl Iterator<Item = gtn_core::Result<Batch>> {
        let batches = self.split.sequential(JUDGED_AT_ONCE).expect("batches are not empty");
        batches.map(|batch| self.targets.of(batch.map_err(of_core)?))
    }
}

/// The target of each class, a row each, on the device: labels need not come back from there.
#[derive(Debug, Clone)]
struct Targets(Tensor);

impl Targets {
    fn new(classes: usize, device: &Device) -> Result<Self> {
        let labels: Vec<u32> = (0..classes as u32).collect();
        Ok(Self(one_hot(&labels, classes, DType::F32, device)?))
    }

    fn of(&self, batch: gtn_data::Batch) -> gtn_core::Result<Batch> {
        let targets = self.0.index_select(&batch.labels, 0)?;
        Ok(Batch { images: batch.images, targets })
    }
}

fn of_core(error: gtn_data::Error) -> gtn_core::Error {
    match error {
        gtn_data::Error::Tensor(error) => error.into(),
        other => candle_core::Error::wrap(other).into(),
    }
}
