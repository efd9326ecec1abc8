//! A run folder opened to be used: its configuration, data and teacher.

use crate::batches::{Shuffled, image_shape};
use crate::config::{Config, Layer, RunConfig};
use crate::fingerprint;
use crate::learner::Learner;
use crate::report::words::word;
use crate::run_dir::RunDir;
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use gtn_core::seed::Seed;
use gtn_core::trainer::{TeachingSet, Trainer};
use gtn_data::Dataset;
use std::path::Path;

/// A run with its data and its teacher as of the last checkpoint.
pub struct Trained {
    /// The folder.
    pub run: RunDir,
    /// The configuration.
    pub config: RunConfig,
    /// The real data.
    pub dataset: Dataset,
    /// The teacher.
    pub trainer: Trainer<Learner>,
    /// The device of all tensors.
    pub device: Device,
    real: Shuffled,
}

impl Trained {
    /// Opens a run folder; `data` stands in for the configuration's data set.
    ///
    /// # Errors
    /// When something is missing, damaged, or does not fit the rest.
    pub fn open(path: &Path, data: Option<&str>, device: Device) -> Result<Self> {
        let (run, mut config) = read(path)?;
        if let Some(data) = data {
            data.clone_into(&mut config.data.path);
        }
        let dataset = config.data.open()?;
        Self::assemble(run, config, dataset, device)
    }

    /// Opens a run folder whose data set is at hand.
    ///
    /// # Errors
    /// As [`Trained::open`].
    pub fn on(path: &Path, dataset: &Dataset, device: &Device) -> Result<Self> {
        let (run, config) = read(path)?;
        Self::assemble(run, config, dataset.clone(), device.clone())
    }

    /// Fails where the data set is not the one that the run was trained on.
    ///
    /// # Errors
    /// [`crate::error::Usage`] when its images or labels are others.
    pub fn expect_own_images(&self) -> Result<()> {
        let digest = fingerprint::of_dataset(&self.dataset);
        self.run.expect_images(&digest, &self.config.data.path, "")
    }

    fn assemble(run: RunDir, config: RunConfig, dataset: Dataset, device: Device) -> Result<Self> {
        let (image, classes) = (image_shape(&dataset), dataset.classes().len());
        let checkpoint = run.checkpoint();
        let trainer = Trainer::resume(&config.recipe, image, classes, &device, &checkpoint)
            .with_context(|| {
                format!(
                    "the run {} on {} ({} images, {classes} classes)",
                    run.path().display(),
                    config.data.path,
                    dataset.shape()
                )
            })?;
        warn_if_unfinished(&run, &trainer);
        let real = Shuffled::training(&config, &dataset, &device)?;
        Ok(Self { run, config, dataset, trainer, device, real })
    }

    /// The batches that it was trained with.
    #[must_use]
    pub fn real(&self) -> &Shuffled {
        &self.real
    }

    /// The seed of the `index`-th thing called `name`.
    #[must_use]
    pub fn seed(&self, name: &str, index: u64) -> Seed {
        Seed(self.config.recipe.seed).derive(name, index)
    }

    /// What a fresh learner of this seed is taught with.
    ///
    /// # Errors
    /// When the device fails.
    pub fn teaching_set(&self, seed: Seed) -> Result<TeachingSet> {
        Ok(self.trainer.teaching_set(seed, &self.real)?)
    }
}

/// Tells when meta-iterations are still to be done.
pub(crate) fn warn_if_unfinished(run: &RunDir, trainer: &Trainer<Learner>) {
    let (done, total) = (trainer.iteration(), trainer.recipe().iterations);
    if done < total {
        tracing::warn!(
            "{} is not finished: this is its state after meta-iteration {done} of {total}",
            run.path().display()
        );
    }
}

/// A run folder with a checkpoint, and its configuration.
pub(crate) fn read(path: &Path) -> Result<(RunDir, RunConfig)> {
    let run = RunDir::open(path)?;
    let config = RunConfig::load(&[Layer::file(&run.config())?])?;
    ensure!(
        run.checkpoint().is_file(),
        "{} has no checkpoint yet; go on with: gtn train --resume --out {}",
        path.display(),
        word(path.display())
    );
    Ok((run, config))
}
