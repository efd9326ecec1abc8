//! Checkpoints: one safetensors file with all that is learned and the outer optimizer's state.

use super::{Adam, Trainer};
use crate::data::ImageShape;
use crate::learner::LearnerFamily;
use crate::network::Params;
use crate::recipe::Recipe;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The only key of the file's metadata: with several, their order would differ from run to run.
const KEY: &str = "gtn";

/// Raised whenever an older checkpoint could no longer be read.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "L: LearnerFamily"))]
struct Header<L> {
    format: u32,
    iteration: usize,
    image: ImageShape,
    classes: usize,
    recipe: Recipe<L>,
}

/// What a [`Header`] of any format begins with.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl<L: LearnerFamily> Trainer<L> {
    /// Writes a checkpoint, beside its place and then renamed: at any moment
    /// there is a whole one, the old or the new.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = Header {
            format: FORMAT,
            iteration: self.iteration,
            image: self.image,
            classes: self.classes,
            recipe: self.recipe.clone(),
        };
        let header = serde_json::to_string(&header)
            .map_err(|e| damaged(path, format!("cannot write the recipe: {e}")))?;
        let mut tensors = Vec::new();
        for (prefix, flat) in self.parts() {
            // At once: of a part of a device's tensor, candle brings the whole to the host.
            let flat = flat.to_device(&Device::Cpu)?;
            for (name, tensor) in self.learned.with_flat(flat).named()? {
                tensors.push((format!("{prefix}{name}"), tensor));
            }
        }
        let metadata = HashMap::from([(KEY.to_string(), header)]);
        let bytes = safetensors::serialize(tensors, Some(metadata))
            .map_err(|e| damaged(path, e.to_string()))?;
        write_beside(path, &bytes)
    }

    fn parts(&self) -> [(&'static str, &Tensor); 3] {
        [
            ("learned/", self.learned.flat()),
            ("adam/mean/", &self.adam.mean),
            ("adam/squares/", &self.adam.squares),
        ]
    }

    pub(super) fn load(&mut self, path: &Path) -> Result<()> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let header: Header<L> = read_header(path, &bytes)?;
        if header.recipe != self.recipe {
            return Err(damaged(
                path,
                "it was made by another recipe; use that run's config".into(),
            ));
        }
        if (header.image, header.classes) != (self.image, self.classes) {
            return Err(damaged(
                path,
                format!(
                    "it was made for images {:?} of {} classes, the data has {:?} of {}",
                    header.image.dims(),
                    header.classes,
                    self.image.dims(),
                    self.classes
                ),
            ));
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &self.device)
            .map_err(|e| damaged(path, e.to_string()))?;
        let read = |prefix: &str| {
            let named = tensors
                .iter()
                .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.into(), t.clone())));
            Params::from_named(self.learned.layout(), &named.collect())
                .map_err(|e| damaged(path, e.to_string()))
        };
        let [learned, mean, squares] =
            [read("learned/")?, read("adam/mean/")?, read("adam/squares/")?];
        self.adam = Adam { mean: mean.flat().clone(), squares: squares.flat().clone() };
        self.learned = learned;
        self.iteration = header.iteration;
        Ok(())
    }
}

/// The images and the number of classes for which a checkpoint was made.
pub(super) fn made_for<L: LearnerFamily>(path: &Path) -> Result<(ImageShape, usize)> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let header: Header<L> = read_header(path, &bytes)?;
    Ok((header.image, header.classes))
}

fn read_header<L: LearnerFamily>(path: &Path, bytes: &[u8]) -> Result<Header<L>> {
    let torn = |e| {
        let remedy = "put a copy back, or train again in another place";
        damaged(path, format!("not a whole safetensors file ({e}); {remedy}"))
    };
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).map_err(torn)?;
    let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let header = header.ok_or_else(|| damaged(path, "not a checkpoint of gtn".into()))?;
    let unreadable = |e| damaged(path, format!("unreadable header ({e})"));
    // First: of another format nothing else can be read.
    let Format { format } = serde_json::from_str(header).map_err(unreadable)?;
    if format != FORMAT {
        return Err(damaged(
            path,
            format!(
                "format {format} where this version reads {FORMAT}; use the version that wrote it"
            ),
        ));
    }
    serde_json::from_str(header).map_err(unreadable)
}

fn damaged(path: &Path, message: String) -> Error {
    Error::Checkpoint { path: PathBuf::from(path), message }
}

/// Writes a file beside its place, flushes it to the disk and renames it.
///
/// # Errors
/// [`Error::Io`] when any of that fails; the file is then as it was before.
pub fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let beside = path.with_file_name(name);
    let write = || {
        use std::io::Write;
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // What was written of it would keep a full disk full. That it cannot be removed is no news then.
        let _ = std::fs::remove_file(&beside);
        io(error)
    })
}
