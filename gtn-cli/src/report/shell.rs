//! What all pages share.

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::colors::{self, Color};

/// A page around its sections.
pub(super) fn shell(title: &str, sections: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(style())) }
            }
            body {
                main {
                    h1 { (title) }
                    (sections)
                    footer { "Written by gtn " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    }
}

fn style() -> String {
    let variables = |pick: fn(Color) -> u32| {
        let mut css = String::from(":root { ");
        for (name, color) in [
            ("paper", colors::PAPER),
            ("ink", colors::INK),
            ("muted", colors::MUTED),
            ("grid", colors::GRID),
            ("series-0", colors::SERIES[0]),
            ("series-1", colors::SERIES[1]),
        ] {
            let _ = write!(css, "--{name}: #{:06X}; ", pick(color));
        }
        css + "}"
    };
    format!(
        "{}\n{}@media screen and (prefers-color-scheme: dark) {{\n{}\n{}}}",
        variables(|color| color.light),
        include_str!("style.css"),
        variables(|color| color.dark),
        colors::dark_plots(),
    )
}

/// One sentence, and the command that makes what is missing.
pub(super) fn missing(sentence: &str, command: &str) -> Markup {
    html! { p.missing { (sentence) " " code { (command) } " makes it." } }
}

/// A configuration, folded away.
pub(super) fn complete_config(name: &str, toml: &str) -> Markup {
    html! {
        h2 { "Configuration" }
        details {
            summary { "The complete " code { (name) } }
            pre { (toml) }
        }
    }
}

/// Rows of cells, the first row as heading; the first column is text, numbers to the right of it.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Markup {
    let Some((heading, body)) = rows.split_first() else { return html! {} };
    html! {
        div.table {
            table {
                thead {
                    tr {
                        @for (column, cell) in heading.iter().enumerate() {
                            th.number[column > 0] scope="col" { (cell) }
                        }
                    }
                }
                tbody {
                    @for row in body {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                td.number[column > 0] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Papers by their number on arXiv.
pub(super) fn paper_list(papers: &[(&str, &str)]) -> Markup {
    html! {
        h2 { "Papers" }
        ul {
            @for (id, text) in papers {
                li { a href={ "https://arxiv.org/abs/" (id) } { (text) } }
            }
        }
    }
}

/// Papers that several pages name.
pub(super) mod paper {
    pub(in crate::report) const GTN: (&str, &str) = (
        "1912.07768",
        "Such, Rawal, Lehman, Stanley, Clune: Generative Teaching Networks: Accelerating \
         Neural Architecture Search by Learning to Generate Synthetic Training Data (2020)",
    );
    pub(in crate::report) const MIXED_MODE: (&str, &str) = (
        "2505.00793",
        "Kemaev et al.: Scalable Meta-Learning via Mixed-Mode Differentiation (2025)",
    );
}
