//! Neural architecture search on synthetic data: an architecture is judged by
//! how well a fresh network of it does after a few steps on what a trained
//! teacher of `gtn-core` generates.
//!
//! Nothing is here yet but this page. Search spaces, strategies and evaluators come next.
