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
        layers.extend([Layer::GlobalAvgPool, Layer::Classifier { name: "fc".into() }]);
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
