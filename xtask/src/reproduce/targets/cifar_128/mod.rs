//! `cifar-128`: CIFAR-10, synthetic against real data by step.

use super::comparison::Comparison;
use super::settings;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::Row;

/// The target.
pub(super) const CIFAR_128: Comparison = Comparison {
    name: "cifar-128",
    measures: "test accuracy on CIFAR-10 after 1 to 128 steps, taught by synthetic and by real data",
    published: "faster learning from synthetic than from real data; as curves, without figures",
    source: Source::Cifar10,
    title: "Accuracy by step",
    rows: &[
        Row::real_data("real", "real data, tuned"),
        Row::teacher("gtn-full", "GTN, full curriculum"),
    ],
    settings: |profile| settings!(profile),
};
