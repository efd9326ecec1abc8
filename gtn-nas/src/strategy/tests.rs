//! What all strategies have in common.

use super::*;
use crate::evaluator::Evaluator;
use crate::search::{Budget, Search};
use crate::space::nb201::{Nb201Arch, Nb201Space};
use crate::trial::{Measurement, Outcome, best};
use gtn_core::seed::Seed;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeSet;

const SPACE: Nb201Space = Nb201Space { channels: 8, cells: 1 };
const TARGET: &str =
    "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|";

/// On how many edges, of 6, two cells are the same.
pub(super) fn alike(a: &Nb201Arch, b: &Nb201Arch) -> usize {
    let (a, b) = (a.to_string(), b.to_string());
    a.split('|').zip(b.split('|')).filter(|(a, b)| a == b && a.contains('~')).count()
}

/// Tells a strategy of a candidate that was judged after so many steps.
pub(super) fn tell(
    strategy: &mut impl Strategy<Nb201Space>,
    arch: Nb201Arch,
    steps: usize,
    score: f64,
) {
    let measured = Measurement { steps, outcome: Outcome::of(score), seconds: 0.0, seed: 0 };
    strategy.tell(&Trial { trial: 0, arch, measured, elapsed: 0.0 });
}

/// The number of edges, of 6, that are as in the target.
fn truth(arch: &Nb201Arch) -> f64 {
    alike(arch, &TARGET.parse().unwrap()) as f64
}

/// The truth under noise, which shrinks with the number of steps.
struct Noisy;

impl Evaluator<Nb201Arch> for Noisy {
    fn steps(&self) -> usize {
        64
    }

    fn evaluate(&self, arch: &Nb201Arch, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let at = |&steps: &usize| {
            let noise: f64 = StandardNormal.sample(&mut seed.derive("noise", steps as u64).rng());
            let outcome = Outcome::of(truth(arch) + noise / (steps as f64).sqrt());
            Measurement { steps, outcome, seconds: 0.0, seed: seed.0 }
        };
        Ok(steps.iter().map(at).collect())
    }
}

/// The true score of what a strategy finds, mean over a few seeds.
fn found(
    strategy: impl Fn() -> AnyStrategy<Nb201Arch>,
    budget: Budget,
    evaluator: &impl Evaluator<Nb201Arch>,
) -> f64 {
    let of_seed = |seed| {
        let search = Search { seed: Seed(seed), budget, ..Search::default() };
        let trials = search.run(&SPACE, &mut strategy(), evaluator).unwrap();
        truth(&best(&trials).unwrap().arch)
    };
    (0..8).map(of_seed).sum::<f64>() / 8.0
}

#[test]
fn what_learns_from_trials_beats_what_does_not() {
    let by = |name| found(|| AnyStrategy::named(name, 0).unwrap(), Budget::trials(80), &truth);
    let random = by("random");
    for name in ["evolution", "local", "bananas"] {
        let learned = by(name);
        assert!(learned > random + 0.8, "{name}: {learned}, random: {random}");
    }
}

#[test]
fn what_spends_steps_by_merit_beats_what_spends_them_evenly() {
    let budget = Budget { steps: Some(40 * 64), ..Budget::default() };
    let random = found(|| AnyStrategy::Random(Random::default()), budget, &Noisy);
    let rungs = Rungs { least: 1, most: 64, factor: 4 };
    let halving = found(|| AnyStrategy::Halving(Halving::new(rungs)), budget, &Noisy);
    let hyperband = found(|| AnyStrategy::Hyperband(Hyperband::new(rungs)), budget, &Noisy);
    assert!(halving.min(hyperband) > random + 0.5, "{halving}, {hyperband}, random: {random}");
}

#[test]
fn a_state_written_and_read_goes_on_the_same() {
    for name in AnyStrategy::<Nb201Arch>::NAMES {
        let mut straight = AnyStrategy::named(name, 16).unwrap();
        let mut broken: AnyStrategy<Nb201Arch> = straight.clone();
        for number in 0..90 {
            // Read back before some asks and before some tells.
            let reread = |strategy: &mut AnyStrategy<Nb201Arch>| {
                let text = serde_json::to_string(strategy).unwrap();
                *strategy = serde_json::from_str(&text).unwrap();
            };
            if number % 7 == 0 {
                reread(&mut broken);
            }
            let mut rng = Seed(3).derive("ask", number).rng();
            let proposal = Strategy::<Nb201Space>::ask(&mut straight, &SPACE, &mut rng).unwrap();
            let mut rng = Seed(3).derive("ask", number).rng();
            let again = Strategy::<Nb201Space>::ask(&mut broken, &SPACE, &mut rng).unwrap();
            assert_eq!(proposal, again, "{name}, trial {number}");
            if number % 5 == 0 {
                reread(&mut broken);
            }
            let steps = proposal.steps.unwrap_or(16);
            let measured =
                Noisy.evaluate(&proposal.arch, &[steps], Seed(number)).unwrap().remove(0);
            let trial =
                Trial { trial: number as usize, arch: proposal.arch, measured, elapsed: 0.0 };
            Strategy::<Nb201Space>::tell(&mut straight, &trial);
            Strategy::<Nb201Space>::tell(&mut broken, &trial);
        }
    }
}

#[test]
fn nothing_is_paid_for_twice() {
    for name in AnyStrategy::<Nb201Arch>::NAMES {
        let mut strategy = AnyStrategy::named(name, 16).unwrap();
        let search = Search { budget: Budget::trials(150), ..Search::default() };
        let trials = search.run(&SPACE, &mut strategy, &Noisy).unwrap();
        let paid = |trial: &Trial<Nb201Arch>| (SPACE.key(&trial.arch), trial.measured.steps);
        let different: BTreeSet<_> = trials.iter().map(paid).collect();
        assert_eq!(different.len(), 150, "{name}");
    }
}

#[test]
fn failures_stop_no_strategy() {
    let fails = |_: &Nb201Arch| f64::NAN;
    for name in AnyStrategy::<Nb201Arch>::NAMES {
        let mut strategy = AnyStrategy::named(name, 16).unwrap();
        let search = Search { budget: Budget::trials(60), ..Search::default() };
        assert_eq!(search.run(&SPACE, &mut strategy, &fails).unwrap().len(), 60, "{name}");
    }
}

#[test]
fn names_are_checked() {
    let message = AnyStrategy::<Nb201Arch>::named("greedy", 16).unwrap_err().to_string();
    assert!(message.contains("random, evolution, local, halving, hyperband, bananas"), "{message}");
    let message = AnyStrategy::<Nb201Arch>::named("halving", 0).unwrap_err().to_string();
    assert!(message.contains("gtn, real or full"), "{message}");
}
