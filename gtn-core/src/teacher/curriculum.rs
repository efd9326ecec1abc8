//! Which of the learned samples enter at which step.

use crate::seed::Seed;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// The paper's four curricula.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curriculum {
    /// Learned noise for each sample of each step, always in the same order.
    #[default]
    Full,
    /// Learned noise; the order of the batches is drawn anew for each learner.
    BatchShuffled,
    /// Learned noise; each batch is drawn from all samples.
    AllShuffled,
    /// Fresh Gaussian noise, nothing of it learned.
    None,
}

impl Curriculum {
    /// The samples in the order in which they are used, each once.
    pub(super) fn order(self, steps: usize, batch: usize, draw: Seed) -> Vec<u32> {
        let mut rng = draw.derive("order", 0).rng();
        let mut samples: Vec<u32> = (0..(steps * batch) as u32).collect();
        match self {
            Self::Full | Self::None => samples,
            Self::BatchShuffled => {
                let mut batches: Vec<&[u32]> = samples.chunks(batch).collect();
                batches.shuffle(&mut rng);
                batches.concat()
            }
            Self::AllShuffled => {
                samples.shuffle(&mut rng);
                samples
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_is_used_once(
            curriculum in prop::sample::select(vec![
                Curriculum::Full, Curriculum::BatchShuffled, Curriculum::AllShuffled,
            ]),
            steps in 1usize..6, batch in 1usize..9, seed: u64,
        ) {
            let order = curriculum.order(steps, batch, Seed(seed));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..(steps * batch) as u32).collect::<Vec<_>>());
            if curriculum == Curriculum::BatchShuffled {
                for batch in order.chunks(batch) {
                    prop_assert!(batch.windows(2).all(|w| w[1] == w[0] + 1));
                }
            }
        }
    }
}
