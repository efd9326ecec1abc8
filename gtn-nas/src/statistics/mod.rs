//! How far an estimate can be trusted: whether it ranks architectures as the truth does, and what
//! choosing by it costs.
//!
//! Values are numbers, finite or not, but never NaN: what a NaN stands among has no order, and no function here says so.
//!
//! ```
//! use gtn_nas::statistics::{bootstrap, pick, regret, spearman};
//!
//! let (estimate, truth) = ([0.2, 0.5, 0.4, 0.9], [0.90, 0.93, 0.95, 0.97]);
//! assert_eq!(spearman(&estimate, &truth), Some(0.8));
//! assert_eq!(regret(&estimate, &truth), Some(0.0));
//! let interval = bootstrap(4, 1000, 0.95, gtn_core::seed::Seed(1), |sample| {
//!     spearman(&pick(&estimate, sample), &pick(&truth, sample))
//! });
//! assert!(interval.unwrap().low < 0.8);
//! ```

mod bootstrap;
mod matching;
mod rank;
mod selection;

pub use bootstrap::{Interval, bootstrap};
pub use matching::steps_to_match;
pub use rank::{kendall, spearman};
pub use selection::{pick, regret, top_half, top_recall};
