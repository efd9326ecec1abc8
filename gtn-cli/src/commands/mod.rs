//! The commands, one a file.

pub mod completions;
pub mod correlate;
pub mod data;
pub mod eval;
pub mod export;
pub mod quickstart;
pub mod report;
pub mod search;
pub mod train;
