//! Random hyperparameters.

use anyhow::{Context, Result, ensure};
use gtn_core::seed::Seed;
use rand::RngExt;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// How many settings are drawn from what ranges, and what all of them share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// What the measurement takes; for the list of targets.
    #[serde(rename = "cost")]
    _cost: Option<String>,
    /// Fresh learners a part.
    pub(super) learners: usize,
    /// How many are drawn.
    settings: usize,
    /// Of the draws, and of every training.
    pub(super) seed: u64,
    /// The configuration that all of them share.
    pub(super) config: Table,
    ranges: Ranges,
}

/// Ranges of dotted keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ranges {
    /// Logarithms are drawn evenly.
    log: BTreeMap<String, [f64; 2]>,
    /// Values are drawn evenly.
    even: BTreeMap<String, [f64; 2]>,
}

/// One setting: a value for each dotted key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn(Vec<(String, f64)>);

impl Settings {
    pub(super) fn read(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text).context("random settings")?;
        ensure!(settings.settings > 0 && settings.learners > 0, "there is nothing to measure");
        for (key, [low, high]) in settings.ranges.log.iter().chain(&settings.ranges.even) {
            ensure!(0.0 < *low && low < high, "ranges: {key} must rise from above 0");
        }
        Ok(settings)
    }

    /// All settings. Each value has a stream of random numbers of its own: another range, or one more key, leaves
    /// the other values as they are.
    pub(super) fn draw(&self) -> Result<Vec<Drawn>> {
        (0..self.settings as u64).map(|index| self.setting(index)).collect()
    }

    fn setting(&self, index: u64) -> Result<Drawn> {
        let share = |key: &str| Seed(self.seed).derive(key, index).rng().random_range(0.0..1.0);
        let log = self.ranges.log.iter().map(|(key, [low, high])| {
            let value: f64 = low * (high / low).powf(share(key));
            (key, value)
        });
        let even = self.ranges.even.iter().map(|(key, [low, high])| {
            let value: f64 = low + (high - low) * share(key);
            (key, value)
        });
        let rounded = |(key, value): (&String, f64)| {
            // Three digits tell settings apart, and can be read.
            Ok((key.clone(), format!("{value:.2e}").parse()?))
        };
        let mut drawn = log.chain(even).map(rounded).collect::<Result<Vec<_>>>()?;
        drawn.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Drawn(drawn))
    }

    /// The ranges in words.
    pub(super) fn ranges(&self) -> String {
        let words = |ranges: &BTreeMap<String, [f64; 2]>, how: &str| {
            let words =
                ranges.iter().map(|(key, [low, high])| format!("{key} {low} to {high}{how}"));
            words.collect::<Vec<_>>()
        };
        let log = words(&self.ranges.log, " (by its logarithm)");
        log.into_iter().chain(words(&self.ranges.even, "")).collect::<Vec<_>>().join(", ")
    }
}

impl Drawn {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(_, value)| *value)
    }

    /// The keys in their tables.
    pub(super) fn table(&self) -> Result<Table> {
        let mut table = Table::new();
        for (key, value) in &self.0 {
            let (name, key) = key.split_once('.').with_context(|| {
                format!("ranges: expected a dotted key like inner.lr, found {key}")
            })?;
            let inside = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            let inside = inside.as_table_mut().context("ranges: a key is a table")?;
            inside.insert(key.into(), Value::Float(*value));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
learners = 1
settings = 40
seed = 3
[config]
[ranges.log]
'outer.lr' = [0.001, 0.1]
[ranges.even]
'outer.beta1' = [0.5, 0.95]
";

    #[test]
    fn draws_fill_their_ranges_and_repeat() {
        let drawn = Settings::read(TEXT).unwrap().draw().unwrap();
        assert_eq!(drawn, Settings::read(TEXT).unwrap().draw().unwrap());
        let column = |index: usize| drawn.iter().map(move |drawn| drawn.0[index].1);
        assert!(column(0).all(|beta1| (0.5..=0.95).contains(&beta1)));
        assert!(column(1).all(|lr| (0.001..=0.1).contains(&lr)));
        // By its logarithm, about half lie below the geometric mean.
        let low = column(1).filter(|&lr| lr < 0.01).count();
        assert!((10..=30).contains(&low), "{low}");
        let table = drawn[0].table().unwrap();
        assert_eq!(table["outer"]["lr"].as_float(), Some(drawn[0].0[1].1));
    }

    #[test]
    fn another_range_leaves_the_rest() {
        let other = TEXT.replace("[0.5, 0.95]", "[0.1, 0.2]");
        let [these, those] =
            [TEXT, &other].map(|text| Settings::read(text).unwrap().draw().unwrap());
        assert_eq!(these[5].0[1], those[5].0[1]);
        assert_ne!(these[5].0[0], those[5].0[0]);
        assert!(Settings::read(&TEXT.replace("[0.5, 0.95]", "[0.5, 0.5]")).is_err());
    }
}
