//! The `gtn` command line as a library.
//!
//! [`main`] is the whole program. What it is made of can be used apart: the
//! configuration ([`config`]), the run folder ([`run_dir`]), and the
//! commands ([`commands`]), each of which is a function of its arguments.

pub mod allocator;
pub mod args;
pub mod batches;
pub mod commands;
pub mod comparison;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod export;
pub mod fingerprint;
pub mod folder_lock;
pub mod interrupt;
pub mod learner;
pub mod metrics_log;
pub mod nas;
pub mod output;
pub mod progress;
pub mod records;
pub mod report;
pub mod run_dir;
pub mod sheet;
pub mod teaching;
pub mod threads;
pub mod trained;
pub mod tuning;

use anyhow::Result;
use args::{Cli, Command, Compute, Verbosity};
use clap::Parser;
use gtn_core::device::Precision;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Runs the command line of this process. Exit codes: 0 success, 1 failure at
/// run time, 2 wrong usage or configuration, 130 stopped by Ctrl-C.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbosity);
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error),
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Train(args) => commands::train::run(args),
        Command::Eval(args) => commands::eval::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Search(args) => commands::search::run(args),
        Command::Correlate(args) => commands::correlate::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Data(command) => commands::data::run(command),
        Command::Quickstart(args) => commands::quickstart::run(args),
        Command::Completions(args) => commands::completions::run(args),
    }
}

/// Sends the log of this process to standard error, as much of it as `verbosity` says.
pub fn log_to_stderr(verbosity: Verbosity) {
    let level = match (verbosity.quiet, verbosity.verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        // A line that no one reads any more is no reason to stop: telling of it on the same stream would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        .without_time()
        .with_target(false)
        .with_level(verbosity.verbose > 0)
        .init();
}

impl Compute {
    /// Starts the threads and opens the device.
    ///
    /// # Errors
    /// When the device is not there, or the threads cannot be started.
    fn open(self) -> Result<candle_core::Device> {
        threads::start(self.threads)?;
        let precision = if self.tf32 { Precision::Tf32 } else { Precision::Single };
        self.device.open(precision)
    }

    /// The options that name the device again, each behind a space: threads decide nothing.
    fn words(self) -> String {
        let device = match self.device {
            device::DeviceName::Cpu => String::new(),
            device => format!(" --device {device}"),
        };
        device + if self.tf32 { " --tf32" } else { "" }
    }

    /// How many candidates are judged at the same time.
    fn workers(self, asked: Option<u16>) -> usize {
        let usual = || threads::workers(self.device == device::DeviceName::Cpu);
        asked.map_or_else(usual, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_again_as_it_was_named() {
        for words in ["", " --device cuda:1", " --device cuda:0 --tf32"] {
            let line = format!("gtn eval runs/a --threads 3{words}");
            let cli = Cli::parse_from(line.split(' '));
            let Command::Eval(args) = cli.command else { panic!("{line}") };
            assert_eq!(args.compute.words(), words);
        }
    }
}
