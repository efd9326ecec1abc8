//! Architecture search: what the commands `search` and `correlate` are made of.

pub mod correlate;
pub mod folder;
pub mod identity;
pub mod judging;
pub mod materials;
pub mod rank;
pub mod search;
