//! `curriculum`: what the order of the synthetic samples is worth.

use super::{Target, settings};
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::Report;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::{self, Row};
use anyhow::Result;

const ROWS: [Row; 4] = [
    Row::teacher("none", "no curriculum"),
    Row::teacher("all-shuffled", "all shuffled"),
    Row::teacher("batch-shuffled", "batches shuffled"),
    Row::teacher("full", "full curriculum").published("98.9 % after 32 steps"),
];

/// The target.
pub(super) struct Curricula;

impl Target for Curricula {
    fn name(&self) -> &'static str {
        "curriculum"
    }

    fn measures(&self) -> &'static str {
        "test accuracy on MNIST under the four curricula: fresh noise, or learned noise in three orders"
    }

    fn published(&self) -> &'static str {
        "best with the most control over what comes when, the full curriculum (98.9 % after 32 steps); the others as curves, without figures"
    }

    fn source(&self, _profile: Profile) -> Source {
        Source::Mnist
    }

    fn settings(&self, profile: Profile) -> &'static str {
        settings!(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        teaching::parts(&ROWS, settings, data)
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        teaching::report("Accuracy by step under four curricula", &ROWS, settings, results)
    }
}
