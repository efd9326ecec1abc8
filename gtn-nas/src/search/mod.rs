//! The search: candidates judged side by side, each result kept before the next is asked for.
//!
//! Results do not depend on the number of workers. A strategy is asked for [`Search::ahead`]
//! candidates, and for one more whenever the oldest of them has been told; results that come early wait for their
//! turn. A [`Journal`] takes each result as soon as it is there. A search that was killed repeats what it did with
//! the results in its journal, which takes no time, and goes on from there.

mod budget;

pub use budget::Budget;

use crate::evaluator::{Evaluator, judge};
use crate::space::Space;
use crate::strategy::Strategy;
use crate::trial::{Measurement, Proposal, Spent, Trial};
use crate::workers::Workers;
use crate::{Entry, Error, Journal, Result};
use budget::Meter;
use gtn_core::seed::Seed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::ops::ControlFlow;

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Seed of all draws.
    pub seed: Seed,
    /// Candidates judged at the same time, at least 1: no more threads are started than there are candidates to
    /// judge. Results do not depend on it.
    pub workers: usize,
    /// Candidates under way before the first of them is told, at least 1. With fewer of them
    /// a strategy knows more when it is asked; with more, workers wait less.
    pub ahead: usize,
    /// Training steps after which a candidate is judged where the strategy does not say; the evaluator's own
    /// number if `None`.
    pub steps: Option<usize>,
    /// When it ends.
    pub budget: Budget,
}

impl Default for Search {
    /// 100 trials, one at a time.
    fn default() -> Self {
        Self { seed: Seed(0), workers: 1, ahead: 4, steps: None, budget: Budget::trials(100) }
    }
}

impl Search {
    /// Searches, and returns what was tried in the order in which it was asked for.
    ///
    /// # Errors
    /// [`Error::Threads`] when workers cannot be started. What goes wrong with a candidate is its trial's outcome.
    pub fn run<S: Space>(
        &self,
        space: &S,
        strategy: &mut impl Strategy<S>,
        evaluator: &(impl Evaluator<S::Arch> + ?Sized),
    ) -> Result<Vec<Trial<S::Arch>>> {
        let go_on = |_: &[Trial<S::Arch>]| ControlFlow::Continue(());
        self.run_with(space, strategy, evaluator, &mut Journal::in_memory(), go_on)
    }

