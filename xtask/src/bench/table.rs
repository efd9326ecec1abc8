//! The table of `bench peer`.

use serde::Serialize;

/// A case and a peer. Times are medians of milliseconds an inner step.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) peer: &'static str,
    /// Of products, on both sides.
    pub(super) precision: &'static str,
    /// Timed iterations of each side.
    pub(super) rounds: u32,
    pub(super) ours_ms: f64,
    pub(super) ours_mb: f64,
    /// What our side says that it ran with.
    pub(super) ours_settings: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Compared {
        peer_ms: f64,
        /// The peer's time over ours.
        ratio: f64,
        peer_mb: f64,
        max_rel_diff: f64,
        /// What the peer says that it ran with.
        peer_settings: String,
    },
    /// The peer cannot run here.
    Missing { reason: String },
}

pub(super) const HEADER: &str = "case                     peer            ours ms   ours MB   peer ms   peer MB   ratio   max diff";

impl Row {
    pub(super) fn line(&self) -> String {
        let Self { case, peer, ours_ms, ours_mb, .. } = self;
        let start = format!("{case:<24} {peer:<13} {ours_ms:>9.2} {ours_mb:>9.0}");
        match &self.outcome {
            Outcome::Compared { peer_ms, ratio, peer_mb, max_rel_diff, .. } => {
                format!("{start} {peer_ms:>9.2} {peer_mb:>9.0} {ratio:>7.2} {max_rel_diff:>10.1e}")
            }
            Outcome::Missing { reason } => format!("{start} {reason}"),
        }
    }
}

/// The median of at least one value.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    fn row(outcome: Outcome) -> Row {
        Row {
            case: "conv2_fc-paper-T32-every",
            peer: "PyTorch eager",
            precision: "f32",
            rounds: 5,
            ours_ms: 500.0,
            ours_mb: 1234.0,
            ours_settings: "threads: 2".into(),
            outcome,
        }
    }

    #[test]
    fn columns_line_up() {
        let outcome = Outcome::Compared {
            peer_ms: 1234.56,
            ratio: 2.47,
            peer_mb: 9876.0,
            max_rel_diff: 1.23e-5,
            peer_settings: String::new(),
        };
        assert_eq!(row(outcome).line().len(), HEADER.len());
    }

    #[test]
    fn a_missing_peer_says_why() {
        let json = serde_json::to_value(row(Outcome::Missing { reason: "no jax".into() })).unwrap();
        assert_eq!(json["reason"], "no jax");
        assert_eq!(json["peer"], "PyTorch eager");
    }
}
