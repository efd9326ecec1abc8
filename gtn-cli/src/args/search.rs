//! `gtn search`.

use super::Compute;
use super::common::{Common, number, text};
use crate::config::{Layer, Override};
use crate::nas::judging::EvaluatorName;
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use gtn_nas::strategy::AnyStrategy;
use std::path::PathBuf;

/// Search for good architectures.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  gtn train --preset mnist-search --data data/mnist --out runs/teacher
  gtn search --run runs/teacher --trials 200 --out runs/search
  gtn search --evaluator real --max-seconds 600 --out runs/by-real-data
  gtn search --evaluator naswot --space nb201 --trials 500 --json
  gtn search --resume --out runs/search --trials 400   until there are 400
  gtn search rank runs/search                          trains the best for long

A teacher ranks the networks of a space well when its learners were drawn from that space. Each finished \
candidate is kept in trials.jsonl at once. A search that was killed goes on with --resume as if \
nothing had happened. Results do not depend on --workers."
)]
pub struct Search {
    /// What to do with a search instead of doing one.
    #[command(subcommand)]
    pub command: Option<SearchCommand>,
    /// How to search.
    #[command(flatten)]
    pub options: SearchOptions,
}

/// What to do with a search.
#[derive(Debug, Subcommand)]
pub enum SearchCommand {
    /// Train the best candidates of a search for long, and pick the winner by validation accuracy
    Rank(Rank),
}

/// How to search.
#[derive(Debug, Args)]
pub struct SearchOptions {
    /// Search strategy
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(AnyStrategy::<String>::NAMES))]
    pub strategy: Option<String>,
    /// How candidates are judged: gtn, real, full, params, flops, grad-norm, synflow or naswot
    #[arg(long, value_name = "NAME")]
    pub evaluator: Option<EvaluatorName>,
    /// Training steps after which a candidate is judged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
    /// Candidates to try; 100 if there is no other end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub trials: Option<u32>,
    /// Training steps to spend on all candidates together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_steps: Option<u32>,
    /// Seconds to spend
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_seconds: Option<u32>,
    /// Candidates under way before the first of them is told to the strategy
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub ahead: Option<u16>,
    /// Folder of the search
    #[arg(long, value_name = "DIR", default_value = "runs/search")]
    pub out: PathBuf,
    /// What is judged, and how to go about it.
    #[command(flatten)]
    pub common: Common,
}

impl SearchOptions {
    /// The layers of the configuration.
    ///
    /// # Errors
    /// As [`Common::layers`].
    pub fn layers(&self) -> Result<Vec<Layer>> {
        self.common.layers([
            text("strategy", self.strategy.as_ref()),
            self.evaluator.map(|name| Override::new("evaluator", name.to_string())),
            number("steps", self.steps),
            number("budget.trials", self.trials),
            number("budget.steps", self.max_steps),
            self.max_seconds.map(|s| Override::new("budget.seconds", f64::from(s))),
            number("ahead", self.ahead),
        ])
    }
}

/// Train the best candidates of a search for long.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  gtn search rank runs/search
  gtn search rank runs/search --top 10 --steps 2000 --json

Candidates are trained on augmented real data with a cosine schedule. The best on the validation split is the \
winner; fresh networks of it are then trained and tested on the test split. Finished trainings are kept.")]
pub struct Rank {
    /// Folder of the search
    #[arg(value_name = "DIR")]
    pub search: PathBuf,
    /// Run folder of the teacher, if it is not where the search found it
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Data set, if it is not where the search found it
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Candidates to train
    #[arg(long, value_name = "K", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
    /// Steps of each training; those of the search's configuration if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
    /// Fresh networks of the winner to test
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    pub learners: u16,
    /// Candidates trained at the same time; if not given as many as threads, on a GPU one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

impl Rank {
    /// What is laid over the configuration of the search.
    ///
    /// # Errors
    /// As [`Layer::overrides`].
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let given = [text("run", self.run.as_ref()), text("data", self.data.as_ref())];
        let given: Vec<Override> = given.into_iter().flatten().collect();
        Ok(vec![Layer::overrides(&given)?])
    }
}
