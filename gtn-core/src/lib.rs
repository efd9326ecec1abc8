//! gtn-core
mod cpu;
pub mod data;
mod error;
pub mod evaluate;
pub mod generator;
pub mod graph;
pub mod inner;
pub mod learner;
pub mod meta;
pub mod network;
pub mod ops;
pub mod recipe;
pub mod seed;
pub mod teacher;
pub mod trainer;
pub use error::{Error, Result};
