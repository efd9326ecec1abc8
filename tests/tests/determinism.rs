//! The same seed gives the same bytes: for any number of threads, whether or
//! not activations are kept, and across a stop in between.

use candle_core::Device;
use gtn_core::activations::Activations;
use gtn_core::inner::InnerOptimizer;
use gtn_core::recipe::{LateSpec, OuterOptimizer};
use gtn_core::teacher::Curriculum;
use gtn_core::trainer::Trainer;
use gtn_tests::{CLASSES, IMAGE, Noise, tiny_recipe};
use std::path::Path;

fn new(curriculum: Curriculum, optimizer: InnerOptimizer) -> Trainer {
    Trainer::new(&tiny_recipe(curriculum, optimizer), IMAGE, CLASSES, &Device::Cpu).unwrap()
}

fn run(mut trainer: Trainer, iterations: usize) -> Trainer {
    for _ in 0..iterations {
        trainer.step(&Noise).unwrap();
    }
    trainer
}

fn bytes(trainer: &Trainer, dir: &Path) -> Vec<u8> {
    let path = dir.join("checkpoint.safetensors");
    trainer.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let results: Vec<_> = [1, 2, 3, 7]
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bytes(&run(new(Curriculum::Full, InnerOptimizer::Sgd), 3), dir.path()))
        })
        .into();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn kept_activations_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let with = |activations| {
        let trainer = new(Curriculum::Full, InnerOptimizer::Adam).with_activations(activations);
        bytes(&run(trainer, 3), dir.path())
    };
    let recomputed = with(Activations::Recompute);
    assert_eq!(recomputed, with(Activations::KeepWithin { bytes: usize::MAX }));
    // A budget that ends somewhere on the way.
    assert_eq!(recomputed, with(Activations::KeepWithin { bytes: 300_000 }));
}

#[test]
fn a_resumed_run_ends_as_if_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    for curriculum in
        [Curriculum::Full, Curriculum::BatchShuffled, Curriculum::AllShuffled, Curriculum::None]
    {
        for optimizer in [InnerOptimizer::Sgd, InnerOptimizer::RmsProp, InnerOptimizer::Adam] {
            let through = bytes(&run(new(curriculum, optimizer), 4), dir.path());
            let path = dir.path().join("half.safetensors");
            run(new(curriculum, optimizer), 2).save(&path).unwrap();
            let recipe = tiny_recipe(curriculum, optimizer);
            let resumed = Trainer::resume(&recipe, IMAGE, CLASSES, &Device::Cpu, &path).unwrap();
            assert_eq!(resumed.iteration(), 2);
            assert!(through == bytes(&run(resumed, 2), dir.path()), "{curriculum:?} {optimizer:?}");
        }
    }
}

#[test]
fn orthogonal_steps_and_a_late_meta_loss_give_the_same_bytes_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut recipe = tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    recipe.outer.optimizer = OuterOptimizer::Muon;
    recipe.meta.late = Some(LateSpec { share: 0.5, batch: 20 });
    let new = || Trainer::new(&recipe, IMAGE, CLASSES, &Device::Cpu).unwrap();
    let through = bytes(&run(new(), 5), dir.path());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap();
    assert!(through == pool.install(|| bytes(&run(new(), 5), dir.path())));
    for stop in [2, 4] {
        let path = dir.path().join("stopped.safetensors");
        run(new(), stop).save(&path).unwrap();
        let resumed = Trainer::resume(&recipe, IMAGE, CLASSES, &Device::Cpu, &path).unwrap();
        assert!(through == bytes(&run(resumed, 5 - stop), dir.path()), "stopped after {stop}");
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.safetensors");
    let whole = bytes(&new(Curriculum::Full, InnerOptimizer::Sgd), dir.path());
    let recipe = tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    for end in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        let error = Trainer::resume(&recipe, IMAGE, CLASSES, &Device::Cpu, &path).unwrap_err();
        assert!(error.to_string().contains("checkpoint.safetensors"), "{error}");
    }
    std::fs::write(&path, &whole).unwrap();
    let other = tiny_recipe(Curriculum::None, InnerOptimizer::Sgd);
    let error = Trainer::resume(&other, IMAGE, CLASSES, &Device::Cpu, &path).unwrap_err();
    assert!(error.to_string().contains("another recipe"), "{error}");
}

#[test]
fn a_failed_meta_iteration_names_its_step_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut recipe = tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    recipe.inner.lr = 1e30;
    let mut trainer = Trainer::new(&recipe, IMAGE, CLASSES, &Device::Cpu).unwrap();
    let before = bytes(&trainer, dir.path());
    let error = trainer.step(&Noise).unwrap_err().to_string();
    assert!(error.contains("non-finite at inner step"), "{error}");
    assert!(error.contains("meta-iteration 1"), "{error}");
    assert!(before == bytes(&trainer, dir.path()));
}
