//! The commands, one a file.

pub mod completions;
pub mod data;
pub mod eval;
pub mod export;
pub mod quickstart;
pub mod report;
pub mod train;
