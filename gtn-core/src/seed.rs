//! Named streams of random numbers: every draw of a run comes from its seed,
//! a name and an index, so that no draw depends on which came before it.

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator behind all draws.
pub type Rng = Xoshiro256PlusPlus;

/// A run's seed, from which independent streams are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the `index`-th thing called `name`.
    pub fn derive(self, name: &str, index: u64) -> Seed {
        // FNV-1a over all bytes: `SeedableRng::seed_from_u64` mixes the bits afterwards.
        let bytes = self.0.to_le_bytes().into_iter().chain(name.bytes()).chain(index.to_le_bytes());
        Seed(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// A generator that starts at this seed.
    pub fn rng(self) -> Rng {
        Rng::seed_from_u64(self.0)
    }
}

/// Standard normal numbers, in a tensor of this shape.
pub fn normal(
    shape: &[usize],
    dtype: DType,
    device: &Device,
    rng: &mut Rng,
) -> crate::Result<Tensor> {
    let data: Vec<f32> = StandardNormal.sample_iter(rng).take(shape.iter().product()).collect();
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

/// Numbers drawn evenly from `−bound` to `bound`.
pub(crate) fn uniform(count: usize, bound: f32, rng: &mut Rng) -> Vec<f32> {
    let range =
        Uniform::new_inclusive(-bound, bound).expect("the bound is finite and not negative");
    range.sample_iter(rng).take(count).collect()
}
