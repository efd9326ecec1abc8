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

impl Judged {
    /// Judgments by one evaluator after `steps` steps, of each network one.
    pub fn judgments(
        &self,
        by: EvaluatorName,
        steps: usize,
    ) -> impl Iterator<Item = &Measured> + use<'_> {
        // Where a network diverged early, the steps it was to take are what counts.
        self.measured.iter().filter(move |one| one.by == by && one.measurement.steps == steps)
    }

    /// Mean score of its networks; `None` where one of them has none, or there are none.
    pub fn score(&self, by: EvaluatorName, steps: usize) -> Option<f64> {
        let scores: Option<Vec<f64>> =
            self.judgments(by, steps).map(|one| one.measurement.score()).collect();
        let scores = scores.filter(|scores| !scores.is_empty())?;
        Some(scores.iter().sum::<f64>() / scores.len() as f64)
    }

    /// Mean accuracy, by long trainings of `steps` steps, of those of its networks whose number is `of`: 0 for one that has none, as it
    /// diverged. Not a number without such networks.
    pub fn accuracy(&self, steps: usize, of: impl Fn(usize) -> bool) -> f64 {
        let trained = self.judgments(EvaluatorName::Full, steps).filter(|one| of(one.learner));
        let scores: Vec<f64> = trained.map(|one| one.measurement.score().unwrap_or(0.0)).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    }
}

impl Entry for Judged {
    const WHAT: &str = "architecture";

    type Key = usize;

    fn key(&self) -> usize {
        self.number
    }
}

/// Judges those of the sample that are not in the journal yet.
pub(super) fn measure(
    config: &CorrelateConfig,
    materials: &Materials,
    journal: &mut Journal<Judged>,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    with_space!(config.space, space => {
        let sample = sample(&space, config);
        if sample.len() < config.architectures {
            tracing::warn!(
                "only {} different architectures of the space {} were found, not {}",
                sample.len(),
                config.space,
                config.architectures
            );
        }
        measure_in(&space, &sample, config, materials, journal, workers, interrupt)
    })
}

/// Judges these architectures instead of a sample, each exactly as it would be as one of a sample. Those that are in the
/// journal are left out; what is not done when Ctrl-C is pressed is not in there.
///
/// # Errors
/// When one is no architecture of the space, the journal is of others, or learning rates are not settled.
pub fn judge_these(
    archs: &[String],
    config: &CorrelateConfig,
    materials: &Materials,
    journal: &mut Journal<Judged>,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    with_space!(config.space, space => {
        let parsed = archs.iter().map(|arch| serde_json::from_value(arch.as_str().into()));
        let archs = parsed.collect::<Result<Vec<_>, _>>()?;
        measure_in(&space, &archs, config, materials, journal, workers, interrupt)
    })
}

fn measure_in<S: NetworkSpace>(
    space: &S,
    sample: &[S::Arch],
    config: &CorrelateConfig,
    materials: &Materials,
    journal: &mut Journal<Judged>,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    for known in journal.entries() {
        let drawn = sample.get(known.number).map(ToString::to_string);
        if drawn.is_some_and(|drawn| drawn != known.arch) {
            let message = "this architecture is of another sample; choose another --out";
            return Err(journal.wrong(known, message.into()).into());
        }
        if let Some((by, steps)) = config.judgment_missing_of(known) {
            let message = format!(
                "this architecture was not judged by {by} after {steps} steps, as the configuration now asks; go on with the settings that it was begun with, or choose another --out"
            );
            return Err(journal.wrong(known, message).into());
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
            for learner in 0..config.learners_of(*by) {
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

    let left: Vec<usize> = (0..sample.len()).filter(|&n| journal.entry(&n).is_none()).collect();
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
    )?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gtn_nas::evaluator::proxy::Proxy;

    #[test]
    fn an_architecture_is_judged_alike_in_a_sample_and_by_itself() {
        let mut config = CorrelateConfig {
            architectures: 2,
            gtn_steps: Some(Vec::new()),
            real_steps: vec![1],
            proxies: vec![Proxy::Params],
            ..CorrelateConfig::default()
        };
        let judging = &mut config.judging;
        (judging.data, judging.judged) = (Some("digits:50".into()), 10);
        (judging.real.lr, judging.real.momentum) = (Some(0.1), Some(0.5));
        (judging.real.batch, judging.full.steps) = (Some(5), 2);
        let materials = Materials::open(judging, Device::Cpu).unwrap();
        let interrupt = Interrupt::listen().unwrap();

        let mut sample = Journal::in_memory();
        measure(&config, &materials, &mut sample, 2, &interrupt).unwrap();
        let sample: Vec<Judged> = sample.entries().cloned().collect();
        let archs: Vec<String> = sample.iter().rev().map(|judged| judged.arch.clone()).collect();
        let mut these = Journal::in_memory();
        judge_these(&archs, &config, &materials, &mut these, 1, &interrupt).unwrap();
        let these: Vec<Judged> = these.entries().cloned().collect();
        assert_eq!((these.len(), &these[0].arch), (2, &sample[1].arch));
        for (by, steps) in [("real", 1), ("params", 0), ("full", 2)] {
            let by = by.parse().unwrap();
            let score = sample[1].score(by, steps);
            assert!(score.is_some() && score == these[0].score(by, steps), "{by}: {score:?}");
        }

        let wrong = ["16k3-max9,gap".to_owned()];
        let mut journal = Journal::in_memory();
        let refused = judge_these(&wrong, &config, &materials, &mut journal, 1, &interrupt);
        assert!(refused.unwrap_err().to_string().contains("max9"));
    }
}
