//! Digests by which data and teachers are known again, wherever they lie.

use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use gtn_data::Dataset;
use std::fs;

/// The digest of all images and labels of a data set, and of how they are split.
#[must_use]
pub fn of_dataset(dataset: &Dataset) -> String {
    let shape = format!("{}, {} classes", dataset.shape(), dataset.classes().len());
    let splits = [dataset.train(), dataset.validation(), dataset.test()];
    let labels = splits.map(|split| -> Vec<u8> {
        split.labels().iter().flat_map(|label| label.to_le_bytes()).collect()
    });
    let pixels = splits.map(|split| split.pixels());
    let parts = pixels.into_iter().chain(labels.iter().map(Vec::as_slice));
    of_parts(parts.chain([shape.as_bytes()]))
}

/// The digest of a run's checkpoint.
///
/// # Errors
/// When it cannot be read.
pub fn of_teacher(run: &RunDir) -> Result<String> {
    let path = run.checkpoint();
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(of_parts([bytes.as_slice()]))
}

/// FNV-1a of these bytes and of how they are parted. It tells mistakes, not malice.
#[must_use]
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let hash = parts.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        let length = part.len().to_le_bytes();
        part.iter()
            .chain(&length)
            .fold(hash, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_where_one_part_ends() {
        let whole = of_parts([b"ab".as_slice(), b"c"]);
        assert_eq!(whole, of_parts([b"ab".as_slice(), b"c"]));
        assert_ne!(whole, of_parts([b"a".as_slice(), b"bc"]));
    }

    #[test]
    fn data_sets_are_told_apart() {
        let open = |spec, validation| crate::data::open(spec, validation).unwrap();
        let digest = of_dataset(&open("digits:50", None));
        assert_eq!(of_dataset(&open("digits:50", None)), digest);
        assert_ne!(of_dataset(&open("digits:51", None)), digest);
        assert_ne!(of_dataset(&open("digits:50", Some(1))), digest);
    }
}
