//! The command line.

mod common;
mod correlate;
mod search;

pub use common::Common;
pub use correlate::Correlate;
pub use search::{Rank, Search, SearchCommand, SearchOptions};

use crate::config::{Override, Preset};
use crate::device::DeviceName;
use crate::export::Format;
use crate::records::Split;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Generative Teaching Networks: learn to generate the data that teaches best.
#[derive(Debug, Parser)]
#[command(
    name = "gtn",
    version,
    max_term_width = 100,
    after_help = "Examples:
  gtn quickstart                      the whole story in a minute or two
  gtn train --preset mnist-cpu --data data/mnist --out runs/mnist
  gtn eval runs/mnist                 against real data
  gtn report runs/mnist               as a web page"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to say on standard error.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// How much to say on standard error.
#[derive(Debug, Clone, Copy, Args)]
pub struct Verbosity {
    /// Say more (twice: everything)
    #[arg(short, long, global = true, display_order = 900, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a teacher
    Train(Train),
    /// Compare learners taught by the teacher with learners taught by real data
    Eval(Eval),
    /// Write the synthetic data for use elsewhere
    Export(Export),
    /// Search for good architectures
    Search(Search),
    /// Measure how far estimates of architectures can be trusted
    Correlate(Correlate),
    /// Write a run, a search or a correlation as a web page
    Report(Report),
    /// Look at data sets
    #[command(subcommand)]
    Data(Data),
    /// Train, compare and report on the built-in digits, in a minute or two
    Quickstart(Quickstart),
    /// Write the completions of a shell to standard output
    Completions(Completions),
}

/// What to compute on.
#[derive(Debug, Clone, Copy, Args)]
pub struct Compute {
    /// Threads to compute with; all cores if not given. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Device to compute on: cpu or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceName,
    /// On a CUDA device, round the factors of matrix products to TF32: faster and less exact
    #[arg(long)]
    pub tf32: bool,
}

/// Train a teacher.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  gtn train --preset digits-quickstart --out runs/digits
  gtn train --preset mnist-cpu --data data/mnist --set inner.steps=8 --out runs/mnist8
  gtn train --config runs/mnist8/config.toml --seed 2 --out runs/mnist8-seed2
  gtn train --preset mnist-search --data data/mnist --out runs/teacher
  gtn train --resume --out runs/mnist8

Ctrl-C stops after the current meta-iteration, with a checkpoint; --resume goes on from there.")]
pub struct Train {
    /// Configuration to start from
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    pub config: Option<PathBuf>,
    /// Built-in configuration to start from; without one, the paper's, which wants a GPU
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Data set: a folder (idx, CIFAR-10 or train/CLASS/*.png), `digits`, or `digits:N`
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Run folder; runs/NAME if not given, NAME being that of the configuration
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Set one key of the configuration; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Seed of all random numbers
    // TOML has no larger numbers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Go on with the run in the run folder
    #[arg(long)]
    pub resume: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

/// Compare learners taught by the teacher with learners taught by real data.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  gtn eval runs/mnist
  gtn eval runs/mnist --learners 20 --json
  gtn eval runs/mnist --learner conv2_fc:32,64,128
  gtn eval runs/mnist --split validation    # to choose between runs: the test split decides nothing

The learners taught by real data take as many steps of the same size, with the learning rate and \
momentum that do best on the validation split. The result is kept as eval.json in the run folder, \
for the report, unless other learners or another split are asked for.")]
pub struct Eval {
    /// Run folder
    pub run: PathBuf,
    /// Fresh learners of each kind
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub learners: u16,
    /// Other learners than the run's, normalized alike: conv2_fc, conv5_gap:W,W,W or a space like macro; or a TOML file
    /// with a table `learner`
    #[arg(long, value_name = "SPEC")]
    pub learner: Option<String>,
    /// Whose images judge the learners; on others than the test split's, those of the teacher alone
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub split: Split,
    /// Data set, if it is not where the run found it
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

/// Write the synthetic data for use elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn export runs/mnist --format npz --out synthetic
  gtn export runs/mnist --format png --out synthetic-images")]
pub struct Export {
    /// Run folder
    pub run: PathBuf,
    /// File format
    #[arg(long)]
    pub format: Format,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Data set, if it is not where the run found it
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

/// Write a run, a search or a correlation as a web page.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn report runs/mnist               writes runs/mnist/report.html
  gtn report runs/search              of a search
  gtn report runs/correlation         of what `gtn correlate` found")]
pub struct Report {
    /// Folder of the run, of the search or of `gtn correlate`
    pub run: PathBuf,
}

/// Look at data sets.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Tell what a data set holds
    Info(DataInfo),
}

/// Tell what a data set holds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn data info data/mnist
  gtn data info digits --json")]
pub struct DataInfo {
    /// A folder (idx, CIFAR-10 or train/CLASS/*.png), `digits`, or `digits:N`
    #[arg(value_name = "DIR")]
    pub data: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Train, compare and report on the built-in digits, in a minute or two.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn quickstart
  gtn quickstart --smoke --out runs/smoke     as a test, in seconds")]
pub struct Quickstart {
    /// Run folder
    #[arg(long, value_name = "DIR", default_value = "runs/quickstart")]
    pub out: PathBuf,
    /// Do very little of everything, in seconds: to see that it works
    #[arg(long)]
    pub smoke: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

/// Write the completions of a shell to standard output.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn completions bash > ~/.local/share/bash-completion/completions/gtn
  gtn completions fish > ~/.config/fish/completions/gtn.fish")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}
