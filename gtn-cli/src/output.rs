//! Standard output, for results only: logs and progress go to standard error.

use anyhow::{Context, Result};
use std::io::{self, ErrorKind, Write};

/// Prints `text` to standard output.
///
/// # Errors
/// When it cannot be written, unless the reader has gone away: that is how
/// `gtn … | head` ends.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Rows of cells as lines, each column as wide as its widest cell: the first
/// to the left, the others to the right.
#[must_use]
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            line += &match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "12"], ["ccc", "é"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a    12\nccc   é\n");
    }
}
