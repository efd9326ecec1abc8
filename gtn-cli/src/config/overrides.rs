//! `--set key=value`.

use super::merge;
use crate::error::Usage;
use anyhow::Result;
use std::str::FromStr;
use toml::{Table, Value};

/// A value for a dotted key, as `inner.steps=8` on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    path: Vec<String>,
    value: Value,
}

impl Override {
    /// This value for this dotted key.
    #[must_use]
    pub fn new(key: &str, value: impl Into<Value>) -> Self {
        Self {
            path: key.split('.').map(|part| part.trim().to_owned()).collect(),
            value: value.into(),
        }
    }
}

impl FromStr for Override {
    type Err = String;

    /// Reads `key=value`. The value is TOML; what is no TOML is a string, so that words and paths
    /// need no quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("expected key=value, for example inner.steps=8".into());
        };
        let value = value.trim();
        let over = Self::new(key, value.parse().unwrap_or_else(|_| Value::from(value)));
        match over.path.iter().any(String::is_empty) {
            true => {
                Err(format!("expected a dotted key like inner.steps before `=`, found `{key}`"))
            }
            false => Ok(over),
        }
    }
}

/// All overrides as one table; of two for the same key, the later counts.
pub(super) fn table(overrides: &[Override]) -> Result<Table> {
    let mut table = Table::new();
    for Override { path, value } in overrides {
        merge::insert(&mut table, path, value.clone()).map_err(|taken| {
            Usage::error(format!(
                "command line: `{}` and `{}` cannot both be set: the one lies inside the other",
                taken.join("."),
                path.join(".")
            ))
        })?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn override_values_are_toml_or_else_words() {
        let value = |text: &str| text.parse::<Override>().unwrap().value;
        assert_eq!(value("a=8"), Value::Integer(8));
        assert_eq!(value("a = 0.5"), Value::Float(0.5));
        assert_eq!(value("a=true"), Value::Boolean(true));
        assert_eq!(value("a=\"8\""), Value::from("8"));
        assert_eq!(value("a=full"), Value::from("full"));
        assert_eq!(value("a=/data/x=y"), Value::from("/data/x=y"));
        assert_eq!(value("a=[1, 2]"), Value::Array(vec![1.into(), 2.into()]));
        for wrong in ["steps", "=8", "inner.=8", ".steps=8", ""] {
            assert!(wrong.parse::<Override>().is_err(), "{wrong}");
        }
        let both = ["inner=3".parse().unwrap(), "inner.steps=3".parse().unwrap()];
        assert!(table(&both).is_err());
    }

    #[test]
    fn a_table_adds_to_what_is_set_in_it() {
        let set = ["inner.steps=8", "inner.batch=2", "inner={batch=3}", "inner.lr=0.5"];
        let set = set.map(|text| text.parse().unwrap());
        let expected = "inner = { steps = 8, batch = 3, lr = 0.5 }";
        assert_eq!(table(&set).unwrap(), expected.parse().unwrap());
    }
}
