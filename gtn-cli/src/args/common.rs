//! What `gtn search` and `gtn correlate` are both told.

use super::Compute;
use crate::config::{Layer, Override};
use anyhow::Result;
use clap::Args;
use gtn_nas::space::SpaceSpec;
use std::path::PathBuf;

/// Which candidates there are, what they are judged with, and how to go about it.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration to start from, like the one in the folder of another run of this command
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Search space: macro, cell or nb201, also with sizes like cell:nodes=3,channels=4
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceSpec>,
    /// Run folder of the teacher, for the evaluator gtn
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Data set, if it is not that of the run: a folder, `digits`, or `digits:N`
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Candidates judged at the same time; if not given as many as threads, on a GPU one (a search: at most `ahead`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Seed of all random numbers
    // TOML has no larger numbers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Set one key of the configuration; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Go on with what is in the folder
    #[arg(long)]
    pub resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

impl Common {
    /// The layers of the configuration: the file, and what options say, `own` ones of the command among them.
    ///
    /// # Errors
    /// When the file cannot be read, or [`crate::error::Usage`] for what cannot be.
    pub fn layers(&self, own: impl IntoIterator<Item = Option<Override>>) -> Result<Vec<Layer>> {
        let given = [
            self.space.map(|space| Override::new("space", space.to_string())),
            text("run", self.run.as_ref()),
            text("data", self.data.as_ref()),
            self.seed.map(|seed| Override::new("seed", seed)),
        ];
        let given = given.into_iter().chain(own).flatten();
        let overrides: Vec<Override> = self.set.iter().cloned().chain(given).collect();
        let file = self.config.iter().map(|file| Layer::file(file));
        file.chain([Layer::overrides(&overrides)]).collect()
    }

    /// Candidates judged at the same time.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.compute.workers(self.workers)
    }
}

/// A text for a key, if it was given.
pub(super) fn text(key: &str, text: Option<&String>) -> Option<Override> {
    text.map(|text| Override::new(key, text.clone()))
}

/// A number for a key, if it was given.
pub(super) fn number(key: &str, number: Option<impl Into<i64>>) -> Option<Override> {
    number.map(|number| Override::new(key, number.into()))
}
