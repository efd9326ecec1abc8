//! Opening a data set by what the command line or the configuration calls it.

use crate::config::DataConfig;
use crate::error::Usage;
use anyhow::{Result, bail};
use gtn_data::digits::{self, Sizes};
use gtn_data::{Dataset, Holdout};
use std::path::Path;

/// The built-in digits and the holdout are the same in every run, so that runs
/// of different seeds can be compared.
const SEED: u64 = 0;

/// Opens the folder `path`, or draws the built-in digits: `digits`, or
/// `digits:N` for N training images and a fifth as many to validate and to test on.
///
/// `validation` is the number of images to validate on; the set's usual number if not given.
///
/// # Errors
/// What [`gtn_data::open`] finds, or [`Usage`] when a number of images cannot be.
pub fn open(path: &str, validation: Option<usize>) -> Result<Dataset> {
    tracing::info!("opening the data set {path}");
    let mut sizes = Sizes::default();
    match path.strip_prefix("digits") {
        Some("") => {}
        Some(number) if number.starts_with(':') => match number[1..].parse() {
            Ok(train) if train >= 50 => {
                sizes = Sizes { train, validation: train / 5, test: train / 5 };
            }
            _ => {
                return Err(Usage::error(format!(
                    "`{path}`: expected digits:N with at least 50 training images, for example digits:1000"
                )));
            }
        },
        _ if !Path::new(path).exists() => bail!(
            "the data folder {path} does not exist; give yours with --data DIR, or `--data digits` for the built-in digits"
        ),
        _ => {
            let opened = gtn_data::open(path, Holdout { images: validation, seed: SEED });
            return opened.map_err(|error| match error {
                gtn_data::Error::Invalid { what: "validation images", .. } => {
                    Usage::error(format!("data.validation: {error}"))
                }
                other => other.into(),
            });
        }
    }
    sizes.validation = validation.unwrap_or(sizes.validation);
    // All that can be wrong with them is that there are too many.
    digits::generate(sizes, SEED).map_err(|error| {
        let key = if validation.is_some() { "data.path or data.validation" } else { "data.path" };
        Usage::error(format!("{key}: `{path}`: {error}"))
    })
}

impl DataConfig {
    /// Opens the data set.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self) -> Result<Dataset> {
        open(&self.path, self.validation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_any_number() {
        let digits = open("digits:100", None).unwrap();
        let sizes = [digits.train(), digits.validation(), digits.test()].map(|split| split.len());
        assert_eq!(sizes, [100, 20, 20]);
        assert_eq!(open("digits:100", Some(30)).unwrap().validation().len(), 30);
    }

    #[test]
    fn what_is_no_data_is_refused_with_a_hint() {
        for path in ["digits:", "digits:7", "digits:many"] {
            assert!(open(path, None).unwrap_err().is::<Usage>(), "{path}");
        }
        for path in ["no/such/folder", "digits2"] {
            let error = open(path, None).unwrap_err();
            assert!(!error.is::<Usage>() && error.to_string().contains("--data digits"), "{error}");
        }
    }
}
