//! `gtn report`: a run, a search or a correlation as a web page.

use crate::args;
use crate::config::{Config, RunConfig};
use crate::learner::Learner;
use crate::nas::folder::Folder;
use crate::nas::{correlate, rank, search};
use crate::output;
use crate::report::words::word;
use crate::report::{
    CorrelationReport, ReportData, SearchReport, render, render_correlation, render_search,
};
use crate::run_dir::{RunDir, write_whole};
use crate::trained::{self, Trained};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use gtn_core::trainer::Trainer;
use gtn_nas::Journal;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes `report.html` into a folder and tells where it is.
///
/// # Errors
/// When what is in the folder cannot be used, or it cannot be written.
pub fn run(args: &args::Report) -> Result<()> {
    // Without a slash at its end, since commands on the page name files in it.
    let path: PathBuf = args.run.components().collect();
    let search = Folder::at(&path, search::CONFIG);
    let correlation = Folder::at(&path, correlate::CONFIG);
    let page = if search.is_begun() {
        write_search(&search)?
    } else if correlation.is_begun() {
        write_correlation(&correlation)?
    } else {
        write_run(&path)?
    };
    output::print(&format!("{}\n", page.display()))
}

fn write_search(folder: &Folder) -> Result<PathBuf> {
    let config: search::SearchConfig = folder.read()?;
    let page = render_search(&SearchReport {
        folder: folder.path().display().to_string(),
        config_toml: config.to_toml()?,
        config,
        trials: Journal::read(&folder.file(search::TRIALS))?,
        ranking: folder.read_json(rank::RANKING)?,
    });
    folder.write_report(&page)
}

fn write_correlation(folder: &Folder) -> Result<PathBuf> {
    let config: correlate::CorrelateConfig = folder.read()?;
    let path = folder.path().display().to_string();
    let Some(correlation) = folder.read_json(correlate::CORRELATION)? else {
        bail!("{path} is not finished; go on with: gtn correlate --resume --out {}", word(&path));
    };
    let judged: Vec<correlate::Judged> = Journal::read(&folder.file(correlate::ARCHITECTURES))?;
    let config_toml = config.to_toml()?;
    folder.write_report(&render_correlation(&CorrelationReport {
        folder: path,
        config_toml,
        judged: judged.len(),
        correlation,
    }))
}

/// Writes the page of a run from what lies in its folder: the data need not be there any more.
fn write_run(folder: &Path) -> Result<PathBuf> {
    let (run, config) = trained::read(folder)?;
    let trainer = Trainer::reopen(&config.recipe, &Device::Cpu, &run.checkpoint())?;
    trained::warn_if_unfinished(&run, &trainer);
    page(&run, &config, &trainer)
}

/// Writes the page. Returns where.
///
/// # Errors
/// When what the run left behind is damaged, or the folder cannot be written.
pub fn write(trained: &Trained) -> Result<PathBuf> {
    page(&trained.run, &trained.config, &trained.trainer)
}

fn page(run: &RunDir, config: &RunConfig, trainer: &Trainer<Learner>) -> Result<PathBuf> {
    let folder = run.path().display().to_string();
    let rates = trainer.rates()?;
    let page = render(&ReportData {
        run: folder,
        iteration: trainer.iteration(),
        without_validation: config.data.validation == Some(0),
        config_toml: config.to_toml()?,
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
