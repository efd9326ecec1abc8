//! Judging each architecture by every evaluator.

use super::config::CorrelateConfig;
use crate::interrupt::Interrupt;
use crate::nas::judging::EvaluatorName;
use crate::nas::materials::Materials;
use crate::progress::Progress;
use anyhow::Result;
use gtn_core::network::Network;
use gtn_core::seed::Seed;
use gtn_nas::evaluator::{Evaluator, judge};
use gtn_nas::space::NetworkSpace;
use gtn_nas::strategy::Seen;
use gtn_nas::trial::Measurement;
use gtn_nas::{Entry, Journal, side_by_side, with_space};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// An architecture, judged: a line of `architectures.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its number in the sample, from 0.
    pub number: usize,
    /// The architecture.
    pub arch: String,
    /// All judgments.
    pub measured: Vec<Measured>,
}

/// A judgment of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// By which evaluator.
    pub by: EvaluatorName,
    /// The number of the network, from 0.
    pub learner: usize,
    /// How it did.
    #[serde(flatten)]
    pub measurement: Measurement,
}

impl Entry for Judged {
    const WHAT: &str = "architecture";

    fn number(&self) -> usize {
        self.number
    }
}

/// Judges what is not in the journal yet.
pub(super) fn measure(
    config: &CorrelateConfig,
    materials: &Materials,
    journal: &mut Journal<Judged>,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    with_space!(config.space, space => {
        measure_in(&space, config, materials, journal, workers, interrupt)
    })
}

fn measure_in<S: NetworkSpace>(
    space: &S,
    config: &CorrelateConfig,
    materials: &Materials,
    journal: &mut Journal<Judged>,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    let sample = sample(space, config);
    for known in journal.entries() {
        let drawn = sample.get(known.number).map(ToString::to_string);
        if drawn.is_some_and(|drawn| drawn != known.arch) {
            let message = "this architecture is of another sample; choose another --out";
            return Err(journal.wrong(known, message.into()).into());
        }
    }
    let test = materials.test()?;
    let mut judges: Vec<(EvaluatorName, Box<dyn Evaluator<Network> + '_>)> = Vec::new();
    for name in config.evaluators() {
        judges.push((
            name,
            match name {
                // The truth is judged by other images than the estimates: what they share by chance would look like skill.
                EvaluatorName::Full => Box::new(materials.full(&config.judging, &test)?),
                name => materials.evaluator(name, &config.judging)?,
            },
        ));
    }
    let judge_all = |number: usize| {
        let arch = &sample[number];
        let mut measured = Vec::new();
        for (by, evaluator) in &judges {
            let lowered = materials.lowered(*by, space, evaluator.as_ref());
            let learners = match by {
                EvaluatorName::Full => config.full_learners,
                _ => config.learners,
            };
            for learner in 0..learners {
                // Each evaluator has networks of its own, as it would have in a search.
                let seed = Seed(config.seed).derive(&arch.to_string(), 0);
                let seed = seed.derive(&by.to_string(), learner as u64);
                let found = judge(&lowered, arch, &config.steps(*by), seed);
                let of = |measurement| Measured { by: *by, learner, measurement };
                measured.extend(found.into_iter().map(of));
            }
        }
        Judged { number, arch: arch.to_string(), measured }
    };

    let left: Vec<usize> = (0..sample.len()).filter(|&n| journal.entry(n).is_none()).collect();
    let mut progress =
        Progress::new("judging architectures", sample.len(), sample.len() - left.len());
    let failed = side_by_side(
        workers,
        left,
        |&number| judge_all(number),
        |_, judged| {
            if let Err(error) = journal.append(&judged) {
                return ControlFlow::Break(Some(error));
            }
            progress.step(&judged.arch);
            if interrupt.raised() { ControlFlow::Break(None) } else { ControlFlow::Continue(()) }
        },
    );
    match failed.flatten() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Architectures that all differ. A longer sample begins with a shorter one.
fn sample<S: NetworkSpace>(space: &S, config: &CorrelateConfig) -> Vec<S::Arch> {
    let mut seen = Seen::default();
    let draw = |number| {
        let mut rng = Seed(config.seed).derive("architecture", number).rng();
        seen.fresh(space, || space.sample(&mut rng))
    };
    (0..config.architectures as u64).map_while(draw).collect()
}