    /// Searches as [`Search::run`], with a journal. `told` sees the trials so far after each; once it
    /// breaks off, no candidate is begun any more, and those under way are still waited for.
    ///
    /// The budget decides about new candidates; what is in the journal counts in any case.
    ///
    /// # Errors
    /// [`crate::Error::Journal`] when the journal is of another search, [`crate::Error::Io`] when it cannot be written,
    /// [`Error::Threads`] when workers cannot be started.
    pub fn run_with<S: Space>(
        &self,
        space: &S,
        strategy: &mut impl Strategy<S>,
        evaluator: &(impl Evaluator<S::Arch> + ?Sized),
        journal: &mut Journal<Trial<S::Arch>>,
        mut told: impl FnMut(&[Trial<S::Arch>]) -> ControlFlow<()>,
    ) -> Result<Vec<Trial<S::Arch>>> {
        let mut meter = Meter::start(self.budget, Spent::on(journal.entries()).seconds);
        let mut trials = Vec::new();
        let mut ready: BTreeMap<usize, Trial<S::Arch>> = BTreeMap::new();
        let mut pending: VecDeque<usize> = VecDeque::new();
        let mut next = 0;
        let mut stopped = false;
        // The first candidate that was asked for and then not begun.
        let mut taken_back: Option<usize> = None;
        let work = &|job: &Job<S::Arch>| {
            let mut measured = judge(evaluator, &job.arch, &[job.steps], job.seed);
            measured.remove(0)
        };
        std::thread::scope(|scope| {
            let under_way = self.ahead.max(1).min(self.budget.trials.unwrap_or(usize::MAX));
            let mut workers = Workers::new(scope, self.workers.min(under_way), work);
            loop {
                // With a candidate missing, a strategy would be asked for the next one before it was told as much as the first time.
                while taken_back.is_none() && pending.len() < self.ahead.max(1) {
                    let known = journal.entry(&next);
                    if known.is_none() && (stopped || meter.is_spent()) {
                        break;
                    }
                    let mut rng = self.seed.derive("ask", next as u64).rng();
                    let Some(Proposal { arch, steps }) = strategy.ask(space, &mut rng) else {
                        break;
                    };
                    let steps = steps.or(self.steps).unwrap_or(evaluator.steps());
                    let seed = self.seed.derive(&arch.to_string(), 0);
                    meter.asked(steps);
                    let job = Job { trial: next, arch, steps, seed };
                    match known {
                        Some(known) if job.is_of(known) => {
                            ready.insert(next, known.clone());
                        }
                        Some(known) => return Err(foreign(journal, known, &job)),
                        None => workers.send(job)?,
                    }
                    pending.push_back(next);
                    next += 1;
                }
                if stopped || meter.is_late() {
                    // What is not begun now is begun when the search goes on.
                    for job in workers.take_back() {
                        pending.retain(|&number| number != job.trial);
                        taken_back =
                            Some(taken_back.map_or(job.trial, |first| first.min(job.trial)));
                    }
                }
                let Some(oldest) = pending.pop_front() else { return Ok(()) };
                let trial = loop {
                    if let Some(trial) = ready.remove(&oldest) {
                        break trial;
                    }
                    let (job, measured) = workers.receive();
                    let elapsed = meter.elapsed();
                    let trial = Trial { trial: job.trial, arch: job.arch, measured, elapsed };
                    journal.append(&trial)?;
                    ready.insert(trial.trial, trial);
                };
                // It is told of candidates in the order in which it was asked for them, with none left out.
                if taken_back.is_none_or(|first| trial.trial < first) {
                    strategy.tell(&trial);
                }
                trials.push(trial);
                stopped |= told(&trials).is_break();
            }
        })?;
        // The rest of the journal, behind trials of which nothing is known: they were under way when a process was killed.
        trials.extend(journal.entries().filter(|trial| trial.trial >= next).cloned());
        Ok(trials)
    }
}

impl<A: Clone + Serialize + DeserializeOwned> Entry for Trial<A> {
    const WHAT: &str = "trial";

    type Key = usize;

    fn key(&self) -> usize {
        self.trial
    }
}

/// A trial of another search: there is `known`, where this search asked for `job`.
fn foreign<A: Clone + Serialize + DeserializeOwned + Display>(
    journal: &Journal<Trial<A>>,
    known: &Trial<A>,
    job: &Job<A>,
) -> Error {
    let Measurement { steps, seed, .. } = known.measured;
    journal.wrong(
        known,
        format!(
            "trial {} is of another search: it tried {} after {steps} steps with seed {seed}, this one asks for {} after {} with {}; choose another folder",
            known.trial, known.arch, job.arch, job.steps, job.seed.0
        ),
    )
}

/// A candidate to judge.
#[derive(Debug)]
struct Job<A> {
    trial: usize,
    arch: A,
    steps: usize,
    seed: Seed,
}

