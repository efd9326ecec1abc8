//! The page of what `gtn correlate` found.

use maud::{Markup, PreEscaped, html};

use super::figures;
use super::shell::{complete_config, paper, paper_list, shell, table};
use super::words::{count, word};
use crate::nas::correlate::{Correlation, rows, sentences};

/// What `gtn correlate` left behind.
#[derive(Clone, Debug)]
pub struct CorrelationReport {
    /// The folder, as commands on the page name it.
    pub folder: String,
    /// The configuration, as TOML.
    pub config_toml: String,
    /// Architectures that were judged, those after the statistics among them.
    pub judged: usize,
    /// The statistics.
    pub correlation: Correlation,
}

pub(super) fn page(data: &CorrelationReport) -> Markup {
    let found = &data.correlation;
    let mut sentences = sentences(found).into_iter();
    let about = sentences.next().unwrap_or_default();
    shell(
        &data.folder,
        html! {
            p { (about) }
            @if data.judged > found.architectures {
                p.missing {
                    (count(data.judged, "architecture")) " have been judged by now; for statistics of all: "
                    code { "gtn correlate --resume --out " (word(&data.folder)) }
                }
            }
            h2 { "What synthetic steps are worth" }
            @if found.matches.is_empty() {
                p.missing { "There is nothing to tell: synthetic and real data were not both judged by, or no steps on synthetic data rank better than chance." }
            }
            ul {
                @for sentence in sentences {
                    li { (sentence) }
                }
            }
            h2 { "Rank correlation by steps" }
            div.pair {
                figure { (PreEscaped(figures::correlation(found, |row| &row.all).svg(500, 380))) }
                figure { (PreEscaped(figures::correlation_of_the_better_half(found).svg(500, 380))) }
            }
            figcaption {
                "Spearman's correlation with test accuracy after long trainings; bands are 95% intervals. Gray: zero-cost proxies, "
                "which take no steps."
            }
            h2 { "All estimates" }
            (table(&rows(found)))
            figcaption {
                "Seconds: mean for a network, judging included. Regret: how much better the truly best architecture is than "
                "the one with the highest estimate."
            }
            (complete_config("correlate.toml", &data.config_toml))
            (repeat(data))
            (paper_list(&[
                paper::GTN,
                ("2101.08134", "Abdelfattah, Mehrotra, Dudziak, Lane: Zero-Cost Proxies for Lightweight NAS (2021)"),
            ]))
        },
    )
}

fn repeat(data: &CorrelationReport) -> Markup {
    let config = word(format!("{}/correlate.toml", data.folder));
    let again = word(format!("{}-again", data.folder));
    html! {
        h2 { "How to repeat" }
        pre {
            "gtn correlate --config " (config) " --out " (again) "\n"
            "gtn report " (again)
        }
    }
}
