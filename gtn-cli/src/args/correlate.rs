//! `gtn correlate`.

use super::common::{Common, number};
use crate::config::{Layer, Override};
use anyhow::Result;
use clap::Args;
use gtn_nas::evaluator::proxy::Proxy;
use std::path::PathBuf;
use toml::Value;

/// Measure how far estimates of architectures can be trusted.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  gtn train --preset mnist-search --data data/mnist --out runs/teacher
  gtn correlate --run runs/teacher --architectures 40 --out runs/correlation
  gtn correlate --run runs/teacher --gtn-steps 4,8,16 --real-steps 8,64,512
  gtn correlate --resume --out runs/correlation --architectures 80

A teacher ranks the networks of a space well when its learners were drawn from that space. One sample of \
architectures is judged by the teacher, by real data and by zero-cost proxies, and then trained for \
long. Written are rank correlations with 95% intervals, as table, CSV, JSON and plot, and how many steps on \
real data it takes to rank as well as after few steps on synthetic data. Results do not depend on --workers.")]
pub struct Correlate {
    /// Architectures in the sample
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub architectures: Option<u32>,
    /// Steps on synthetic data
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub gtn_steps: Option<Vec<u32>>,
    /// Steps on real data
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
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
    /// Folder to write
    #[arg(long, value_name = "DIR", default_value = "runs/correlation")]
    pub out: PathBuf,
    /// What is judged, and how to go about it.
    #[command(flatten)]
    pub common: Common,
}

impl Correlate {
    /// The layers of the configuration.
    ///
    /// # Errors
    /// As [`Common::layers`].
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let list = |key, numbers: Option<&Vec<u32>>| {
            let values = numbers?.iter().map(|&n| Value::from(i64::from(n)));
            Some(Override::new(key, values.collect::<Vec<_>>()))
        };
        let proxies = self.proxies.as_ref().map(|proxies| {
            let names = proxies.iter().map(|proxy| Value::from(proxy.name()));
            Override::new("proxies", names.collect::<Vec<_>>())
        });
        self.common.layers([
            number("architectures", self.architectures),
            list("gtn_steps", self.gtn_steps.as_ref()),
            list("real_steps", self.real_steps.as_ref()),
            proxies,
            number("full.steps", self.full_steps),
            number("full_learners", self.full_learners),
            number("learners", self.learners),
        ])
    }
}