impl<A: PartialEq> Job<A> {
    /// Whether this is what a trial tried. Evaluators that do not train count no steps.
    fn is_of(&self, trial: &Trial<A>) -> bool {
        let Measurement { steps, seed, .. } = trial.measured;
        trial.arch == self.arch && seed == self.seed.0 && (steps == self.steps || steps == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::nb201::{Nb201Arch, Nb201Space};
    use crate::strategy::{AnyStrategy, Random};
    use gtn_core::seed::Rng;
    use serde::Deserialize;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Takes longer for some than for others, and fails on some.
    fn uneven(arch: &Nb201Arch) -> f64 {
        let text = arch.to_string();
        let convolutions = text.matches("conv").count();
        std::thread::sleep(std::time::Duration::from_millis(2 * (convolutions % 3) as u64));
        if text.starts_with("|none") { f64::NAN } else { convolutions as f64 }
    }

    fn search(workers: usize) -> Search {
        Search { workers, budget: Budget::trials(40), ..Search::default() }
    }

    /// All but the clock.
    fn results(trials: &[Trial<Nb201Arch>]) -> Vec<String> {
        let timeless = trials.iter().map(|trial| {
            let mut trial = trial.clone();
            (trial.elapsed, trial.measured.seconds) = (0.0, 0.0);
            serde_json::to_string(&trial).unwrap()
        });
        timeless.collect()
    }

    #[test]
    fn workers_and_interruptions_change_nothing() {
        let space = Nb201Space::default();
        for name in AnyStrategy::<Nb201Arch>::NAMES {
            let strategy = || AnyStrategy::named(name, 16).unwrap();
            let alone = search(1).run(&space, &mut strategy(), &uneven).unwrap();
            assert_eq!(alone.len(), 40, "{name}");
            assert!(alone.iter().any(|trial| trial.score().is_none()), "{name}: some fail");
            let together = search(3).run(&space, &mut strategy(), &uneven).unwrap();
            assert_eq!(results(&alone), results(&together), "{name}");

            // Broken off, and gone on with from the journal.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("trials.jsonl");
            let evaluated = AtomicUsize::new(0);
            let counting = |arch: &Nb201Arch| {
                evaluated.fetch_add(1, Ordering::Relaxed);
                uneven(arch)
            };
            let mut found = Vec::new();
            for stop in [7, 21, 100] {
                let (mut journal, mended) = Journal::open(&path).unwrap();
                assert_eq!(mended, None);
                let watch = |trials: &[Trial<Nb201Arch>]| match trials.len() < stop {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                };
                found = search(2)
                    .run_with(&space, &mut strategy(), &counting, &mut journal, watch)
                    .unwrap();
            }
            assert_eq!(results(&found), results(&alone), "{name}");
            assert_eq!(evaluated.load(Ordering::Relaxed), 40, "{name}: none is repeated");
        }
    }

    #[test]
    fn budgets_end_a_search() {
        let space = Nb201Space::default();
        let count = |budget| {
            let search = Search { budget, ..Search::default() };
            search.run(&space, &mut Random::default(), &uneven).unwrap().len()
        };
        assert_eq!(count(Budget::trials(0)), 0);
        assert_eq!(count(Budget { seconds: Some(0.0), ..Budget::trials(9) }), 0);
        let mut halving = AnyStrategy::named("halving", 8).unwrap();
        let search =
            Search { budget: Budget { steps: Some(13), ..Budget::trials(99) }, ..search(1) };
        let trials = search.run(&space, &mut halving, &uneven).unwrap();
        let steps: usize = trials.iter().map(|trial| trial.measured.steps).sum();
        assert!((13..13 + 8).contains(&steps), "{steps}");
    }

    #[test]
    fn a_panic_is_a_failure() {
        let space = Nb201Space::default();
        let fragile = |arch: &Nb201Arch| {
            assert!(!arch.to_string().starts_with("|none"), "no input");
            1.0
        };
        let trials = search(2).run(&space, &mut Random::default(), &fragile).unwrap();
        let failed: Vec<String> = results(&trials);
        assert!(failed.iter().any(|line| line.contains("panicked: no input")), "{failed:?}");
    }

    #[test]
    fn trials_behind_a_gap_are_kept() {
        // A later trial may be in the journal where an earlier one was under way when the process was killed.
        let space = Nb201Space::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let run = |budget, evaluated: &AtomicUsize| {
            let (mut journal, _) = Journal::open(&path).unwrap();
            let counting = |arch: &Nb201Arch| {
                evaluated.fetch_add(1, Ordering::Relaxed);
                uneven(arch)
            };
            let search = Search { budget, ..search(2) };
            let go_on = |_: &[Trial<Nb201Arch>]| ControlFlow::Continue(());
            search.run_with(&space, &mut Random::default(), &counting, &mut journal, go_on).unwrap()
        };
        let all = run(Budget::trials(6), &AtomicUsize::new(0));
        let text = std::fs::read_to_string(&path).unwrap();
        let others = text.lines().filter(|line| !line.contains(r#""trial":2,"#));
        let others: Vec<&str> = others.collect();
        assert_eq!(others.len(), 5);
        std::fs::write(&path, others.join("\n") + "\n").unwrap();

        let spent = AtomicUsize::new(0);
        let kept = run(Budget { seconds: Some(0.0), ..Budget::trials(6) }, &spent);
        let numbers: Vec<usize> = kept.iter().map(|trial| trial.trial).collect();
        assert_eq!((numbers, spent.into_inner()), (vec![0, 1, 3, 4, 5], 0));
        let missing = AtomicUsize::new(0);
        let found = run(Budget::trials(6), &missing);
        assert_eq!((results(&found), missing.into_inner()), (results(&all), 1));
    }

    #[derive(Default, Serialize, Deserialize)]
    struct Listening(Random, Vec<usize>);

    impl Strategy<Nb201Space> for Listening {
        fn ask(&mut self, space: &Nb201Space, rng: &mut Rng) -> Option<Proposal<Nb201Arch>> {
            self.0.ask(space, rng)
        }

        fn tell(&mut self, trial: &Trial<Nb201Arch>) {
            self.1.push(trial.trial);
        }
    }

    #[test]
    fn a_strategy_is_told_of_nothing_behind_a_gap() {
        let space = Nb201Space::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let run = |watch: fn(&[Trial<Nb201Arch>]) -> ControlFlow<()>| {
            let (mut journal, _) = Journal::open(&path).unwrap();
            let search = Search { ahead: 5, budget: Budget::trials(5), ..search(1) };
            let mut strategy = Listening::default();
            let slow = |arch: &Nb201Arch| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                uneven(arch)
            };
            let found = search.run_with(&space, &mut strategy, &slow, &mut journal, watch).unwrap();
            let found: Vec<usize> = found.iter().map(|trial| trial.trial).collect();
            (found, strategy.1)
        };
        let whole = run(|_| ControlFlow::Continue(()));
        assert_eq!(whole, (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
        let text = std::fs::read_to_string(&path).unwrap();
        let gap = |line: &&str| line.contains(r#""trial":1,"#) || line.contains(r#""trial":2,"#);
        let others: Vec<&str> = text.lines().filter(|line| !gap(line)).collect();
        std::fs::write(&path, others.join("\n") + "\n").unwrap();

        // Broken off after the first, when the second may have been begun, but hardly the third.
        let (found, told) = run(|_| ControlFlow::Break(()));
        assert!(found.starts_with(&told) && found.ends_with(&[3, 4]), "{found:?}");
        assert!(told.iter().copied().eq(0..told.len()), "{told:?}");
    }

    #[test]
    fn the_journal_of_another_search_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let space = Nb201Space::default();
        let run = |seed, steps| {
            let (mut journal, _) = Journal::open(&path)?;
            let search = Search { seed: Seed(seed), steps: Some(steps), ..search(1) };
            let go_on = |_: &[Trial<Nb201Arch>]| ControlFlow::Continue(());
            search.run_with(&space, &mut Random::default(), &uneven, &mut journal, go_on)
        };
        run(1, 8).unwrap();
        run(1, 8).unwrap();
        for (seed, steps) in [(2, 8), (1, 16)] {
            let message = run(seed, steps).unwrap_err().to_string();
            assert!(
                message.contains("line 1") && message.contains("of another search"),
                "{message}"
            );
        }
    }

    #[test]
    fn nothing_is_begun_after_the_end() {
        let begun = AtomicUsize::new(0);
        let slow = |_: &Nb201Arch| {
            begun.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(50));
            1.0
        };
        let space = Nb201Space::default();
        let mut journal = Journal::in_memory();
        let stop = |_: &[Trial<Nb201Arch>]| ControlFlow::Break(());
        let stopped =
            search(1).run_with(&space, &mut Random::default(), &slow, &mut journal, stop).unwrap();
        let late =
            Search { budget: Budget { seconds: Some(0.02), ..Budget::trials(40) }, ..search(1) };
        let late = late.run(&space, &mut Random::default(), &slow).unwrap();
        // The first, and what was begun while it was told; not the four that were asked for.
        assert!(stopped.len() < 4 && late.len() < 4, "{} and {}", stopped.len(), late.len());
        assert_eq!(begun.into_inner(), stopped.len() + late.len());
    }
}
