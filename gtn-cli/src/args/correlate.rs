//! `gtn correlate`.

use super::Compute;
use crate::config::Override;
use clap::Args;
use gtn_nas::evaluator::proxy::Proxy;
use gtn_nas::space::SpaceSpec;
use std::path::PathBuf;
use toml::Value;

/// Measure how far estimates of architectures can be trusted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gtn correlate --run runs/mnist --architectures 40 --out runs/correlation
  gtn correlate --run runs/mnist --gtn-steps 4,8,16 --real-steps 8,64,512 --full-steps 600 --set full.images=5000
  gtn correlate --resume --out runs/correlation --architectures 80

One sample of architectures is judged by the teacher, by real data and by zero-cost proxies, and then trained for
long. Written are rank correlations with 95% intervals, as table, CSV, JSON and plot, and how many steps on
real data it takes to rank as well as after few steps on synthetic data. Results do not depend on --workers.")]
pub struct Correlate {
    /// Configuration to start from, like the correlate.toml of another folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run folder of the teacher
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Data set, if it is not that of the run: a folder, `digits`, or `digits:N`
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Search space: macro, cell or nb201, also with sizes like cell:nodes=3,channels=4
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceSpec>,
    /// Architectures in the sample
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub architectures: Option<u32>,
    /// Steps on synthetic data
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub gtn_steps: Option<Vec<u32>>,
    /// Steps on real data
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub real_steps: Option<Vec<u32>>,
    /// Zero-cost proxies: params, flops, grad-norm, synflow, naswot
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub proxies: Option<Vec<Proxy>>,
    /// Steps of the long trainings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub full_steps: Option<u32>,
    /// Fresh networks of each architecture that are trained for long
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub full_learners: Option<u16>,
    /// Fresh networks of each architecture for every other estimate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub learners: Option<u16>,
    /// Architectures judged at the same time; as many as threads if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Seed of all random numbers
    // TOML has no larger numbers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Set one key of the configuration; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Folder to write
    #[arg(long, value_name = "DIR", default_value = "runs/correlation")]
    pub out: PathBuf,
    /// Go on with what is in that folder
    #[arg(long)]
    pub resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What to compute on.
    #[command(flatten)]
    pub compute: Compute,
}

impl Correlate {
    /// What the options say, as keys of the configuration.
    #[must_use]
    pub fn overrides(&self) -> Vec<Override> {
        let text = |key, text: Option<&String>| text.map(|text| Override::new(key, text.clone()));
        let number = |key, number: Option<u32>| number.map(|n| Override::new(key, i64::from(n)));
        let list = |key, numbers: Option<&Vec<u32>>| {
            let values = numbers?.iter().map(|&n| Value::from(i64::from(n)));
            Some(Override::new(key, values.collect::<Vec<_>>()))
        };
        let proxies = self.proxies.as_ref().map(|proxies| {
            let names = proxies.iter().map(|proxy| Value::from(proxy.name()));
            Override::new("proxies", names.collect::<Vec<_>>())
        });
        let given = [
            text("run", self.run.as_ref()),
            text("data", self.data.as_ref()),
            self.space.map(|space| Override::new("space", space.to_string())),
            number("architectures", self.architectures),
            list("gtn_steps", self.gtn_steps.as_ref()),
            list("real_steps", self.real_steps.as_ref()),
            proxies,
            number("full.steps", self.full_steps),
            number("full_learners", self.full_learners.map(u32::from)),
            number("learners", self.learners.map(u32::from)),
            self.seed.map(|seed| Override::new("seed", seed)),
        ];
        self.set.iter().cloned().chain(given.into_iter().flatten()).collect()
    }
}
