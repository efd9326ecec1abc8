//! The whole meta-gradient against cases made by plain reverse-over-reverse
//! differentiation in another framework, in f64.
//!
//! Every folder `NAME` with `case.toml` and `case.safetensors` under the folder
//! that `GTN_GOLDEN_DIR` names (default: `../shared/golden` from the workspace's root) is one case.

use candle_core::{DType, Device, Tensor};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::{Batch, ImageShape, one_hot};
use gtn_core::generator::{Generator, GeneratorAt, GeneratorTrace};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::learner::{Architecture, LearnerFamily, LearnerSpec, Width};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::{Network, Normalization, Params};
use gtn_core::seed::Seed;
use gtn_tests::cuda_or_skip;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Case {
    learner: String,
    image: [usize; 3],
    classes: usize,
    widths: [usize; 3],
    steps: usize,
    optimizer: InnerOptimizer,
    bn_momentum: f64,
    intermediate: bool,
    soft_labels: bool,
    generator: bool,
    noise: usize,
    gen_widths: [usize; 3],
}

type Tensors = HashMap<String, Tensor>;

/// The tensors under a prefix, without it.
fn under(tensors: &Tensors, prefix: &str) -> Tensors {
    tensors
        .iter()
        .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_string(), t.clone())))
        .collect()
}

fn labels(t: &Tensor, classes: usize) -> Tensor {
    let labels: Vec<u32> = t
        .to_device(&Device::Cpu)
        .unwrap()
        .to_dtype(DType::U32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    one_hot(&labels, classes, DType::F64, t.device()).unwrap()
}

/// A case's teaching data; collects the gradients under the names of the expected ones.
struct Teaching<'a> {
    case: &'a Case,
    tensors: &'a Tensors,
    generator: Option<GeneratorAt<'a>>,
    /// What the generator keeps of steps.
    kept: BTreeMap<usize, GeneratorTrace>,
    images: Vec<Tensor>,
    gradients: BTreeMap<String, Vec<Tensor>>,
}

impl<'a> Teaching<'a> {
    fn new(case: &'a Case, tensors: &'a Tensors, generator: Option<&'a Generator>) -> Self {
        let generator = generator.map(|generator| {
            let named = under(tensors, "generator/");
            generator.at(Params::from_named(generator.params(), &named).unwrap()).unwrap()
        });
        Self {
            case,
            tensors,
            generator,
            kept: BTreeMap::new(),
            images: Vec::new(),
            gradients: BTreeMap::new(),
        }
    }

    fn of_step(&self, name: &str, step: usize) -> Tensor {
        self.tensors[name].get(step).unwrap()
    }

    fn targets(&self, step: usize) -> Tensor {
        if self.case.soft_labels {
            self.of_step("soft_labels", step)
        } else {
            labels(&self.of_step("labels", step), self.case.classes)
        }
    }

    fn rate(&self, name: &str, step: usize) -> f64 {
        self.of_step(name, step).to_scalar::<f64>().unwrap().exp()
    }

    fn push(&mut self, name: &str, gradient: Tensor) {
        self.gradients.entry(name.to_string()).or_default().push(gradient);
    }
}

impl Syllabus for Teaching<'_> {
    fn steps(&self) -> usize {
        self.case.steps
    }

    fn lesson(&mut self, step: usize, room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        let targets = self.targets(step);
        let images = match &self.generator {
            Some(generator) => {
                let trace = generator.trace(&self.of_step("noise", step), &targets)?;
                let images = trace.images().clone();
                if room.is_left() {
                    self.kept.insert(step, trace);
                }
                images
            }
            None => self.of_step("images", step),
        };
        self.images.push(images.clone());
        let rates =
            Rates { lr: self.rate("log_lr", step), momentum: self.rate("log_momentum", step) };
        Ok((Batch { images, targets }, rates))
    }

    fn learn(&mut self, step: usize, adjoint: LessonAdjoint) -> gtn_core::Result<()> {
        let mut targets = adjoint.targets;
        let noise = self.generator.is_some().then(|| self.of_step("noise", step));
        let fixed = self.targets(step);
        match (&mut self.generator, noise) {
            (Some(generator), Some(noise)) => {
                let trace = match self.kept.remove(&step) {
                    Some(trace) => trace,
                    None => generator.trace(&noise, &fixed)?,
                };
                let share = generator.backward(&trace, &adjoint.images)?;
                targets = targets.map(|t| (t + share.targets).unwrap());
                self.push("noise", share.noise);
            }
            _ => self.push("images", adjoint.images),
        }
        if let Some(targets) = targets {
            self.push("soft_labels", targets);
        }
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        self.case.soft_labels
    }
}

struct RealBatches<'a>(&'a Case, &'a Tensors);

impl Exam for RealBatches<'_> {
    fn batch(&mut self, step: usize) -> gtn_core::Result<Option<Batch>> {
        let Self(case, tensors) = self;
        if !case.intermediate && step + 1 < case.steps {
            return Ok(None);
        }
        Ok(Some(Batch {
            images: tensors["meta_images"].get(step)?,
            targets: labels(&tensors["meta_labels"].get(step)?, case.classes),
        }))
    }
}

