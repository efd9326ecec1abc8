//! Successive halving.

use super::{Seen, Strategy};
use crate::space::Space;
use crate::trial::{Proposal, Trial};
use crate::{Error, Result};
use gtn_core::seed::Rng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Numbers of training steps, each `factor` times the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rungs {
    /// Steps on the lowest rung, at least 1.
    pub least: usize,
    /// Steps on the highest rung, at least `least`.
    pub most: usize,
    /// From one rung to the next, candidates become fewer and steps more by this factor; at least 2.
    pub factor: usize,
}

impl Rungs {
    /// At most four rungs, each of twice as many steps as the one below but for the highest, which has `most`.
    ///
    /// # Errors
    /// [`Error::Setting`] when `most` is 0: without training there is nothing to save.
    pub fn up_to(most: usize) -> Result<Self> {
        if most == 0 {
            return Err(Error::Setting(
                "halving and hyperband spend training steps where they are worth most, so they \
                 need an evaluator that trains: gtn, real or full"
                    .into(),
            ));
        }
        Ok(Self { least: most.div_ceil(8), most, factor: 2 })
    }

    /// Steps of each rung, from the lowest.
    pub(super) fn steps(&self) -> Vec<usize> {
        let factor = self.factor.max(2);
        let below =
            std::iter::successors(Some(self.least.max(1)), |steps| steps.checked_mul(factor));
        below.take_while(|&steps| steps < self.most).chain([self.most]).collect()
    }
}

/// Judges many candidates after a few steps, the best half of them after twice as many, and so on
/// (Jamieson & Talwalkar, arXiv 1502.07943). After one such bracket comes the next.
///
/// Rungs are climbed together: a candidate goes up once all of its rung are judged. While the last of
/// a rung are under way, the next bracket is begun, so that no worker waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Halving<A> {
    /// The numbers of steps.
    pub rungs: Rungs,
    brackets: Brackets<A>,
    seen: Seen,
}

impl<A> Halving<A> {
    /// Halving on these rungs. A bracket starts with so many candidates that one reaches the top.
    pub fn new(rungs: Rungs) -> Self {
        Self { rungs, brackets: Brackets::default(), seen: Seen::default() }
    }
}

impl<S: Space> Strategy<S> for Halving<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        self.brackets.ask(|| {
            let steps = self.rungs.steps();
            let factor = self.rungs.factor.max(2);
            let count = factor.saturating_pow(steps.len() as u32 - 1);
            Bracket::draw(space, count, &steps, factor, &mut self.seen, rng)
        })
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        self.brackets.tell(trial);
    }
}

/// Brackets under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Brackets<A> {
    /// By the number of the bracket, oldest first.
    open: VecDeque<(usize, Bracket<A>)>,
    begun: usize,
    /// The bracket of each candidate under way.
    pending: VecDeque<usize>,
}

impl<A> Default for Brackets<A> {
    fn default() -> Self {
        Self { open: VecDeque::new(), begun: 0, pending: VecDeque::new() }
    }
}

impl<A: Clone> Brackets<A> {
    /// How many were begun.
    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    /// The next candidate of the oldest bracket that has one; of a `fresh` bracket where none has.
    pub(super) fn ask(&mut self, fresh: impl FnOnce() -> Bracket<A>) -> Option<Proposal<A>> {
        let asked = self.open.iter_mut().find_map(|(number, b)| Some((*number, b.ask()?)));
        let (number, proposal) = match asked {
            Some(asked) => asked,
            None => {
                let mut bracket = fresh();
                let proposal = bracket.ask()?;
                self.open.push_back((self.begun, bracket));
                self.begun += 1;
                (self.begun - 1, proposal)
            }
        };
        self.pending.push_back(number);
        Some(proposal)
    }

    pub(super) fn tell(&mut self, trial: &Trial<A>) {
        let number = self.pending.pop_front();
        for (of, bracket) in &mut self.open {
            if Some(*of) == number {
                bracket.tell(trial);
            }
        }
        self.open.retain(|(_, bracket)| !bracket.is_over());
    }
}

/// Candidates that climb the rungs together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bracket<A> {
    /// Steps of this rung and of those above; none: it is over.
    rungs: VecDeque<usize>,
    factor: usize,
    /// Candidates to be judged on this rung.
    waiting: VecDeque<A>,
    pending: usize,
    /// Candidates told on this rung, those that failed included.
    told: usize,
    judged: Vec<(A, f64)>,
}

