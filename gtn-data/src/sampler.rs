use crate::{
    Error, Result,
    random::{Purpose, key, mix},
};

/// Shuffled indices in batches: an endless row of epochs, each a fresh order of all `len` indices,
/// cut into batches of equal size.
///
/// Batch number `i` is a pure function of the seed and `i`, costs time proportional to the batch
/// alone, and needs no memory of earlier batches. A batch may straddle two epochs; within an epoch
/// no index repeats.
///
/// The order is not drawn and stored but computed, by a keyed permutation: a Feistel network (Luby
/// & Rackoff, SIAM J. Comput. 1988) walked until it falls inside the range (Black & Rogaway, CT-RSA
/// 2002).
///
/// ```
/// let sampler = gtn_data::Sampler::new(10, 5, 1)?;
/// let mut epoch = [sampler.batch(0), sampler.batch(1)].concat();
/// epoch.sort();
/// assert_eq!(epoch, (0..10).collect::<Vec<u32>>());
/// # Ok::<(), gtn_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    len: u32,
    batch_size: usize,
    seed: u64,
    half_bits: u32,
}

const ROUNDS: u64 = 8;
/// Below 16 values a half, too few orders can be reached.
const MIN_HALF_BITS: u32 = 4;

impl Sampler {
    /// A sampler of batches of `batch_size` indices below `len`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if either is zero or `len` passes 2³² − 1.
    pub fn new(len: usize, batch_size: usize, seed: u64) -> Result<Self> {
        let Some(len) = u32::try_from(len).ok().filter(|&len| len > 0) else {
            return Err(Error::invalid("images to sample from", "1 to 2³² − 1", len));
        };
        if batch_size == 0 {
            return Err(Error::invalid("batch size", "at least 1", batch_size));
        }
        let bits = u32::BITS - (len - 1).leading_zeros();
        Ok(Self { len, batch_size, seed, half_bits: bits.div_ceil(2).max(MIN_HALF_BITS) })
    }

    /// The indices of batch number `i`.
    pub fn batch(&self, i: u64) -> Vec<u32> {
        let start = i as u128 * self.batch_size as u128;
        let mut epoch = (start / self.len as u128) as u64;
        let mut position = (start % self.len as u128) as u32;
        let mut epoch_key = key(self.seed, Purpose::Shuffle, epoch);
        (0..self.batch_size)
            .map(|_| {
                if position == self.len {
                    position = 0;
                    epoch = epoch.wrapping_add(1);
                    epoch_key = key(self.seed, Purpose::Shuffle, epoch);
                }
                position += 1;
                self.permute(epoch_key, position - 1)
            })
            .collect()
    }

    /// Where `position` goes in the order given by `epoch_key`.
    fn permute(&self, epoch_key: u64, position: u32) -> u32 {
        let mask = (1u64 << self.half_bits) - 1;
        let mut x = position as u64;
        loop {
            let (mut left, mut right) = (x >> self.half_bits, x & mask);
            for round in 0..ROUNDS {
                let scattered = mix(epoch_key ^ (round << 32 | right));
                (left, right) = (right, left ^ (scattered & mask));
            }
            x = left << self.half_bits | right;
            if x < self.len as u64 {
                return x as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_sample_is_refused() {
        assert!(matches!(Sampler::new(0, 4, 0), Err(Error::Invalid { .. })));
        assert!(matches!(Sampler::new(4, 0, 0), Err(Error::Invalid { .. })));
        assert!(matches!(Sampler::new(u32::MAX as usize + 1, 4, 0), Err(Error::Invalid { .. })));
    }

    #[test]
    fn the_end_of_the_stream_is_no_end() {
        assert_eq!(Sampler::new(7, 5, 0).unwrap().batch(u64::MAX).len(), 5);
        assert_eq!(Sampler::new(u32::MAX as usize, 5, 0).unwrap().batch(u64::MAX).len(), 5);
    }

    /// All 24 orders of 4 indices, and all places of index 0 among 1,000, should be about equally
    /// frequent; 60 and 1,200 are far beyond what chance explains (χ² of 23 and 999 degrees).
    #[test]
    fn orders_are_evenly_spread() {
        let sampler = Sampler::new(4, 4, 11).unwrap();
        let mut orders = std::collections::HashMap::new();
        for epoch in 0..24_000 {
            *orders.entry(sampler.batch(epoch)).or_insert(0u32) += 1;
        }
        assert_eq!(orders.len(), 24);
        let chi2: f64 = orders.values().map(|&n| (n as f64 - 1e3).powi(2) / 1e3).sum();
        assert!(chi2 < 60., "χ² {chi2}");

        let sampler = Sampler::new(1_000, 1_000, 12).unwrap();
        let mut places = vec![0u32; 1_000];
        for epoch in 0..20_000 {
            places[sampler.batch(epoch).iter().position(|&i| i == 0).unwrap()] += 1;
        }
        let chi2: f64 = places.iter().map(|&n| (n as f64 - 20.).powi(2) / 20.).sum();
        assert!(chi2 < 1_200., "χ² {chi2}");
    }

    /// In a random order, neighbors are (n + 1) / 3 apart on average, and half of them ascend.
    #[test]
    fn neighbors_are_unrelated() {
        for len in [1_000u32, 4_096, 55_000] {
            let order = Sampler::new(len as usize, len as usize, 5).unwrap().batch(0);
            let pairs = (len - 1) as f64;
            let distance: f64 = order.windows(2).map(|w| w[0].abs_diff(w[1]) as f64).sum();
            let ratio = distance / pairs / ((len + 1) as f64 / 3.);
            assert!((ratio - 1.).abs() < 4. / pairs.sqrt(), "{len}: distance ratio {ratio}");
            let ascents = order.windows(2).filter(|w| w[0] < w[1]).count() as f64 / pairs;
            assert!((ascents - 0.5).abs() < 2. / pairs.sqrt(), "{len}: ascents {ascents}");
        }
    }

    proptest! {
        #[test]
        fn epochs_hold_each_index_once(len in 1usize..2_000, batch_size in 1usize..300, seed: u64) {
            let sampler = Sampler::new(len, batch_size, seed)?;
            let batches = (3 * len).div_ceil(batch_size) as u64;
            let stream: Vec<u32> = (0..batches).flat_map(|i| sampler.batch(i)).collect();
            for epoch in stream.chunks_exact(len).take(3) {
                let mut sorted = epoch.to_vec();
                sorted.sort();
                prop_assert!(sorted.into_iter().eq(0..len as u32));
            }
        }
    }
}
