//! What a target tells once all its parts are done.

use std::fmt::Write;

/// What a target found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The published figures beside ours; also in the index of all results.
    pub(crate) summary: Table,
    /// What a reader must know to read the figures, a sentence or two each.
    pub(crate) remarks: Vec<String>,
    pub(crate) plots: Vec<Plot>,
    /// Names and contents of CSV files.
    pub(crate) csv: Vec<(&'static str, String)>,
    /// Names of the parts whose synthetic images are shown, with what to call them.
    pub(crate) sheets: Vec<(String, String)>,
    /// Further tables under their headings.
    pub(crate) tables: Vec<(&'static str, Table)>,
}

/// A plot.
#[derive(Debug)]
pub(crate) struct Plot {
    /// The file's name.
    pub(crate) file: &'static str,
    /// For readers who do not see it.
    pub(crate) caption: String,
    pub(crate) svg: String,
}

/// Rows of text under a header.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table in Markdown: the first column to the left, the others to the right.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        line(&self.header);
        let rule = |column| if column == 0 { "---" } else { "---:" }.to_owned();
        line(&(0..self.header.len()).map(rule).collect::<Vec<_>>());
        self.rows.iter().for_each(|row| line(row));
        text
    }
}

/// A fraction in percent.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

/// A difference of fractions in percent.
pub(crate) fn points(fraction: f64) -> String {
    let text = format!("{:.2}", 100.0 * fraction);
    if text == "-0.00" { "0.00".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_sign() {
        assert_eq!([-0.00004, -0.00006, 0.0].map(points), ["0.00", "-0.01", "0.00"]);
    }

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new(["method", "figure"]);
        table.row(["a|b", "1"]);
        assert_eq!(table.markdown(), "| method | figure |\n| --- | ---: |\n| a\\|b | 1 |\n");
    }
}
