//! `cargo xtask bench`.

mod case;
mod compare;
mod ours;
mod pack;
mod peer;
mod place;
mod profile;
mod sides;
mod table;
mod venv;
mod worker;

use crate::root;
use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use std::process::Command;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                          all Criterion benches
  cargo xtask bench conv2d                   those whose name contains `conv2d`
  cargo xtask bench --save-baseline before   keep the timings under a name
  cargo xtask bench --baseline before        compare with them
  cargo xtask bench peer                     compare with PyTorch
  cargo xtask bench peer --device cuda       on a GPU
  cargo xtask bench profile                  where the time of a step goes";

/// Measure the speed of the operations and of whole meta-iterations.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Option<Task>,

    /// Handed to Criterion: a filter, or its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CRITERION ARGS")]
    criterion: Vec<String>,
}

#[derive(Subcommand)]
enum Task {
    Peer(peer::Args),
    Profile(profile::Args),
    #[command(hide = true)]
    Ours(ours::Args),
}

pub(crate) fn run(args: Args) -> Result<()> {
    match args.task {
        None => criterion(&args.criterion),
        Some(Task::Peer(args)) => peer::run(&args),
        Some(Task::Profile(args)) => profile::run(&args),
        Some(Task::Ours(args)) => ours::run(&args),
    }
}

fn criterion(args: &[String]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["bench", "--package", "gtn-core", "--bench", "ops", "--bench", "meta_iteration"])
        .arg("--")
        .args(args)
        // As the `gtn` binary does: memory is never given back to the system.
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .current_dir(root())
        .status()
        .context("cargo could not be started for `cargo bench`")?;
    ensure!(status.success(), "`cargo bench` failed ({status}); its message is above");
    Ok(())
}
