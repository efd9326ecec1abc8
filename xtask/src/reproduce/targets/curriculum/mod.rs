//! `curriculum`: what the order of the synthetic samples is worth.

use super::comparison::Comparison;
use super::settings;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::Row;

/// The target.
pub(super) const CURRICULUM: Comparison = Comparison {
    name: "curriculum",
    measures: "test accuracy on MNIST under the four curricula: fresh noise, or learned noise in three orders",
    published: "best with the most control over what comes when, the full curriculum (98.9 % after 32 steps); the others as curves, without figures",
    source: Source::Mnist,
    title: "Accuracy by step under four curricula",
    rows: &[
        Row::teacher("none", "no curriculum"),
        Row::teacher("all-shuffled", "all shuffled"),
        Row::teacher("batch-shuffled", "batches shuffled"),
        Row::teacher("full", "full curriculum").published("98.9 % after 32 steps"),
    ],
    settings: |profile| settings!(profile),
};
