//! Neural architecture search on synthetic data: an architecture is judged by
//! how well a fresh network of it does after a few steps on what a trained
//! teacher of `gtn-core` generates.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`space`] | which architectures there are |
//! | [`strategy`] | which one to try next |
//! | [`evaluator`] | how good one seems, and what it cost to know |
//! | [`search`] | the loop: candidates judged side by side, each result kept |
//! | [`trial`] | what a strategy asks for, and what comes back |
//! | [`statistics`] | how far an evaluator can be trusted |
//! | [`Journal`], [`side_by_side`] | results kept line by line; work done on several threads |
//!
//! [`strategy`] shows how to write a strategy, and a whole search with it.

mod error;
pub mod evaluator;
mod journal;
mod linalg;
pub mod search;
pub mod space;
pub mod statistics;
pub mod strategy;
pub mod trial;
mod workers;

pub use error::{Error, Result};
pub use gtn_core::seed::{Rng, Seed};
pub use journal::{Entry, Journal};
pub use workers::side_by_side;
