//! Seeded streams: every random decision of this crate names its purpose and its number, so that
//! results depend neither on threads nor on what was drawn before.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream of random numbers is for; equal seeds give unrelated streams for unequal purposes.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Holdout = 1,
    Shuffle,
    Augment,
    Digit,
}

/// The finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): a bijection that scatters its
/// input.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A key for number `index` of `purpose` under `seed`.
pub(crate) fn key(seed: u64, purpose: Purpose, index: u64) -> u64 {
    mix(mix(mix(seed) ^ purpose as u64) ^ index)
}

/// The stream of number `index` of `purpose` under `seed`.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(key(seed, purpose, index))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighboring_seeds_purposes_and_numbers_are_told_apart() {
        let purposes = [Purpose::Holdout, Purpose::Shuffle, Purpose::Augment, Purpose::Digit];
        let keys: HashSet<u64> = (0..100)
            .flat_map(|seed| purposes.map(|purpose| (seed, purpose)))
            .flat_map(|(seed, purpose)| (0..100).map(move |index| key(seed, purpose, index)))
            .collect();
        assert_eq!(keys.len(), 40_000);
    }
}
