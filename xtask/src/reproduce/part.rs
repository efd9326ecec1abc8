//! Parts of a target: what is measured in one go, and never again.

use super::folder::Folder;
use super::origin::Origin;
use super::source::About;
use anyhow::{Context, Result};
use candle_core::Device;
use gtn_cli::interrupt::Interrupt;
use gtn_data::Dataset;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One training with its evaluation, or one evaluation. It may take up what parts before it found.
pub(crate) trait Part {
    /// Names its files; no other part of the target has it.
    fn id(&self) -> &str;

    /// All that its result depends on, as TOML.
    fn config(&self) -> Result<String>;

    /// The parts before it whose results its own is made from.
    fn takes_up(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it takes hours, so that it is measured only where that is asked for.
    fn is_long(&self) -> bool {
        false
    }

    /// How long it takes, in units that all parts of the target share.
    fn work(&self) -> f64;

    /// Sees to it that all is there that earlier parts made, which is none of its own work; false when that was interrupted.
    fn prepare(&self, _bench: &Bench<'_>) -> Result<bool> {
        Ok(true)
    }

    /// Measures, once [prepared](Self::prepare); goes on from what an earlier process left in its folders. `None` when it was interrupted.
    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>>;
}

/// What part of a step that is differentiated through a plain step takes.
pub(crate) const PLAIN_STEP: f64 = 1.0 / 3.0;

/// What a part measures with.
pub(crate) struct Bench<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) device: &'a Device,
    pub(crate) folder: &'a Folder,
    pub(crate) interrupt: &'a Interrupt,
    /// What the parts before this one found.
    pub(crate) results: &'a Results,
}

/// What is kept of a part that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) data: About,
    #[serde(flatten)]
    pub(super) origin: Origin,
    /// Wall time.
    pub(super) seconds: f64,
    pub(super) result: Value,
}

/// The results of parts of a target.
#[derive(Default)]
pub(crate) struct Results(pub(super) BTreeMap<String, Value>);

impl Results {
    /// What the part of this name found, if it is done.
    ///
    /// # Errors
    /// When it is of another form.
    pub(crate) fn find<R: DeserializeOwned>(&self, part: &str) -> Result<Option<R>> {
        self.0.contains_key(part).then(|| self.get(part)).transpose()
    }

    /// What the part of this name found.
    ///
    /// # Errors
    /// When there is none, or it is of another form.
    pub(crate) fn get<R: DeserializeOwned>(&self, part: &str) -> Result<R> {
        let value = self.0.get(part).with_context(|| format!("there is no part {part}"))?;
        serde_json::from_value(value.clone())
            .with_context(|| format!("the result of part {part} is of another form; remove it"))
    }
}
