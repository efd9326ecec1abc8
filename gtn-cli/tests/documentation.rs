//! docs/configuration.md names every key of every configuration, with its default; links lead somewhere.

use gtn_cli::config::{Config, Layer, RunConfig};
use gtn_cli::nas::correlate::CorrelateConfig;
use gtn_cli::nas::search::SearchConfig;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
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

/// Every Markdown file beneath a folder that belongs to the repository.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "runs" {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn links_and_pictures_lead_somewhere() {
    let mut found = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
    assert!(found.iter().any(|page| page.ends_with("docs/configuration.md")), "{found:?}");
    let mut links = 0;
    for page in found {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|t| !t.is_empty() && !t.contains("://") && !t.contains(' ')) {
            links += 1;
            assert!(page.with_file_name(target).exists(), "{}: {target}", page.display());
        }
    }
    assert!(links > 100, "{links}");
}