/// Everything that `expect/` may name.
fn results(case: &Case, tensors: &Tensors, activations: Activations) -> Tensors {
    let [channels, height, width] = case.image;
    let image = ImageShape { channels, height, width };
    let widths = case.widths.map(Width::Fixed);
    let architecture = match case.learner.as_str() {
        "conv2_fc" => Architecture::Conv2Fc { widths },
        "conv5_gap" => Architecture::Conv5Gap { widths },
        other => panic!("no learner `{other}`"),
    };
    let normalization =
        Normalization { norm_momentum: case.bn_momentum, ..Normalization::default() };
    let spec = LearnerSpec { architecture, normalization };
    let network: Network = spec.network(Seed(0), image, case.classes).unwrap();
    let initial = Params::from_named(network.params(), &under(tensors, "learner/")).unwrap();
    let generator = case
        .generator
        .then(|| Generator::new(case.noise, case.gen_widths, image, case.classes).unwrap());
    let mut teaching = Teaching::new(case, tensors, generator.as_ref());
    let done = meta_gradient(
        &network,
        case.optimizer,
        &initial,
        &mut teaching,
        &mut RealBatches(case, tensors),
        activations,
    )
    .unwrap();

    let mut out = Tensors::new();
    let vector = |v: &[f64]| Tensor::new(v, &Device::Cpu).unwrap();
    out.insert("meta_loss".into(), vector(&[done.meta_loss]));
    out.insert("inner_losses".into(), vector(&done.inner_losses));
    out.insert("images".into(), Tensor::stack(&teaching.images, 0).unwrap());
    for (prefix, params) in [("learner", &done.taught.params), ("buffer", &done.taught.running)] {
        for (name, t) in params.named().unwrap() {
            out.insert(format!("{prefix}/{name}"), t);
        }
    }
    let rate = |name, of: fn(&Rates) -> f64| {
        let by_log = done.rates.iter().enumerate().map(|(t, by)| of(by) * teaching.rate(name, t));
        (format!("grad/{name}"), vector(&by_log.collect::<Vec<_>>()))
    };
    out.extend([rate("log_lr", |by| by.lr), rate("log_momentum", |by| by.momentum)]);
    for (name, mut steps) in teaching.gradients {
        steps.reverse();
        out.insert(format!("grad/{name}"), Tensor::stack(&steps, 0).unwrap());
    }
    let gradient = teaching.generator.as_ref().map(|generator| generator.gradient().unwrap());
    for (name, t) in gradient.iter().flat_map(|g| g.named().unwrap()) {
        out.insert(format!("grad/generator/{name}"), t);
    }
    for (name, t) in done.initial.named().unwrap() {
        out.insert(format!("grad/learner/{name}"), t);
    }
    out
}

fn relative_error(ours: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(ours.elem_count(), expected.elem_count(), "sizes of a result");
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (ours, expected) = (flat(ours), flat(expected));
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut ours.iter().zip(&expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    if size > 0.0 { error / size } else { error }
}

fn folder() -> (PathBuf, bool) {
    match std::env::var_os("GTN_GOLDEN_DIR") {
        Some(dir) => (dir.into(), true),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden"), false),
    }
}

#[test]
fn golden() {
    matches_every_case(&Device::Cpu);
}

#[test]
fn golden_on_cuda() {
    if let Some(device) = cuda_or_skip() {
        matches_every_case(&device);
    }
}

fn matches_every_case(device: &Device) {
    let (dir, asked_for) = folder();
    if !dir.is_dir() {
        assert!(!asked_for, "GTN_GOLDEN_DIR names {}, which is no folder", dir.display());
        println!("skipped: no golden cases at {}; set GTN_GOLDEN_DIR", dir.display());
        return;
    }
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("case.toml").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "no golden case under {}", dir.display());

    let mut failures = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&text).unwrap();
        let tensors =
            candle_core::safetensors::load(folder.join("case.safetensors"), device).unwrap();
        let expected = under(&tensors, "expect/");
        assert!(!expected.is_empty(), "{name} expects nothing");
        for activations in [Activations::Recompute, Activations::KeepWithin { bytes: usize::MAX }] {
            let ours = results(&case, &tensors, activations);
            let mut worst = (0.0f64, String::new());
            for (what, expected) in &expected {
                let error = match ours.get(what) {
                    Some(ours) => relative_error(ours, expected),
                    None => panic!("{name} expects `{what}`, which this test does not compute"),
                };
                if error.is_nan() || error > worst.0 {
                    worst = (error, what.clone());
                }
            }
            println!("{name}: worst relative error {:.2e} ({}), {activations:?}", worst.0, worst.1);
            if worst.0.is_nan() || worst.0 > TOLERANCE {
                failures.push(name.clone());
            }
        }
    }
    assert!(failures.is_empty(), "beyond {TOLERANCE:e}: {failures:?}");
}
