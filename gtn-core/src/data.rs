//! What this crate asks of data: a shape, and batches.

use crate::Result;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// The shape of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// Color channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// Channels, height, width.
    pub fn dims(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

/// Labeled images.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `(batch, channels, height, width)`, normalized.
    pub images: Tensor,
    /// `(batch, classes)`: the probability of each class.
    pub targets: Tensor,
}

impl Batch {
    pub(crate) fn inputs(&self) -> [&Tensor; 2] {
        [&self.images, &self.targets]
    }
}

/// A source of real batches.
pub trait Batches {
    /// Batch number `index`, of `size` images: the same number always gives
    /// the same batch.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] when the device fails.
    fn batch(&self, index: u64, size: usize) -> Result<Batch>;
}

/// Labels as probabilities: a one in the column of each label, `(labels, classes)`.
///
/// # Panics
/// When a label is not below `classes`.
pub fn one_hot(labels: &[u32], classes: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut rows = vec![0f32; labels.len() * classes];
    for (row, &label) in rows.chunks_mut(classes.max(1)).zip(labels) {
        row[label as usize] = 1.0;
    }
    let rows = Tensor::from_vec(rows, (labels.len(), classes), &Device::Cpu)?;
    Ok(rows.to_dtype(dtype)?.to_device(device)?)
}
