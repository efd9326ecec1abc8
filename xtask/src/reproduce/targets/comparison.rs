//! Targets that compare ways to teach.

use super::Target;
use crate::reproduce::part::{Part, Results};
use crate::reproduce::profile::Profile;
use crate::reproduce::report::Report;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::{self, Row};
use anyhow::Result;

/// A target that compares ways to teach by the accuracy of learners after few steps and many.
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) measures: &'static str,
    pub(super) published: &'static str,
    pub(super) source: Source,
    /// Above the plot.
    pub(super) title: &'static str,
    /// The ways to teach.
    pub(super) rows: &'static [Row],
    pub(super) settings: fn(Profile) -> &'static str,
}

impl Target for Comparison {
    fn name(&self) -> &'static str {
        self.name
    }

    fn measures(&self) -> &'static str {
        self.measures
    }

    fn published(&self) -> &'static str {
        self.published
    }

    fn source(&self, _profile: Profile) -> Source {
        self.source
    }

    fn settings(&self, profile: Profile) -> &'static str {
        (self.settings)(profile)
    }

    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>> {
        teaching::parts(self.rows, settings, data)
    }

    fn tells_early(&self) -> bool {
        true
    }

    fn report(&self, settings: &str, results: &Results) -> Result<Report> {
        teaching::report(self.title, self.rows, settings, results)
    }
}
