//! `cifar-128`: CIFAR-10, synthetic against real data by step.

use super::{Target, settings};
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::Report;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::{self, Row};
use anyhow::Result;

const ROWS: [Row; 2] =
    [Row::real_data("real", "real data, tuned"), Row::teacher("gtn-full", "GTN, full curriculum")];

/// The target.
pub(super) struct Cifar128;

impl Target for Cifar128 {
    fn name(&self) -> &'static str {
        "cifar-128"
    }

    fn measures(&self) -> &'static str {
        "test accuracy on CIFAR-10 after 1 to 128 steps, taught by synthetic and by real data"
    }

    fn published(&self) -> &'static str {
        "faster learning from synthetic than from real data; as curves, without figures"
    }

    fn source(&self, _profile: Profile) -> Source {
        Source::Cifar10
    }

    fn settings(&self, profile: Profile) -> &'static str {
        settings!(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        teaching::parts(&ROWS, settings, data)
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        teaching::report("Accuracy by step", &ROWS, settings, results)
    }
}
