//! Numbers that count something.

use crate::error::Usage;
use anyhow::Result;

/// Checks the counts that are given, by their keys.
///
/// # Errors
/// [`Usage`] for the first that is zero.
pub(crate) fn expect_some<'a>(
    counts: impl IntoIterator<Item = (&'a str, Option<usize>)>,
) -> Result<()> {
    match counts.into_iter().find(|(_, count)| *count == Some(0)) {
        None => Ok(()),
        Some((key, _)) => Err(Usage::error(format!("{key} must be at least 1, found 0"))),
    }
}
