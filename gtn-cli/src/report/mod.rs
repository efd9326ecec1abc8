//! A run, a search or a correlation as one web page that needs nothing else: no network, no scripts, no
//! files beside it.

mod canvas;
mod colors;
mod correlation_page;
pub mod figures;
mod layout;
mod page;
pub mod plot;
mod search_page;
mod shell;
mod ticks;
pub(crate) mod words;

pub use correlation_page::CorrelationReport;
pub use search_page::SearchReport;

use crate::records::{Eval, MetricsLine};

/// What a report tells. Whatever is missing, the page says in one sentence
/// which command makes it.
#[derive(Clone, Debug, Default)]
pub struct ReportData {
    /// The run folder, as the commands on the page name it.
    pub run: String,
    /// The meta-iteration of the checkpoint.
    pub iteration: usize,
    /// Whether nothing is held out for validation.
    pub without_validation: bool,
    /// The run's complete `config.toml`.
    pub config_toml: String,
    /// The lines of `metrics.jsonl`, by rising meta-iteration.
    pub metrics: Vec<MetricsLine>,
    /// What `eval.json` holds, once there is one.
    pub eval: Option<Eval>,
    /// Learning rate and momentum of each step.
    pub rates: Vec<(f64, f64)>,
    /// Captions and PNG files of contact sheets (see [`crate::sheet`]).
    pub sheets: Vec<(String, Vec<u8>)>,
}

/// Writes the page: complete HTML, readable on light and dark screens and on
/// paper. All text is escaped.
///
/// ```
/// use gtn_cli::report::{ReportData, render};
///
/// let page = render(&ReportData {
///     run: "runs/digits & letters".into(),
///     ..ReportData::default()
/// });
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// assert!(page.contains("digits &amp; letters"));
/// assert!(page.contains("gtn eval 'runs/digits &amp; letters'"));
/// ```
pub fn render(data: &ReportData) -> String {
    page::page(data).into_string()
}

/// Writes the page of a search.
pub fn render_search(data: &SearchReport) -> String {
    search_page::page(data).into_string()
}

/// Writes the page of what `gtn correlate` found.
pub fn render_correlation(data: &CorrelationReport) -> String {
    correlation_page::page(data).into_string()
}
