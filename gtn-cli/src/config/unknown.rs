//! Keys that no table knows, and what was probably meant.

use toml::{Table, Value};

/// How much more likely a key of the same table was meant than one of another table.
const SAME_TABLE: f64 = 0.1;

/// How alike a key must be to be taken for what was meant: 1 is the same.
const ALIKE: f64 = 0.8;

/// One sentence about the first key of `given` that `known` does not have.
pub(super) fn find(given: &Table, known: &Table) -> Option<String> {
    let (path, parent) = first(given, known)?;
    let dotted = |key: &str| [parent.as_slice(), &[key.to_owned()]].concat().join(".");
    let likeness = |candidate: &(Vec<String>, String)| {
        let same = if candidate.0 == parent { SAME_TABLE } else { 0.0 };
        strsim::jaro_winkler(&path, &candidate.1) + same
    };
    let nearest = all(known).into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some((parent, key)) => {
            format!("did you mean `{}`?", [parent, vec![key]].concat().join("."))
        }
        None => format!("known there: {}", beside(known, &parent)),
    };
    Some(format!("unknown key `{}`; {hint}", dotted(&path)))
}

/// The keys of the table at this path.
fn beside(known: &Table, path: &[String]) -> String {
    let inside = |table, key: &String| match Table::get(table, key) {
        Some(Value::Table(inside)) => inside,
        _ => table,
    };
    let table = path.iter().fold(known, inside);
    table.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// The first unknown key, and the path of the table that it is in.
fn first(given: &Table, known: &Table) -> Option<(String, Vec<String>)> {
    for (key, value) in given {
        match (value, known.get(key)) {
            (_, None) => return Some((key.clone(), Vec::new())),
            (Value::Table(given), Some(Value::Table(known))) => {
                if let Some((unknown, mut path)) = first(given, known) {
                    path.insert(0, key.clone());
                    return Some((unknown, path));
                }
            }
            _ => {}
        }
    }
    None
}

/// Every key, tables' own included, with the path of the table that it is in.
fn all(known: &Table) -> Vec<(Vec<String>, String)> {
    let mut keys = Vec::new();
    for (key, value) in known {
        keys.push((Vec::new(), key.clone()));
        if let Value::Table(inside) = value {
            keys.extend(all(inside).into_iter().map(|(mut path, inner)| {
                path.insert(0, key.clone());
                (path, inner)
            }));
        }
    }
    keys
}
