//! Synthetic training sets for use elsewhere: from PyTorch, NumPy, or anything
//! that reads images.
//!
//! Every export is a folder with the data, a `teaching.json` ([`Teaching`])
//! and a `README.txt` that shows how to train with it.

mod arrays;
mod draft;
mod idx;
mod png;
mod readme;
mod teaching;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Result;
use gtn_core::trainer::TeachingSet;
use gtn_data::Normalization;

use arrays::Arrays;
use draft::Draft;
pub use teaching::Teaching;

/// What the images and labels are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One file `teaching.safetensors`: everything, exactly.
    Safetensors,
    /// One file `teaching.npz` for `numpy.load`: everything, exactly.
    Npz,
    /// `train-images-idx3-ubyte` (several channels: `idx4`, with shape
    /// N, C, H, W) and `train-labels-idx1-ubyte` as MNIST has them: 8-bit
    /// pixels, no soft labels.
    Idx,
    /// An image folder, `train/CLASS/STEP-SAMPLE.png`: 8-bit pixels, no soft
    /// labels.
    Png,
}

/// Writes `set` to the folder `out`, which must be empty or not exist, and
/// returns the files.
///
/// `classes` names the classes in order; `normalization` is that of the real
/// data, by which the images were normalized too. Nothing is left at `out`
/// unless all of it could be written.
///
/// # Errors
///
/// If `out` is in use or cannot be written, or if the format cannot hold the
/// set: idx has room for 256 classes, PNG for 1 or 3 channels and for class
/// names that can name a folder.
pub fn export(
    set: &TeachingSet,
    classes: &[String],
    normalization: &Normalization,
    format: Format,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    let mut draft = Draft::begin(out)?;
    let arrays = Arrays::stack(set, normalization)?;
    let teaching = Teaching::describe(set, &arrays, classes, normalization)?;
    match format {
        Format::Safetensors => {
            draft.write("teaching.safetensors", &arrays.safetensors(&teaching)?)?;
        }
        Format::Npz => draft.write("teaching.npz", &arrays.npz()?)?,
        Format::Idx => idx::write(&arrays, &teaching, &mut draft)?,
        Format::Png => png::write(&arrays, &teaching, &mut draft)?,
    }
    draft.write("teaching.json", teaching.json()?.as_bytes())?;
    draft.write("README.txt", readme::readme(&teaching, format).as_bytes())?;
    draft.publish()
}
