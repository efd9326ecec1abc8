//! `cargo xtask bench peer`: PyTorch and this workspace take turns.

use super::case::Case;
use super::compare::max_rel_diff;
use super::worker::Worker;
use super::{KEEP_MEMORY, venv};
use crate::root;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench peer
  cargo xtask bench peer --case conv2_fc-paper-T8 --rounds 9
  cargo xtask bench peer --case conv2_fc-small-T16 --case conv2_fc-small-plain

PyTorch goes into target/bench/venv, the table into target/bench/peer.json.";

/// Do the same meta-iterations in PyTorch and here, and compare speed, memory and results.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A case to run; may be given more than once [default: all]
    #[arg(long = "case", value_name = "NAME", value_parser = Case::parser())]
    cases: Vec<&'static Case>,

    /// Timed iterations of each side, taken in turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Where both sides compute
    #[arg(long, default_value = "cpu")]
    device: Device,
}

#[derive(Clone, Copy, ValueEnum)]
enum Device {
    /// All cores of this machine
    Cpu,
}

/// In single precision, now and then two values round to the other order, and a max-pool or leaky
/// ReLU takes its other branch: up to about 1e-3 over tens of steps. A wrong formula leaves far more.
const TOLERANCE: f64 = 1e-2;

/// One row of the table. Times are medians of milliseconds an inner step.
#[derive(Serialize)]
struct Row {
    case: &'static str,
    peer_ms: f64,
    ours_ms: f64,
    /// The peer's time over ours.
    ratio: f64,
    peer_mb: f64,
    ours_mb: f64,
    max_rel_diff: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let Device::Cpu = args.device;
    let sides = Sides::new()?;
    let cases = if args.cases.is_empty() { Case::all().collect() } else { args.cases.clone() };
    println!("{HEADER}");
    let mut rows = Vec::new();
    for case in cases {
        let row =
            sides.compare(case, args.rounds).with_context(|| format!("case {}", case.name))?;
        println!("{}", row.line());
        rows.push(row);
    }
    let file = sides.dir.join("peer.json");
    fs::write(&file, serde_json::to_string_pretty(&rows)? + "\n")
        .with_context(|| format!("{} could not be written", file.display()))?;
    println!("written to {}", file.display());
    for row in &rows {
        ensure!(
            row.max_rel_diff <= TOLERANCE,
            "case {}: the results differ by {:.1e}, more than rounding explains ({TOLERANCE:.0e})",
            row.case,
            row.max_rel_diff
        );
    }
    Ok(())
}

/// How the two sides are started.
struct Sides {
    /// Where files of a run go.
    dir: PathBuf,
    python: PathBuf,
    script: PathBuf,
    ours: PathBuf,
    cores: usize,
}

impl Sides {
    fn new() -> Result<Self> {
        let dir = root().join("target/bench");
        fs::create_dir_all(&dir)
            .with_context(|| format!("the folder {} could not be made", dir.display()))?;
        let peer = root().join("xtask/peer");
        Ok(Self {
            python: venv::python(&dir.join("venv"), &peer.join("requirements.txt"))?,
            dir,
            script: peer.join("meta_iteration.py"),
            ours: std::env::current_exe().context("this program's own file could not be found")?,
            cores: std::thread::available_parallelism()?.get(),
        })
    }

    fn compare(&self, case: &'static Case, rounds: u32) -> Result<Row> {
        let file = |end: &str| self.dir.join(format!("{}{end}.safetensors", case.name));
        let (inputs, ours_out, peer_out) = (file(""), file("-ours"), file("-peer"));
        case.write(&inputs)?;
        // Results of an earlier run must not pass for this one's.
        for old in [&ours_out, &peer_out] {
            if old.exists() {
                fs::remove_file(old)
                    .with_context(|| format!("{} could not be removed", old.display()))?;
            }
        }

        let mut peer = self.peer(case, &inputs, &peer_out)?;
        let mut ours = self.ours(case, &inputs, &ours_out)?;
        eprintln!("{}: PyTorch ({}), ours ({})", case.name, peer.settings(), ours.settings());
        let (mut peer_ms, mut ours_ms) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            peer_ms.push(peer.iterate()?);
            ours_ms.push(ours.iterate()?);
        }
        let (peer_mb, ours_mb) = (peer.peak_mb()?, ours.peak_mb()?);
        peer.finish()?;
        ours.finish()?;

        let (peer_ms, ours_ms) = (median(&mut peer_ms), median(&mut ours_ms));
        Ok(Row {
            case: case.name,
            peer_ms,
            ours_ms,
            ratio: peer_ms / ours_ms,
            peer_mb,
            ours_mb,
            max_rel_diff: max_rel_diff(&ours_out, &peer_out)?,
        })
    }

    fn peer(&self, case: &Case, inputs: &Path, results: &Path) -> Result<Worker> {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args([case.learner, case.task.name()]).args([inputs, results]);
        command.args(["--threads", &self.cores.to_string()]);
        Worker::start("PyTorch", &mut command)
    }

    fn ours(&self, case: &Case, inputs: &Path, results: &Path) -> Result<Worker> {
        let mut command = Command::new(&self.ours);
        command.args(["bench", "ours", case.name]).args([inputs, results]);
        command.env("RAYON_NUM_THREADS", self.cores.to_string());
        command.env(KEEP_MEMORY.0, KEEP_MEMORY.1);
        Worker::start("our side", &mut command)
    }
}

const HEADER: &str =
    "case                     peer ms   ours ms   ratio   peer MB   ours MB   max diff";

impl Row {
    fn line(&self) -> String {
        format!(
            "{:<22} {:>9.1} {:>9.1} {:>7.2} {:>9.0} {:>9.0} {:>10.1e}",
            self.case,
            self.peer_ms,
            self.ours_ms,
            self.ratio,
            self.peer_mb,
            self.ours_mb,
            self.max_rel_diff
        )
    }
}

/// The median of at least one value.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn columns_line_up() {
        let row = Row {
            case: "conv5_gap-paper-plain",
            peer_ms: 1234.56,
            ours_ms: 500.0,
            ratio: 2.47,
            peer_mb: 9876.0,
            ours_mb: 1234.0,
            max_rel_diff: 1.23e-5,
        };
        assert_eq!(row.line().len(), HEADER.len());
    }
}
