//! The page of one target in one profile.

use super::part::Record;
use super::report::Table;
use super::study::{Findings, Study};
use super::worklog::words;
use anyhow::Result;
use gtn_cli::run_dir::write_whole;
use std::collections::BTreeSet;
use std::fmt::Write;

pub(super) const GENERATED: &str = "<!-- Written by `cargo xtask reproduce` from the results in this folder: changes are lost. -->";

/// Remarks by hand, which become part of a page.
const BY_HAND: &str = "remarks.md";

/// The page of a target, in its folder.
pub(super) const PAGE: &str = "README.md";

/// Writes the page of a target, with its plots and CSV files, once there is something to tell.
///
/// # Errors
/// When results are damaged, or the folder cannot be written.
pub(super) fn write(study: &Study) -> Result<()> {
    let Some(found) = study.findings()? else { return Ok(()) };
    let write = |name: &str, text: &str| write_whole(&study.folder.file(name), text.as_bytes());
    for (file, text) in &found.report.csv {
        write(file, text)?;
    }
    for plot in &found.report.plots {
        write(plot.file, &plot.svg)?;
    }
    let by_hand = super::folder::read(&study.folder.file(BY_HAND))?;
    write(PAGE, &page(study, &found, by_hand.as_deref())?)
}

fn page(study: &Study, found: &Findings, by_hand: Option<&str>) -> Result<String> {
    let (target, report) = (study.target, &found.report);
    let mut text = String::new();
    let _ = writeln!(text, "# {}: {}\n\n{GENERATED}\n", target.name(), target.measures());
    let _ = writeln!(text, "Published: {}.\n\n{}", target.published(), report.summary.markdown());
    for plot in &report.plots {
        let _ = writeln!(text, "![{}]({})\n", plot.caption, plot.file);
    }
    for remark in remarks(study, found) {
        let _ = writeln!(text, "- {remark}");
    }
    if let Some(by_hand) = by_hand {
        let _ = writeln!(text, "\n{}", by_hand.trim_end());
    }
    if !report.sheets.is_empty() {
        text += "\n## Synthetic images\n\nA row is a step, a column a sample, sorted by class: at most 8 steps and 10 samples, evenly spaced.\n";
    }
    for (part, label) in &report.sheets {
        let _ = writeln!(text, "\n{label}:\n\n![{label}](sheets/{part}.png)");
    }
    for (heading, table) in &report.tables {
        let _ = writeln!(text, "\n## {heading}\n\n{}", table.markdown().trim_end());
    }
    let _ = writeln!(text, "\n## Where the figures come from\n");
    let _ = writeln!(text, "{}\n", origin(found));
    let mut parts = Table::new(["part", "result", "wall time", "commit"]);
    for (id, record) in &found.records {
        parts.row([
            format!("[{id}](configs/{id}.toml)"),
            format!("[JSON](parts/{id}.json)"),
            words(record.seconds),
            record.origin.commit.clone(),
        ]);
    }
    let _ = writeln!(text, "{}", parts.markdown());
    let csv = report.csv.iter().map(|(file, _)| format!("[{file}]({file})")).collect::<Vec<_>>();
    let _ = writeln!(text, "In numbers: {}.\n", csv.join(", "));
    let _ = writeln!(text, "```sh\n{}\n```", command(study));
    Ok(text)
}

/// What a reader must know, a sentence or two each.
pub(super) fn remarks(study: &Study, found: &Findings) -> Vec<String> {
    let Findings { report, records, missing } = found;
    let early = (!missing.is_empty()).then(|| {
        format!(
            "{} of {} parts are done; not yet: {}.",
            records.len(),
            study.parts.len(),
            missing.join(", ")
        )
    });
    let about_data = records.iter().filter_map(|(_, record)| record.data.remark.clone());
    let about_data: BTreeSet<_> = about_data.collect();
    let profile = study.profile.remark().to_owned();
    let remarks = early.into_iter().chain(about_data).chain([profile]);
    remarks.chain(report.remarks.iter().cloned()).collect()
}

/// Data, machine, commit and time of all parts together.
pub(super) fn origin(found: &Findings) -> String {
    let records = || found.records.iter().map(|(_, record)| record);
    let distinct = |of: fn(&Record) -> &str| {
        let all: BTreeSet<_> = records().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join("; ")
    };
    format!(
        "Data: {}. Machine: {}. Commit: {}. Wall time of all parts: {}.",
        distinct(|record| &record.data.description),
        distinct(|record| &record.origin.machine),
        distinct(|record| &record.origin.commit),
        words(records().map(|record| record.seconds).sum())
    )
}

/// How to measure it again.
pub(super) fn command(study: &Study) -> String {
    let data = if study.on_stand_in { "" } else { " --data DIR" };
    let (target, profile) = (study.target.name(), study.profile.name());
    format!("cargo xtask reproduce {target} --profile {profile}{data} --out OUT")
}
