//! What a folder's candidates are judged with, told by its contents: teacher and data may lie elsewhere when
//! the folder is gone on with, but they have to be the same.

use super::folder::Folder;
use super::materials::Materials;
use crate::config::Config;
use crate::error::Usage;
use crate::fingerprint;
use crate::run_dir::write_whole;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The file in the folder.
pub const MATERIALS: &str = "materials.json";

/// Digests of teacher and data.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    /// Of the teacher's checkpoint, if there is a teacher.
    teacher: Option<String>,
    /// Of all images and labels.
    data: String,
}

/// Begins in a folder, or goes on in it: writes `config` into it.
///
/// # Errors
/// As [`keep`].
pub fn begin(folder: &Folder, materials: &Materials, config: &impl Config) -> Result<()> {
    // A folder is begun once its configuration is there. Where it is, nothing is written before the materials are known to be the same.
    if !folder.is_begun() {
        folder.write(config)?;
        return keep(folder, materials);
    }
    keep(folder, materials)?;
    folder.write(config)
}

/// Fails unless the folder was begun with these materials; where it has just begun, this is what it begins with.
///
/// # Errors
/// [`Usage`] when teacher or data are others, other errors when the folder cannot be written.
pub fn keep(folder: &Folder, materials: &Materials) -> Result<()> {
    let here = Identity::of(materials)?;
    let Some(there) = folder.read_json::<Identity>(MATERIALS)? else {
        let text = serde_json::to_string_pretty(&here)? + "\n";
        return write_whole(&folder.file(MATERIALS), text.as_bytes());
    };
    let place = folder.path().display();
    if there.data != here.data {
        return Err(Usage::error(format!(
            "{place} was begun with other images than those of {}; name the same data set with --data, wherever it lies now, or choose another folder",
            materials.dataset.name()
        )));
    }
    match (&there.teacher, &materials.trained) {
        _ if there.teacher == here.teacher => Ok(()),
        (None, _) => Err(Usage::error(format!(
            "{place} was begun without a teacher; leave out --run, or choose another folder"
        ))),
        (Some(_), None) => Err(Usage::error(format!(
            "{place} was begun with a teacher; name its run folder with --run"
        ))),
        (Some(_), Some(trained)) => Err(Usage::error(format!(
            "{place} was begun with another teacher than that of {}, or with an earlier state of it; name the same with --run, wherever it lies now, or choose another folder",
            trained.run.path().display()
        ))),
    }
}

impl Identity {
    fn of(materials: &Materials) -> Result<Self> {
        let trained = materials.trained.as_ref();
        let teacher = trained.map(|trained| fingerprint::of_teacher(&trained.run));
        let data = fingerprint::of_dataset(&materials.dataset);
        Ok(Self { teacher: teacher.transpose()?, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nas::judging::Judging;
    use candle_core::Device;
    use std::fs;

    #[test]
    fn other_images_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path(), "search.toml");
        let materials = |data: &str| {
            let judging = Judging { data: Some(data.into()), judged: 10, ..Judging::default() };
            Materials::open(&judging, Device::Cpu).unwrap()
        };
        keep(&folder, &materials("digits:50")).unwrap();
        keep(&folder, &materials("digits:50")).unwrap();
        let error = keep(&folder, &materials("digits:51")).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("other images"), "{error}");
        fs::write(folder.file(MATERIALS), r#"{"teacher": "0", "data": "0"}"#).unwrap();
        assert!(keep(&folder, &materials("digits:50")).is_err());
    }
}
