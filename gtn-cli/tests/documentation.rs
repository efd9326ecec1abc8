//! docs/configuration.md names every key of every configuration, with its default.

use gtn_cli::config::{Config, Layer, RunConfig};
use gtn_cli::nas::correlate::CorrelateConfig;
use gtn_cli::nas::search::SearchConfig;
use std::collections::BTreeMap;
use toml::{Table, Value};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// The rows of the tables under these headings: key and default.
fn documented(headings: &[&str]) -> BTreeMap<&'static str, &'static str> {
    let sections = PAGE.split("\n## ").filter(|s| headings.iter().any(|h| s.starts_with(h)));
    let rows = sections.flat_map(str::lines).filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let key = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((key, cells.next()?))
    });
    rows.collect()
}

/// Every value of a table by its dotted key.
fn flat(table: &Table) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                all.extend(flat(inner).into_iter().map(|(k, v)| (format!("{key}.{k}"), v)));
            }
            value => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    all
}

fn check<C: Config>(headings: &[&str]) {
    let rows = documented(headings);
    let config = C::default();
    let all = flat(&Table::try_from(config.filled()).unwrap());
    assert_eq!(
        rows.keys().copied().collect::<Vec<_>>(),
        all.keys().map(String::as_str).collect::<Vec<_>>()
    );
    let defaults = flat(&Table::try_from(&config).unwrap());
    for (key, default) in rows {
        let Some(value) = defaults.get(key) else {
            assert_eq!(default, "–", "{key} may be left out");
            continue;
        };
        let text = default.trim_matches('`');
        let said = format!("x = {text}").parse::<Table>().unwrap();
        assert_eq!(&said["x"], value, "{key}");
    }
}

#[test]
fn every_key_is_documented_with_its_default() {
    let judging = "What candidates are judged with";
    check::<RunConfig>(&["Training"]);
    check::<SearchConfig>(&[judging, "Search"]);
    check::<CorrelateConfig>(&[judging, "Correlation"]);
}

#[test]
fn the_examples_are_configurations() {
    let examples: Vec<_> = PAGE.split("```toml\n").skip(1).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let (text, _) = example.split_once("```").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.toml");
        std::fs::write(&path, text).unwrap();
        let read = Layer::file(&path).and_then(|layer| RunConfig::load(&[layer]));
        assert!(read.is_ok(), "{text}: {read:?}");
    }
}
