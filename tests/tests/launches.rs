//! How many launches an inner step takes, counted by the emulated device (`tests/emulated-gpu`), which
//! says at exit what it was asked for: the difference between a run of many steps and one of few.

use candle_core::{DType, Device};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::Params;
use gtn_core::recipe::{InnerSpec, MetaSpec, Recipe};
use gtn_core::seed::{Seed, normal};
use gtn_core::teacher::{Curriculum, TeacherSpec};
use gtn_core::trainer::Trainer;
use gtn_tests::{CLASSES, cuda_or_skip, tiny_recipe};
use std::collections::BTreeMap;
use std::process::Command;

/// As in MNIST; the learner and its batches are smaller than the paper's, which changes no launch.
const IMAGE: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };
const LEARNER: &str = "conv2_fc:16,16,32";
const BATCH: usize = 16;

/// Always one batch, on a device, judged on after every step.
struct OneBatch {
    batch: Batch,
    steps: usize,
}

impl OneBatch {
    fn new(device: &Device, steps: usize) -> Self {
        let shape = [&[BATCH], &IMAGE.dims()[..]].concat();
        let labels: Vec<u32> = (0..BATCH).map(|i| (i % CLASSES) as u32).collect();
        let images = normal(&shape, DType::F32, device, &mut Seed(1).rng()).unwrap();
        let targets = one_hot(&labels, CLASSES, DType::F32, device).unwrap();
        Self { batch: Batch { images, targets }, steps }
    }
}

impl Batches for OneBatch {
    fn batch(&self, _: u64, _: usize) -> gtn_core::Result<Batch> {
        Ok(self.batch.clone())
    }
}

impl Syllabus for OneBatch {
    fn steps(&self) -> usize {
        self.steps
    }

    fn lesson(&mut self, _: usize, _room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        Ok((self.batch.clone(), Rates { lr: 0.01, momentum: 0.5 }))
    }

    fn learn(&mut self, _: usize, _: LessonAdjoint) -> gtn_core::Result<()> {
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        false
    }
}

impl Exam for OneBatch {
    fn batch(&mut self, _: usize) -> gtn_core::Result<Option<Batch>> {
        Ok(Some(self.batch.clone()))
    }
}

/// What makes the images.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Teacher {
    Given,
    Generator,
}

/// Does one meta-iteration that keeps its activations.
fn iterate(teacher: Teacher, steps: usize, device: &Device) {
    let activations = Activations::KeepWithin { bytes: usize::MAX };
    let mut batches = OneBatch::new(device, steps);
    let learner: LearnerSpec = LEARNER.parse().unwrap();
    if teacher == Teacher::Generator {
        let recipe = Recipe {
            learner,
            teacher: TeacherSpec::Generator {
                curriculum: Curriculum::Full,
                noise: 8,
                widths: [32, 16, 16],
                learned_labels: false,
                learned_pixels: false,
            },
            inner: InnerSpec { steps, batch: BATCH, ..InnerSpec::default() },
            meta: MetaSpec { batch: BATCH, every: 1, late: None },
            ..tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd)
        };
        let trainer = Trainer::new(&recipe, IMAGE, CLASSES, device).unwrap();
        trainer.with_activations(activations).step(&batches).unwrap();
    } else {
        let network = learner.network(Seed(0), IMAGE, CLASSES).unwrap();
        let params =
            Params::init(network.params(), DType::F32, device, &mut Seed(1).rng()).unwrap();
        let mut exam = OneBatch::new(device, steps);
        let rule = InnerOptimizer::Sgd;
        meta_gradient(&network, rule, &params, &mut batches, &mut exam, activations).unwrap();
    }
}

/// Asks a process of this test for a run of so many steps.
const RUN: &str = "GTN_COUNTED_STEPS";

#[test]
fn given_images() {
    counted_run(Teacher::Given);
}

#[test]
fn generated_images() {
    counted_run(Teacher::Generator);
}

fn counted_run(teacher: Teacher) {
    let (Ok(steps), Some(device)) = (std::env::var(RUN), cuda_or_skip()) else { return };
    iterate(teacher, steps.parse().unwrap(), &device);
}

/// What the emulated device counted in a run, by name; `None` on another device.
fn counted(teacher: Teacher, steps: usize) -> Option<BTreeMap<String, usize>> {
    let run = if teacher == Teacher::Given { "given_images" } else { "generated_images" };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", run])
        .env(RUN, steps.to_string())
        .env("EMULATED_GPU_REPORT", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8(output.stderr).unwrap();
    let (_, report) = report.split_once("emulated GPU:\n")?;
    let counts = report.lines().filter_map(|line| {
        let (count, name) = line.trim().split_once(' ')?;
        Some((name.split(',').next()?.into(), count.parse().ok()?))
    });
    Some(counts.collect())
}

#[test]
fn a_step_takes_few_launches() {
    if cuda_or_skip().is_none() {
        return;
    }
    for (teacher, most) in [(Teacher::Given, 152), (Teacher::Generator, 226)] {
        let (Some(few), Some(many)) = (counted(teacher, 1), counted(teacher, 3)) else {
            println!("skipped: only the emulated device counts launches");
            return;
        };
        let each = |name: &String, many: &usize| (many - few.get(name).unwrap_or(&0)) / 2;
        let step = many.iter().map(|(name, many)| (name.as_str(), each(name, many)));
        let step: BTreeMap<_, _> = step.filter(|(_, count)| *count > 0).collect();
        println!("a step, {teacher:?}: {step:#?}");
        let launches = step["kernel launches"] + step["cuBLAS calls"];
        assert!(launches <= most, "{launches} launches a step");
    }
}
