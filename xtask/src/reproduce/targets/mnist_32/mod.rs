//! `mnist-32`: the paper's first figure about MNIST, accuracy by step.

use super::{Target, settings};
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::Report;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::{self, Row};
use anyhow::Result;

const ROWS: [Row; 4] = [
    Row::real_data("real", "real data, tuned"),
    Row::teacher("distillation", "dataset distillation"),
    Row::teacher("gtn-none", "GTN, no curriculum"),
    Row::teacher("gtn-full", "GTN, full curriculum").published("98.9 % after 32 steps"),
];

/// The target.
pub(super) struct Mnist32;

impl Target for Mnist32 {
    fn name(&self) -> &'static str {
        "mnist-32"
    }

    fn measures(&self) -> &'static str {
        "test accuracy on MNIST after 1 to 32 steps, taught by real data, learned pixels and generators"
    }

    fn published(&self) -> &'static str {
        "98.9 % after 32 steps with a full curriculum; dataset distillation and real data as curves below it, without figures"
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
        teaching::report("Accuracy by step", &ROWS, settings, results)
    }
}
