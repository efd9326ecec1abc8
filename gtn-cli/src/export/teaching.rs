use anyhow::{Context, Result, ensure};
use gtn_core::inner::InnerOptimizer;
use gtn_core::trainer::TeachingSet;
use gtn_data::Normalization;
use serde::{Deserialize, Serialize};

use super::arrays::Arrays;

/// `teaching.json`: all there is to know about a synthetic set besides its
/// images and labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Teaching {
    /// How the samples follow each other, in words.
    pub order: String,
    /// T, optimizer steps.
    pub steps: usize,
    /// B, samples in the batch of each step.
    pub batch: usize,
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// The name of each class, K of them.
    pub classes: Vec<String>,
    /// The rule of a step.
    pub optimizer: InnerOptimizer,
    /// Learning rate of each step, `(T,)`.
    pub lr: Vec<f64>,
    /// Momentum of each step, `(T,)`.
    pub momentum: Vec<f64>,
    /// Mean and standard deviation of each channel of the real training data,
    /// on pixels scaled to 0..1.
    pub normalization: Normalization,
}

impl Teaching {
    pub(crate) fn describe(
        set: &TeachingSet,
        arrays: &Arrays,
        classes: &[String],
        normalization: &Normalization,
    ) -> Result<Self> {
        let (steps, batch, targets) = arrays.targets.dims3()?;
        ensure!(
            targets == classes.len(),
            "the synthetic labels are of {targets} classes, the data set has {}",
            classes.len()
        );
        let image = arrays.image();
        let channels = normalization.mean().len();
        ensure!(
            image[0] == channels,
            "the synthetic images have {} channels, the data set has {channels}",
            image[0]
        );
        Ok(Self {
            order: "step after step: sample b of step t is number t * batch + b, both from 0"
                .into(),
            steps,
            batch,
            image,
            classes: classes.to_vec(),
            optimizer: set.optimizer,
            lr: set.steps.iter().map(|step| step.rates.lr).collect(),
            momentum: set.steps.iter().map(|step| step.rates.momentum).collect(),
            normalization: normalization.clone(),
        })
    }

    pub(crate) fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).context("cannot write teaching.json")
    }
}
