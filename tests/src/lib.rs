//! What the tests that cross crates share.

use candle_core::{DType, Device};
use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
use gtn_core::inner::InnerOptimizer;
use gtn_core::learner::{Architecture, LearnerSpec, Width};
use gtn_core::network::Normalization;
use gtn_core::recipe::{InnerSpec, MetaSpec, OuterSpec, Recipe};
use gtn_core::seed::{Seed, normal};
use gtn_core::teacher::{Curriculum, TeacherSpec};

/// The number of classes of [`Noise`].
pub const CLASSES: usize = 4;

/// The shape of [`Noise`]'s images.
pub const IMAGE: ImageShape = ImageShape { channels: 1, height: 8, width: 8 };

/// Stands for real data: random images whose brightness tells their class.
#[derive(Debug)]
pub struct Noise;

impl Batches for Noise {
    fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
        let labels: Vec<u32> = (0..size).map(|i| (i % CLASSES) as u32).collect();
        let shape = [size, IMAGE.channels, IMAGE.height, IMAGE.width];
        let mut rng = Seed(9).derive("noise", index).rng();
        let images = normal(&shape, DType::F32, &Device::Cpu, &mut rng)?;
        let shift: Vec<f32> = labels.iter().map(|&l| l as f32 - 1.5).collect();
        let shift = candle_core::Tensor::from_vec(shift, (size, 1, 1, 1), &Device::Cpu)?;
        let images = images.broadcast_add(&shift)?;
        Ok(Batch { images, targets: one_hot(&labels, CLASSES, DType::F32, &Device::Cpu)? })
    }
}

/// The first CUDA device, or `None`, with the reason printed.
///
/// `GTN_REQUIRE_CUDA=1` makes a missing device a failure, for machines that should have one.
///
/// # Panics
/// When there is none where one is required.
pub fn cuda_or_skip() -> Option<Device> {
    match gtn_core::device::cuda(0, gtn_core::device::Precision::Single) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("GTN_REQUIRE_CUDA").is_none(), "{error}");
            println!("skipped on CUDA: {error}");
            None
        }
    }
}

/// A recipe that runs in milliseconds.
pub fn tiny_recipe(curriculum: Curriculum, optimizer: InnerOptimizer) -> Recipe {
    Recipe {
        seed: 3,
        iterations: 6,
        learner: LearnerSpec {
            architecture: Architecture::Conv2Fc {
                widths: [Width::Range([4, 18]), Width::Fixed(17), Width::Fixed(9)],
            },
            normalization: Normalization { norm_momentum: 0.3, ..Normalization::default() },
        },
        teacher: TeacherSpec::Generator {
            curriculum,
            noise: 6,
            widths: [12, 17, 16],
            learned_labels: true,
            learned_pixels: curriculum != Curriculum::None,
        },
        inner: InnerSpec { steps: 3, batch: 8, optimizer, lr: 0.05, momentum: 0.5 },
        meta: MetaSpec { batch: 12, every: 2, late: None },
        outer: OuterSpec { clip: 1.0, ..OuterSpec::default() },
    }
}

// The README's examples compile and run as doc tests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
