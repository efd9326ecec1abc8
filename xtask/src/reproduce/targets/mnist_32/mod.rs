//! `mnist-32`: the paper's first figure about MNIST, accuracy by step.

use super::comparison::Comparison;
use super::settings;
use crate::reproduce::source::Source;
use crate::reproduce::teaching::Row;

/// The target.
pub(super) const MNIST_32: Comparison = Comparison {
    name: "mnist-32",
    measures: "test accuracy on MNIST after 1 to 32 steps, taught by real data, learned pixels and generators",
    published: "98.9 % after 32 steps with a full curriculum; dataset distillation and real data as curves below it, without figures",
    source: Source::Mnist,
    title: "Accuracy by step",
    rows: &[
        Row::real_data("real", "real data, tuned"),
        Row::teacher("distillation", "dataset distillation"),
        Row::teacher("gtn-none", "GTN, no curriculum"),
        Row::teacher("gtn-full", "GTN, full curriculum").published("98.9 % after 32 steps"),
        // To pass the published figure: the paper's learner under a full curriculum, in every profile that has the time.
        Row::teacher("gtn-tuned", "paper's learner, tuned"),
        Row::teacher("gtn-adam", "paper's learner, by Adam"),
        Row::teacher("gtn-late", "paper's learner, judged late"),
        Row::teacher("gtn-widths", "paper's learner, random widths"),
        Row::teacher("gtn-refined", "GTN, full curriculum, refined"),
        Row::teacher("gtn-refined-widths", "paper's learner, random widths, refined"),
    ],
    settings: |profile| settings!(profile),
};
