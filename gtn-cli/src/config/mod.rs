//! The configuration of a run: TOML, read in layers.
//!
//! The defaults come first, then a preset or a file, then what the command
//! line says. A layer that chooses another kind of learner or teacher
//! replaces that table, every other layer only fills in its own keys. A key that no table knows is
//! refused, with the nearest that one does.

mod merge;
mod mistyped;
mod overrides;
mod preset;
mod unknown;

pub use overrides::Override;
pub use preset::Preset;

use crate::error::Usage;
use crate::learner::Learner;
use anyhow::{Context, Result};
use gtn_core::recipe::Recipe;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::{Table, Value};

/// Everything that decides what a run computes. The thread count and the
/// moment at which a run is interrupted are not in here, for they decide nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunConfig {
    /// Seed, length, learner, teacher, inner loop, meta-loss and outer optimizer.
    #[serde(flatten)]
    pub recipe: Recipe<Learner>,
    /// The real data.
    pub data: DataConfig,
    /// When to look and when to save.
    pub run: Schedule,
}

/// The real data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// A folder, `digits` for the built-in set, or `digits:N` for N training images of it.
    pub path: String,
    /// How many training images are held out to validate on; the data set's usual number if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Random crops of the images of the meta-loss: black pixels added on each side before.
    pub pad: usize,
    /// Whether those images are mirrored at random.
    pub flip: bool,
}

impl Default for DataConfig {
    /// The built-in digits, as they are.
    fn default() -> Self {
        Self { path: "digits".into(), validation: None, pad: 0, flip: false }
    }
}

/// How often a run looks at itself, in meta-iterations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// From one checkpoint to the next; the last iteration always writes one.
    pub checkpoint_every: usize,
    /// From one validation, and sheet of synthetic images, to the next, the
    /// last iteration always having one; a tenth of the run if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<usize>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { checkpoint_every: 10, validate_every: None }
    }
}

/// A part of a configuration, and where it stands.
#[derive(Clone, Debug)]
pub struct Layer {
    origin: String,
    table: Table,
}

impl Layer {
    /// Keys that stand in `origin`, as errors name it.
    #[must_use]
    pub fn new(origin: &str, table: Table) -> Self {
        Self { origin: origin.to_owned(), table }
    }

    /// A configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or [`Usage`] when it is no TOML.
    pub fn file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Keys given on the command line as `--set` and the like.
    ///
    /// # Errors
    /// [`Usage`] when one key lies inside the value of another.
    pub fn overrides(overrides: &[Override]) -> Result<Self> {
        Ok(Self { origin: "command line".into(), table: overrides::table(overrides)? })
    }

    /// The table `[name]` of this layer as a layer of its own; all of it where it has no such
    /// table: a file that holds just the inside of one.
    #[must_use]
    pub fn section(mut self, name: &str) -> Self {
        let inside = match self.table.remove(name) {
            Some(inside) => inside,
            None => Value::Table(self.table),
        };
        Self { origin: self.origin, table: Table::from_iter([(name.to_owned(), inside)]) }
    }

    fn parse(origin: &str, text: &str) -> Result<Self> {
        match text.parse() {
            Ok(table) => Ok(Self { origin: origin.to_owned(), table }),
            Err(error) => Err(Usage::error(format!("{origin}{}", no_toml(&error, text)))),
        }
    }
}

fn no_toml(error: &toml::de::Error, text: &str) -> String {
    let place = error.span().map(|span| {
        let before = &text[..span.start.min(text.len())];
        format!(", line {}", before.matches('\n').count() + 1)
    });
    format!("{}: {}", place.unwrap_or_default(), error.message().replace('\n', ", "))
}

impl RunConfig {
    /// The defaults under these layers, the last one on top.
    ///
    /// # Errors
    /// [`Usage`] that names the key that is unknown, of the wrong type or out of range.
    pub fn load(layers: &[Layer]) -> Result<Self> {
        let mut config = Self::default();
        for Layer { origin, table } in layers {
            let below = config.to_table()?;
            config = read(&merge::merge(&below, table)).map_err(|message| {
                let at_fault = mistyped::find(&below, table);
                let (key, message) = at_fault.unwrap_or_else(|| (String::new(), message));
                let key = if key.is_empty() { key } else { format!("{key}: ") };
                Usage::error(format!("{origin}: {key}{}", mistyped::readable(&message)))
            })?;
            if let Some(unknown) = unknown::find(table, &config.every_key()?) {
                return Err(Usage::error(format!("{origin}: {unknown}")));
            }
        }
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        for (key, every) in [
            ("run.checkpoint_every", Some(self.run.checkpoint_every)),
            ("run.validate_every", self.run.validate_every),
        ] {
            if every == Some(0) {
                return Err(Usage::error(format!("{key} must be at least 1, found 0")));
            }
        }
        if self.data.path.is_empty() {
            return Err(Usage::error("data.path must name a folder or `digits`, found nothing"));
        }
        Ok(())
    }

    /// Validations and sheets are this many meta-iterations apart.
    #[must_use]
    pub fn validate_every(&self) -> usize {
        self.run.validate_every.unwrap_or(self.recipe.iterations / 10).max(1)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// [`Usage`] when a number is too large for TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Usage::error(format!("configuration: {error}")))
    }

    /// The first key on which two configurations differ, with the value of each.
    ///
    /// # Errors
    /// As [`RunConfig::to_toml`].
    pub fn difference(&self, other: &Self) -> Result<Option<Difference>> {
        let (here, there) = (self.to_table()?, other.to_table()?);
        let keys = merge::leaves(&here).into_iter().chain(merge::leaves(&there));
        let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        Ok(keys
            .map(|(key, _)| Difference {
                here: show(merge::get(&here, &key)),
                there: show(merge::get(&there, &key)),
                key: key.join("."),
            })
            .find(|difference| difference.here != difference.there))
    }

    fn to_table(&self) -> Result<Table> {
        Table::try_from(self).map_err(|error| Usage::error(format!("configuration: {error}")))
    }

    /// A table with every key that this configuration could hold, as the kinds
    /// of learner and teacher stand.
    fn every_key(&self) -> Result<Table> {
        let mut full = self.clone();
        full.data.validation.get_or_insert(0);
        full.run.validate_every.get_or_insert(1);
        full.to_table()
    }
}

/// A key on which two configurations differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The dotted key.
    pub key: String,
    /// The one's value, as TOML.
    pub here: String,
    /// The other's.
    pub there: String,
}

fn read(table: &Table) -> Result<RunConfig, String> {
    table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests;
