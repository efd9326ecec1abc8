//! A part of a configuration.

use super::Override;
use super::overrides;
use crate::error::Usage;
use anyhow::{Context, Result};
use std::path::Path;
use toml::{Table, Value};

/// A part of a configuration, and where it stands.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) origin: String,
    pub(super) table: Table,
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
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            Usage::error(format!("{}, byte {place}: expected text in UTF-8", path.display()))
        })?;
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

    pub(super) fn parse(origin: &str, text: &str) -> Result<Self> {
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
