//! From layers to a configuration and back.

use super::{Layer, merge, mistyped, unknown};
use crate::error::Usage;
use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A configuration that is read in layers, over its defaults.
pub trait Config: Clone + Default + Serialize + DeserializeOwned {
    /// The keys that say which kind of thing a table describes, and so which other keys it has.
    const KINDS: &[&str] = &[];

    /// Checks what types do not.
    ///
    /// # Errors
    /// [`Usage`] that names the key, what is allowed and what was found.
    fn validate(&self) -> Result<()>;

    /// The same with something in every key that may be left out: whatever key is not in there is
    /// unknown.
    #[must_use]
    fn filled(&self) -> Self {
        self.clone()
    }

    /// The defaults under these layers, the last one on top.
    ///
    /// # Errors
    /// [`Usage`] that names the key that is unknown, of the wrong type or out of range.
    fn load(layers: &[Layer]) -> Result<Self> {
        let mut config = Self::default();
        for Layer { origin, table } in layers {
            let below = to_table(&config)?;
            config = read(&merge::merge(&below, table, Self::KINDS)).map_err(|message| {
                let at_fault =
                    mistyped::find(&below, table, Self::KINDS, |table| read::<Self>(table).err());
                let (key, message) = at_fault.unwrap_or_else(|| (String::new(), message));
                let key = if key.is_empty() { key } else { format!("{key}: ") };
                Usage::error(format!("{origin}: {key}{}", mistyped::readable(&message)))
            })?;
            if let Some(unknown) = unknown::find(table, &to_table(&config.filled())?) {
                return Err(Usage::error(format!("{origin}: {unknown}")));
            }
        }
        config.validate()?;
        Ok(config)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// [`Usage`] when a number is too large for TOML.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Usage::error(format!("configuration: {error}")))
    }

    /// The first key on which two configurations differ, with the value of each.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    fn difference(&self, other: &Self) -> Result<Option<Difference>> {
        let (here, there) = (to_table(self)?, to_table(other)?);
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

fn to_table(config: &impl Serialize) -> Result<Table> {
    Table::try_from(config).map_err(|error| Usage::error(format!("configuration: {error}")))
}

fn read<C: DeserializeOwned>(table: &Table) -> Result<C, String> {
    table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}
