//! Numbers that count something.

use crate::error::Usage;
use anyhow::Result;
use std::ops::RangeInclusive;

/// Some, whatever they are. What is more is a slip of the pen: no one would live to see the end.
pub(crate) const SOME: RangeInclusive<usize> = 1..=1_000_000_000;

/// As many as memory holds at a time: images of a batch, or networks.
pub(crate) const AT_ONCE: RangeInclusive<usize> = 1..=100_000;

/// Checks the counts that are given, by their keys.
///
/// # Errors
/// [`Usage`] for the first that is out of its range.
pub(crate) fn expect_within<'a>(
    counts: impl IntoIterator<Item = (&'a str, Option<usize>, RangeInclusive<usize>)>,
) -> Result<()> {
    for (key, count, range) in counts {
        let Some(count) = count.filter(|count| !range.contains(count)) else { continue };
        let bound = match count < *range.start() {
            true => format!("at least {}", range.start()),
            false => format!("at most {}", range.end()),
        };
        return Err(Usage::error(format!("{key} must be {bound}, found {count}")));
    }
    Ok(())
}
