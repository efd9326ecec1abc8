//! `gtn completions`: what a shell needs to complete `gtn` commands.

use crate::args::{Cli, Completions};
use crate::output;
use anyhow::Result;
use clap::CommandFactory;

/// Prints the completions of a shell.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gtn", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
