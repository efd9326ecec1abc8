//! Which key is at fault when a table does not read as a configuration.
//!
//! The reader itself does not tell: tables that come in several kinds are
//! read in one go. So each value is tried alone.

use super::merge;
use toml::Table;

/// The first value of `over` that alone upon `base` is refused, as `refusal` tells: its dotted key, and why.
pub(super) fn find(
    base: &Table,
    over: &Table,
    kinds: &[&str],
    refusal: impl Fn(&Table) -> Option<String>,
) -> Option<(String, String)> {
    let leaves = merge::leaves(over);
    // A kind may be refused for what its table lacks, so it is the last to be blamed.
    let is_kind = |path: &[String]| path.last().is_some_and(|key| kinds.contains(&key.as_str()));
    let (of_kind, others): (Vec<_>, Vec<_>) = leaves.iter().partition(|(path, _)| is_kind(path));
    others.iter().chain(&of_kind).find_map(|(path, value)| {
        let mut alone = Table::new();
        let of_same_table =
            |kind: &[String]| kind.split_last().unzip().1 == path.split_last().unzip().1;
        for (kind, value) in of_kind.iter().filter(|(kind, _)| of_same_table(kind) && kind != path)
        {
            merge::insert(&mut alone, kind, (*value).clone()).ok()?;
        }
        let without = refusal(&merge::merge(base, &alone, kinds));
        merge::insert(&mut alone, path, (*value).clone()).ok()?;
        let with = refusal(&merge::merge(base, &alone, kinds))?;
        (without.as_ref() != Some(&with)).then(|| (path.join("."), with))
    })
}

/// The reader's message in words for people.
pub(super) fn readable(message: &str) -> String {
    let words = |expected: &str| match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more".to_owned(),
        "f64" | "f32" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum ") => {
            "a table".to_owned()
        }
        other => other.to_owned(),
    };
    let mismatch = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|kind| message.strip_prefix(kind)?.split_once(", expected "));
    match mismatch {
        Some((found, expected)) => format!("expected {}, found {found}", words(expected)),
        None => message.to_owned(),
    }
}
