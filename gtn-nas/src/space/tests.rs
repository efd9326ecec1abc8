//! What all spaces have in common.

use super::*;
use crate::with_space;
use candle_core::{DType, Device, Tensor};
use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
use gtn_core::learner::{Architecture, LearnerSpec};
use gtn_core::network::{Network, Normalization};
use gtn_core::recipe::{InnerSpec, MetaSpec, Recipe};
use gtn_core::seed::{Seed, normal};
use gtn_core::teacher::TeacherSpec;
use gtn_core::trainer::Trainer;
use proptest::prelude::*;

const CLASSES: usize = 3;

struct Noise(ImageShape);

impl Batches for Noise {
    fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
        let [c, h, w] = self.0.dims();
        let images = normal(&[size, c, h, w], DType::F32, &Device::Cpu, &mut Seed(index).rng())?;
        let labels: Vec<u32> = (0..size as u32).map(|i| i % CLASSES as u32).collect();
        Ok(Batch { images, targets: one_hot(&labels, CLASSES, DType::F32, &Device::Cpu)? })
    }
}

fn text(text: &str) -> SpaceSpec {
    text.parse().unwrap()
}

fn spaces() -> impl Strategy<Value = SpaceSpec> {
    prop::sample::select(vec![
        text("macro"),
        text("cell:nodes=1,channels=2"),
        text("cell:nodes=4,channels=3"),
        text("nb201:channels=2"),
    ])
}

/// What must hold of an architecture, however it came about.
fn sound<S: Space>(space: &S, arch: &S::Arch) {
    let json = serde_json::to_string(arch).unwrap();
    assert_eq!(json, format!("\"{arch}\""), "serialized as its text");
    assert_eq!(&serde_json::from_str::<S::Arch>(&json).unwrap(), arch);
    let code = space.encode(arch);
    let length = space.encode(&space.sample(&mut Seed(0).rng())).len();
    assert_eq!(code.len(), length);
    assert!(code.iter().all(|number| (0.0..=1.0).contains(number)), "{code:?}");
}

fn relatives<S: Space>(space: &S, seed: u64) -> S::Arch {
    let mut rng = Seed(seed).rng();
    let mut arch = space.sample(&mut rng);
    sound(space, &arch);
    for _ in 0..8 {
        let child = space.mutate(&arch, &mut rng);
        sound(space, &child);
        assert_ne!(child, arch);
        assert_ne!(space.encode(&child), space.encode(&arch), "{arch} and {child}");
        let mate = space.sample(&mut rng);
        arch = space.crossover(&child, &mate, &mut rng);
        sound(space, &arch);
        assert_eq!(space.crossover(&mate, &mate, &mut rng), mate);
    }
    arch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn relatives_of_architectures_are_sound(space in spaces(), seed: u64) {
        with_space!(space, space => drop(relatives(&space, seed)));
    }
}

/// Builds, takes a learning step and a meta-gradient through two of them.
fn trains(space: &impl NetworkSpace, seed: u64, image: ImageShape) {
    let arch = relatives(space, seed);
    let layers = space.layers(&arch);
    Network::new(&layers, image, CLASSES, Normalization::default()).unwrap();
    let recipe = Recipe {
        learner: LearnerSpec {
            architecture: Architecture::Custom { layers },
            normalization: Normalization::default(),
        },
        teacher: TeacherSpec::Pixels { learned_labels: true },
        inner: InnerSpec { steps: 2, batch: 3, ..InnerSpec::default() },
        meta: MetaSpec { batch: 3, every: 1, late: None },
        ..Recipe::default()
    };
    let mut trainer = Trainer::new(&recipe, image, CLASSES, &Device::Cpu).unwrap();
    let before: Tensor = trainer.learned().flat().clone();
    let done = trainer.step(&Noise(image)).unwrap();
    assert!(done.meta_loss.is_finite(), "{arch}");
    let moved = (trainer.learned().flat() - before).unwrap().abs().unwrap().sum_all().unwrap();
    assert!(moved.to_scalar::<f32>().unwrap() > 0.0, "{arch}: the teacher learns something");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_architecture_trains_and_meta_differentiates(
        space in spaces(), seed: u64,
        channels in 1usize..3, (height, width) in (1usize..10, 1usize..10),
    ) {
        let image = ImageShape { channels, height, width };
        with_space!(space, space => trains(&space, seed, image));
    }
}
