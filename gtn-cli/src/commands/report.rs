//! `gtn report`: a run as a web page.

use crate::args;
use crate::config::Config;
use crate::device::DeviceName;
use crate::output;
use crate::report::{ReportData, render};
use crate::run_dir::{RunDir, write_whole};
use crate::trained::Trained;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// Writes `report.html` into a run folder and tells where it is.
///
/// # Errors
/// When the run cannot be used, or the folder cannot be written.
pub fn run(args: &args::Report) -> Result<()> {
    let trained = Trained::open(&args.run, args.data.as_deref(), DeviceName::Cpu.open()?)?;
    let page = write(&trained)?;
    output::print(&format!("{}\n", page.display()))
}

/// Writes the page. Returns where.
///
/// # Errors
/// When what the run left behind is damaged, or the folder cannot be written.
pub fn write(trained: &Trained) -> Result<PathBuf> {
    let run = &trained.run;
    let folder = run.path().display().to_string();
    let rates = trained.trainer.rates()?;
    let page = render(&ReportData {
        title: folder.clone(),
        run: folder,
        config_toml: trained.config.to_toml()?,
        metrics: run.read_metrics()?,
        eval: run.read_eval()?,
        rates: rates.into_iter().map(|rates| (rates.lr, rates.momentum)).collect(),
        sheets: sheets(run)?,
    });
    write_whole(&run.report(), page.as_bytes())?;
    Ok(run.report())
}

/// The first sheet of the run and the latest.
fn sheets(run: &RunDir) -> Result<Vec<(String, Vec<u8>)>> {
    let all = run.all_sheets()?;
    let ends = match all.as_slice() {
        [] => vec![],
        [only] => vec![only],
        [first, .., last] => vec![last, first],
    };
    let read = |(iteration, path): &(usize, PathBuf)| {
        let png = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((format!("Synthetic batches after meta-iteration {iteration}"), png))
    };
    ends.into_iter().map(read).collect()
}
