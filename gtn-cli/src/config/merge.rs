//! Tables laid over one another.

use toml::{Table, Value};

/// `over` laid on `base`, table by table. A table that chooses another kind, by one of the keys `kinds`, replaces
/// the one below.
pub(super) fn merge(base: &Table, over: &Table, kinds: &[&str]) -> Table {
    if kinds.iter().any(|&kind| over.contains_key(kind) && over.get(kind) != base.get(kind)) {
        return over.clone();
    }
    let mut merged = base.clone();
    for (key, value) in over {
        let value = match (base.get(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => {
                Value::Table(merge(base, over, kinds))
            }
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

/// Every value that is no table, with the path of keys to it.
pub(super) fn leaves(table: &Table) -> Vec<(Vec<String>, &Value)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inside) => {
                all.extend(leaves(inside).into_iter().map(|(mut path, value)| {
                    path.insert(0, key.clone());
                    (path, value)
                }))
            }
            _ => all.push((vec![key.clone()], value)),
        }
    }
    all
}

/// The value at the end of a path of keys.
pub(super) fn get<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (last, tables) = path.split_last()?;
    let parent = tables.iter().try_fold(table, |table, key| table.get(key)?.as_table());
    parent?.get(last)
}

/// Puts a value at the end of a path of keys, making tables on the way; a table is laid over one that is there. Where
/// something else is in the way, the path up to there comes back.
pub(super) fn insert<'a>(
    table: &mut Table,
    path: &'a [String],
    value: Value,
) -> Result<(), &'a [String]> {
    let Some((last, tables)) = path.split_last() else { return Ok(()) };
    let mut inside = table;
    for (depth, key) in tables.iter().enumerate() {
        let next = inside.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        inside = next.as_table_mut().ok_or(&path[..=depth])?;
    }
    let value = match (inside.get(last), value) {
        (Some(Value::Table(below)), Value::Table(over)) => Value::Table(merge(below, &over, &[])),
        (_, value) => value,
    };
    inside.insert(last.clone(), value);
    Ok(())
}
