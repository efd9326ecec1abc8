//! A search strategy, a search space and an evaluator, written outside of `gtn-nas`: simulated annealing
//! of bit strings.
//!
//! `cargo run -p annealing`

use gtn_nas::search::{Budget, Search};
use gtn_nas::space::Space;
use gtn_nas::strategy::Strategy;
use gtn_nas::trial::{Proposal, Trial, best};
use gtn_nas::{Rng, Seed};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Walks from neighbor to neighbor: always to a better one, and to a worse one the more rarely the
/// worse and the later it is (Kirkpatrick, Gelatt & Vecchi, Science 1983).
#[derive(Debug, Serialize, Deserialize)]
struct Annealing<A> {
    temperature: f64,
    cooling: f64,
    here: Option<(A, f64)>,
    /// A draw for each candidate under way: all of a strategy's chance is in `ask`.
    luck: VecDeque<f64>,
}

impl<S: Space> Strategy<S> for Annealing<S::Arch> {
    fn ask(&mut self, space: &S, rng: &mut Rng) -> Option<Proposal<S::Arch>> {
        self.luck.push_back(rng.random());
        Some(Proposal::new(match &self.here {
            Some((arch, _)) => space.mutate(arch, rng),
            None => space.sample(rng),
        }))
    }

    fn tell(&mut self, trial: &Trial<S::Arch>) {
        let luck = self.luck.pop_front().unwrap_or(1.0);
        let Some(score) = trial.score() else { return };
        let here = self.here.as_ref().map_or(f64::NEG_INFINITY, |(_, score)| *score);
        if luck < ((score - here) / self.temperature).exp() {
            self.here = Some((trial.arch.clone(), score));
        }
        self.temperature *= self.cooling;
    }
}

/// Strings of so many zeros and ones.
#[derive(Debug)]
struct Bits(usize);

impl Space for Bits {
    type Arch = String;

    fn sample(&self, rng: &mut Rng) -> String {
        (0..self.0).map(|_| if rng.random_bool(0.5) { '1' } else { '0' }).collect()
    }

    fn mutate(&self, parent: &String, rng: &mut Rng) -> String {
        let turned = rng.random_range(0..self.0);
        let turn = |(place, bit)| match (place == turned, bit) {
            (true, '0') => '1',
            (true, _) => '0',
            (false, bit) => bit,
        };
        parent.chars().enumerate().map(turn).collect()
    }

    fn crossover(&self, a: &String, b: &String, rng: &mut Rng) -> String {
        a.chars().zip(b.chars()).map(|(a, b)| if rng.random_bool(0.5) { a } else { b }).collect()
    }

    fn encode(&self, arch: &String) -> Vec<f64> {
        arch.chars().map(|bit| if bit == '1' { 1.0 } else { 0.0 }).collect()
    }
}

/// Wants ones, but pays for neighbors that are alike: a landscape with many hills.
fn score(bits: &str) -> f64 {
    let bits: Vec<char> = bits.chars().collect();
    let ones = bits.iter().filter(|&&bit| bit == '1').count() as f64;
    let alike = bits.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64;
    ones - 0.8 * alike
}

fn search(seed: u64, strategy: &mut impl Strategy<Bits>) -> gtn_nas::Result<Vec<Trial<String>>> {
    let search =
        Search { seed: Seed(seed), workers: 2, budget: Budget::trials(300), ..Search::default() };
    search.run(&Bits(24), strategy, &|bits: &String| score(bits))
}

fn annealing() -> Annealing<String> {
    Annealing { temperature: 2.0, cooling: 0.98, here: None, luck: VecDeque::new() }
}

fn main() -> gtn_nas::Result<()> {
    let trials = search(1, &mut annealing())?;
    if let Some(best) = best(&trials) {
        println!("{} scores {:?} (trial {})", best.arch, best.score(), best.trial);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gtn_nas::strategy::Random;

    #[test]
    fn it_beats_random_search() {
        let mean = |search: &dyn Fn(u64) -> Vec<Trial<String>>| {
            (0..5).filter_map(|seed| best(&search(seed))?.score()).sum::<f64>() / 5.0
        };
        let annealed = mean(&|seed| search(seed, &mut annealing()).unwrap());
        let random = mean(&|seed| search(seed, &mut Random::default()).unwrap());
        assert!(annealed > random + 2.0, "{annealed}, random: {random}");
    }
}
