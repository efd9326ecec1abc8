//! How far estimates can be trusted: one sample of architectures, judged by several evaluators after several
//! numbers of steps, against long trainings.
//!
//! In the folder are `correlate.toml`, `materials.json`, `architectures.jsonl` (a line for each architecture, as it is finished),
//! and at the end the statistics as `correlation.json`, `.csv`, `.md` and `.svg`.

mod analysis;
mod config;
mod measure;
mod tables;

pub use analysis::{Agreement, Correlation, Estimate, Match, Row, Truth, analyze};
pub use config::CorrelateConfig;
pub use measure::{Judged, Measured, judge_these};
pub use tables::{csv, markdown, rows, sentences};

use super::folder::Folder;
use super::identity;
use super::materials::Materials;
use crate::config::Layer;
use crate::error::Usage;
use crate::folder_lock::FolderLock;
use crate::interrupt::Interrupt;
use crate::report::figures;
use crate::run_dir::write_whole;
use anyhow::Result;
use candle_core::Device;
use gtn_core::seed::Seed;
use gtn_nas::Journal;
use std::path::Path;

/// The configuration's file in the folder.
pub const CONFIG: &str = "correlate.toml";
/// The finished architectures' file.
pub const ARCHITECTURES: &str = "architectures.jsonl";
/// The statistics' file.
pub const CORRELATION: &str = "correlation.json";

/// Measures and analyzes as `layers` say, in the folder `out`. `None` if Ctrl-C ended it.
///
/// # Errors
/// [`Usage`] for a configuration that cannot be, other errors when another process writes there and for what fails
/// on the way.
pub fn correlate(
    layers: Vec<Layer>,
    out: &Path,
    resume: bool,
    workers: usize,
    device: Device,
    interrupt: &Interrupt,
) -> Result<Option<Correlation>> {
    let _lock = FolderLock::take(out)?;
    let folder = Folder::at(out, CONFIG);
    let config = folder.begin(layers, resume, |config: &mut CorrelateConfig, there| {
        config.architectures = there.architectures;
        config.judging.relocate(&there.judging);
    })?;
    let done = Journal::<Judged>::read(&folder.file(ARCHITECTURES))?;
    let begun = done.iter().map(|judged| judged.number + 1).max().unwrap_or(0);
    if config.architectures < begun {
        return Err(Usage::error(format!(
            "{} holds some of the first {begun} architectures already, so that there cannot be {} in all; ask for more, or choose another --out",
            out.display(),
            config.architectures
        )));
    }
    let materials = Materials::open(&config.judging, device)?;
    correlate_with(&materials, config, &folder, workers, interrupt)
}

/// Measures and analyzes with materials at hand, in a folder in which this may have begun. `None` if Ctrl-C ended it.
///
/// # Errors
/// As [`correlate`].
pub fn correlate_with(
    materials: &Materials,
    mut config: CorrelateConfig,
    folder: &Folder,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Option<Correlation>> {
    config.settle(materials)?;
    let (seed, names) = (Seed(config.seed), config.evaluators());
    interrupt
        .at_once(|| materials.settle(&mut config.judging, &names, config.space, seed, workers))?;
    identity::begin(folder, materials, &config)?;
    let mut journal: Journal<Judged> = folder.journal(ARCHITECTURES)?;
    measure::measure(&config, materials, &mut journal, workers, interrupt)?;
    if interrupt.raised() {
        return Ok(None);
    }
    let correlation = analyze(&config, &journal.entries().cloned().collect::<Vec<_>>());
    let json = serde_json::to_string_pretty(&correlation)? + "\n";
    let plot = figures::correlation(&correlation, |row| &row.all);
    for (name, text) in [
        (CORRELATION, json),
        ("correlation.csv", csv(&correlation)),
        ("correlation.md", markdown(&correlation)),
        ("correlation.svg", plot.svg(760, 420)),
    ] {
        write_whole(&folder.file(name), text.as_bytes())?;
    }
    Ok(Some(correlation))
}
