//! Whole meta-iterations on a CUDA device, where there is one, against the CPU.

use candle_core::{DType, Device, Tensor};
use gtn_core::activations::Activations;
use gtn_core::data::{Batch, Batches};
use gtn_core::inner::InnerOptimizer;
use gtn_core::recipe::OuterOptimizer;
use gtn_core::teacher::Curriculum;
use gtn_core::trainer::{Iteration, Trainer};
use gtn_data::{Augment, digits};
use gtn_tests::{CLASSES, IMAGE, Noise, cuda_or_skip, tiny_recipe};

/// [`Noise`] on a device.
struct NoiseOn<'a>(&'a Device);

impl Batches for NoiseOn<'_> {
    fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
        let Batch { images, targets } = Noise.batch(index, size)?;
        Ok(Batch { images: images.to_device(self.0)?, targets: targets.to_device(self.0)? })
    }
}

fn bits(learned: &Tensor) -> Vec<u32> {
    learned.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

fn close(what: &str, ours: f64, expected: f64) {
    assert!(
        (ours - expected).abs() <= 1e-4 * expected.abs(),
        "{what}: {ours}, expected {expected}"
    );
}

#[test]
fn a_meta_iteration_is_that_of_the_cpu() {
    let Some(device) = cuda_or_skip() else { return };
    for (curriculum, optimizer) in [
        (Curriculum::Full, InnerOptimizer::Sgd),
        (Curriculum::AllShuffled, InnerOptimizer::RmsProp),
        (Curriculum::None, InnerOptimizer::Adam),
    ] {
        let recipe = tiny_recipe(curriculum, optimizer);
        let first = |device: &Device| -> Iteration {
            let mut trainer = Trainer::new(&recipe, IMAGE, CLASSES, device).unwrap();
            trainer.step(&NoiseOn(device)).unwrap()
        };
        let (ours, expected) = (first(&device), first(&Device::Cpu));
        close("meta-loss", ours.meta_loss, expected.meta_loss);
        close("inner loss", ours.inner_loss, expected.inner_loss);
        close("norm of the meta-gradient", ours.gradient_norm, expected.gradient_norm);
    }
}

#[test]
fn runs_repeat_to_the_bit_and_checkpoints_move_between_devices() {
    let Some(device) = cuda_or_skip() else { return };
    let mut recipe = tiny_recipe(Curriculum::BatchShuffled, InnerOptimizer::Sgd);
    recipe.outer.optimizer = OuterOptimizer::Muon;
    let run = |activations| {
        let trainer = Trainer::new(&recipe, IMAGE, CLASSES, &device).unwrap();
        let mut trainer = trainer.with_activations(activations);
        for _ in 0..3 {
            trainer.step(&NoiseOn(&device)).unwrap();
        }
        trainer
    };
    let trainer = run(Activations::Recompute);
    let again = run(Activations::KeepWithin { bytes: usize::MAX });
    assert!(bits(trainer.learned().flat()) == bits(again.learned().flat()));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    trainer.save(&path).unwrap();
    for device in [&device, &Device::Cpu] {
        let mut resumed = Trainer::resume(&recipe, IMAGE, CLASSES, device, &path).unwrap();
        assert!(bits(resumed.learned().flat()) == bits(trainer.learned().flat()));
        assert_eq!(resumed.step(&NoiseOn(device)).unwrap().iteration, 4);
    }
}

#[test]
fn batches_of_a_data_set_are_those_of_the_cpu() {
    let Some(device) = cuda_or_skip() else { return };
    let digits = digits::generate(digits::Sizes { train: 30, validation: 0, test: 5 }, 3).unwrap();
    let augment = Augment { pad: 3, flip: true, cutout: 5 };
    let batch = |device: &Device| {
        let split = digits.train().to_device(device, DType::F32).unwrap();
        let batches = split.shuffled(8, 1).unwrap().augmented(augment).unwrap();
        let batch = batches.batch(5).unwrap();
        let [images, labels] = [batch.images, batch.labels].map(|t| t.flatten_all().unwrap());
        (images.to_vec1::<f32>().unwrap(), labels.to_vec1::<u32>().unwrap())
    };
    let ((ours, labels), (expected, expected_labels)) = (batch(&device), batch(&Device::Cpu));
    assert_eq!(labels, expected_labels);
    for (ours, expected) in ours.iter().zip(&expected) {
        // Multiplied and added in one rounding or in two.
        assert!((ours - expected).abs() < 1e-5, "{ours}, expected {expected}");
    }
}