impl<A: Clone> Bracket<A> {
    /// A bracket of `count` candidates; of fewer where the space has no more.
    pub(super) fn draw<S: Space<Arch = A>>(
        space: &S,
        count: usize,
        steps: &[usize],
        factor: usize,
        seen: &mut Seen,
        rng: &mut Rng,
    ) -> Self {
        let waiting = (0..count).map_while(|_| seen.fresh(space, || space.sample(rng))).collect();
        let rungs = steps.iter().copied().collect();
        Self { rungs, factor, waiting, pending: 0, told: 0, judged: Vec::new() }
    }

    fn ask(&mut self) -> Option<Proposal<A>> {
        let steps = *self.rungs.front()?;
        let arch = self.waiting.pop_front()?;
        self.pending += 1;
        Some(Proposal::new(arch).after(steps))
    }

    fn tell(&mut self, trial: &Trial<A>) {
        self.pending -= 1;
        self.told += 1;
        self.judged.extend(trial.score().map(|score| (trial.arch.clone(), score)));
        if self.pending > 0 || !self.waiting.is_empty() {
            return;
        }
        self.rungs.pop_front();
        let promoted = (self.told / self.factor).max(1);
        // The sort is stable: of equals, who was asked for first goes first.
        self.judged.sort_by(|a, b| b.1.total_cmp(&a.1));
        if !self.rungs.is_empty() {
            self.waiting = self.judged.drain(..).take(promoted).map(|(arch, _)| arch).collect();
        }
        self.judged.clear();
        self.told = 0;
    }

    fn is_over(&self) -> bool {
        self.pending == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Budget, Search};
    use crate::space::nb201::{Nb201Arch, Nb201Space};
    use crate::strategy::tests::tell;

    #[test]
    fn rungs_end_at_the_most() {
        let steps = |least, most| Rungs { least, most, factor: 2 }.steps();
        assert_eq!(steps(4, 32), [4, 8, 16, 32]);
        assert_eq!(steps(3, 32), [3, 6, 12, 24, 32]);
        assert_eq!(steps(1, 1), [1]);
        assert!(Rungs::up_to(0).is_err());
        assert_eq!(Rungs::up_to(5).unwrap().steps(), [1, 2, 4, 5]);
        assert_eq!(Rungs::up_to(20).unwrap().steps(), [3, 6, 12, 20]);
        assert_eq!(Rungs::up_to(128).unwrap().steps(), [16, 32, 64, 128]);
    }

    /// Three of eight fail, and still half of the eight go up.
    #[test]
    fn as_many_climb_where_some_fail() {
        let space = Nb201Space::default();
        let mut halving = Halving::new(Rungs { least: 4, most: 32, factor: 2 });
        let steps: Vec<usize> = (0..15u64)
            .map(|number| {
                let mut rng = gtn_core::seed::Seed(number).rng();
                let Proposal { arch, steps } = halving.ask(&space, &mut rng).unwrap();
                let steps = steps.unwrap();
                tell(&mut halving, arch, steps, if number < 3 { f64::NAN } else { number as f64 });
                steps
            })
            .collect();
        assert_eq!(steps, [[4; 8].as_slice(), &[8; 4], &[16; 2], &[32]].concat());
    }

    #[test]
    fn the_best_climb() {
        let score = |arch: &Nb201Arch| arch.to_string().matches("conv").count() as f64;
        // One at a time: every rung is told before the next begins.
        let search = Search { budget: Budget::trials(15), ahead: 1, ..Search::default() };
        let mut halving = Halving::new(Rungs { least: 4, most: 32, factor: 2 });
        let trials = search.run(&Nb201Space::default(), &mut halving, &score).unwrap();
        let rung = |steps| {
            let on_it = trials.iter().filter(move |t| t.measured.steps == steps);
            on_it.map(|t| t.score().unwrap()).collect::<Vec<f64>>()
        };
        let mut below = rung(4);
        for (steps, count) in [(8, 4), (16, 2), (32, 1)] {
            below.sort_by(|a, b| b.total_cmp(a));
            below.truncate(count);
            assert_eq!(rung(steps), below, "{steps} steps");
        }
    }
}
