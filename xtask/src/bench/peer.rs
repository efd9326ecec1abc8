//! `cargo xtask bench peer`: PyTorch and this workspace take turns.

use super::case::Case;
use super::pack::pack;
use super::place::{Kind, Place};
use super::sides::{EAGER, Sides};
use super::table::{HEADER, Outcome, Row};
use crate::cuda_build::go_on_with_cuda;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench peer
  cargo xtask bench peer --case conv2_fc-paper-T8 --rounds 9
  cargo xtask bench peer --device cuda
  cargo xtask bench peer --device cuda --tf32
  cargo xtask bench peer --device cuda --pack DIR    for a GPU machine without cargo: DIR/run.sh

PyTorch goes into target/bench/venv, the table into target/bench/peer.json (peer-cuda.json, peer-cuda-tf32.json).";

/// Do the same meta-iterations in PyTorch and here, and compare speed, memory and results.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A case to run; may be given more than once [default: all that fit the device]
    #[arg(long = "case", value_name = "NAME", value_parser = Case::parser())]
    cases: Vec<&'static Case>,

    /// Timed iterations of each side, taken in turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    #[command(flatten)]
    place: Place,

    /// Compare elsewhere: write a folder that does it on a GPU machine without cargo and network
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cases", "rounds", "tf32"])]
    pack: Option<PathBuf>,

    /// This program lies in such a folder
    #[arg(long, hide = true, conflicts_with = "pack")]
    packed: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    args.place.check()?;
    if let Some(dir) = &args.pack {
        ensure!(args.place.device == Kind::Cuda, "`--pack` is for GPUs; give `--device cuda` too");
        return pack(dir);
    }
    if args.place.device == Kind::Cuda && !cfg!(feature = "cuda") {
        match go_on_with_cuda()? {}
    }
    let sides = match args.packed {
        true => Sides::packed(args.place)?,
        false => Sides::of_workspace(args.place)?,
    };
    let gpu = args.place.device == Kind::Cuda;
    let cases = match args.cases.is_empty() {
        true => Case::all().filter(|case| gpu || !case.gpu).collect(),
        false => args.cases.clone(),
    };
    println!("{HEADER}");
    let (mut rows, file) = (Vec::new(), sides.table());
    for case in cases {
        let new =
            sides.compare(case, args.rounds).with_context(|| format!("case {}", case.name))?;
        for row in &new {
            println!("{}", row.line());
        }
        rows.extend(new);
        // After each case: what was measured is not lost if a later one fails.
        fs::write(&file, serde_json::to_string_pretty(&rows)? + "\n")
            .with_context(|| format!("{} could not be written", file.display()))?;
    }
    println!("written to {}", file.display());
    rows.iter().try_for_each(|row| judge(row, args.place.tolerance()))
}

/// Whether a row is as it should be. Peers that compile may be missing.
fn judge(row: &Row, tolerance: f64) -> Result<()> {
    match &row.outcome {
        Outcome::Compared { max_rel_diff, .. } => ensure!(
            *max_rel_diff <= tolerance,
            "case {}: the results of {} differ by {max_rel_diff:.1e}, more than rounding explains ({tolerance:.0e})",
            row.case,
            row.peer
        ),
        Outcome::Missing { reason } if row.peer == EAGER => {
            bail!("case {}: {} did not run: {reason}", row.case, row.peer)
        }
        Outcome::Missing { .. } => {}
    }
    Ok(())
}
