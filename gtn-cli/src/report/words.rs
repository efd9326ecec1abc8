//! Numbers, and words of a command line, as text.

use std::fmt::Display;

/// A fraction as a percentage.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// A fraction as a percentage that tells one image in 10,000 from none.
pub(crate) fn fine_percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A difference of percentages.
pub(crate) fn points(fraction: f64) -> String {
    format!("{:.1}", fraction * 100.0)
}

/// How many of what.
pub(crate) fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// A number with at most three significant digits.
pub(crate) fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    rounded.to_string()
}

/// `text` as one word of a POSIX shell's command line.
pub(crate) fn word(text: impl Display) -> String {
    let text = text.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(word("runs/a-1.b"), "runs/a-1.b");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word(std::path::Path::new("my runs").display()), "'my runs'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(0.1 + 0.2), "0.3");
        assert_eq!(short(0.056_234), "0.0562");
        assert_eq!(short(0.0), "0");
    }
}
