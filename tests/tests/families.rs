//! A trainer teaches learners of any family, and its checkpoints know which.

use candle_core::Device;
use gtn_core::data::ImageShape;
use gtn_core::inner::InnerOptimizer;
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::network::{Layer, Network, Normalization};
use gtn_core::recipe::Recipe;
use gtn_core::seed::Seed;
use gtn_core::teacher::Curriculum;
use gtn_core::trainer::Trainer;
use gtn_tests::{CLASSES, IMAGE, Noise, tiny_recipe};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Convolutions whose output is added to their input, of a depth that is drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Residual {
    channels: usize,
    deepest: usize,
}

impl LearnerFamily for Residual {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
        let conv = |name: String| Layer::Conv {
            name,
            channels: self.channels,
            kernel: 3.into(),
            stride: 1,
            padding: 1.into(),
        };
        let mut layers = vec![conv("stem".into())];
        for block in 0..seed.derive("depth", 0).rng().random_range(1..=self.deepest) {
            let (input, output) = (format!("in{block}"), format!("out{block}"));
            layers.extend([
                Layer::Mark { value: input.clone() },
                Layer::MeanNorm { name: format!("norm{block}") },
                Layer::LeakyRelu { slope: 0.1 },
                conv(format!("conv{block}")),
                Layer::Mark { value: output.clone() },
                Layer::Sum { of: vec![input, output] },
            ]);
        }
        layers.extend([Layer::GlobalAvgPool {}, Layer::Classifier { name: "fc".into() }]);
        Network::new(&layers, image, classes, Normalization::default())
    }
}

fn recipe(deepest: usize) -> Recipe<Residual> {
    let Recipe { seed, iterations, teacher, inner, meta, outer, .. } =
        tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    let learner = Residual { channels: 5, deepest };
    Recipe { seed, iterations, learner, teacher, inner, meta, outer }
}

fn new(recipe: &Recipe<Residual>) -> Trainer<Residual> {
    Trainer::new(recipe, IMAGE, CLASSES, &Device::Cpu).unwrap()
}

#[test]
fn a_run_on_a_family_goes_on_from_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.safetensors");
    let mut trainer = new(&recipe(3));
    for _ in 0..2 {
        trainer.step(&Noise).unwrap();
    }
    trainer.save(&path).unwrap();
    let mut resumed = Trainer::resume(&recipe(3), IMAGE, CLASSES, &Device::Cpu, &path).unwrap();
    for _ in 0..2 {
        assert_eq!(resumed.step(&Noise).unwrap(), trainer.step(&Noise).unwrap());
    }
}

#[test]
fn a_checkpoint_of_another_family_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.safetensors");
    new(&recipe(3)).save(&path).unwrap();
    let error = Trainer::resume(&recipe(4), IMAGE, CLASSES, &Device::Cpu, &path).unwrap_err();
    assert!(error.to_string().contains("another recipe"), "{error}");

    let other: Recipe<LearnerSpec> = tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    let error = Trainer::resume(&other, IMAGE, CLASSES, &Device::Cpu, &path).unwrap_err();
    assert!(error.to_string().contains("checkpoint.safetensors"), "{error}");
}

/// Some members add up their input until it overflows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Fragile {
    /// How many of a hundred.
    percent: u32,
    varies: bool,
}

impl LearnerFamily for Fragile {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
        let breaks = seed.derive("breaks", 0).rng().random_range(0..100) < self.percent;
        let mut layers = Vec::new();
        for doubling in 0..if breaks { 200 } else { 1 } {
            let value = format!("value{doubling}");
            layers.push(Layer::Mark { value: value.clone() });
            layers.push(Layer::Sum { of: vec![value.clone(), value] });
        }
        layers.push(Layer::Classifier { name: "fc".into() });
        Network::new(&layers, image, classes, Normalization::default())
    }

    fn varies(&self) -> bool {
        self.varies
    }
}

fn fragile(percent: u32, varies: bool) -> Trainer<Fragile> {
    let Recipe { seed, iterations, teacher, inner, meta, outer, .. } =
        tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    let learner = Fragile { percent, varies };
    let recipe = Recipe { seed, iterations, learner, teacher, inner, meta, outer };
    Trainer::new(&recipe, IMAGE, CLASSES, &Device::Cpu).unwrap()
}

#[test]
fn a_learner_that_diverges_gives_way_to_another() {
    let mut trainer = fragile(50, true);
    let diverged: Vec<_> = (0..20).map(|_| trainer.step(&Noise).unwrap().diverged).collect();
    assert!(diverged.contains(&0) && diverged.iter().any(|&n| n > 0), "{diverged:?}");

    let mut same = fragile(50, true);
    let again: Vec<_> = (0..20).map(|_| same.step(&Noise).unwrap().diverged).collect();
    assert_eq!(again, diverged);
    assert_eq!(
        same.learned().flat().to_vec1::<f32>().unwrap(),
        trainer.learned().flat().to_vec1::<f32>().unwrap()
    );
}

#[test]
fn a_training_ends_where_all_learners_diverge_or_all_are_alike() {
    for (percent, varies) in [(100, true), (100, false)] {
        let mut trainer = fragile(percent, varies);
        let error = trainer.step(&Noise).unwrap_err();
        assert!(error.to_string().contains("non-finite"), "{error}");
        assert_eq!(trainer.iteration(), 0);
    }
    let mut alike = fragile(50, false);
    assert!((0..20).any(|_| alike.step(&Noise).is_err()));
}
