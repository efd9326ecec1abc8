//! What is compared: cases, and the inputs that both sides load.

use anyhow::{Context, Result};
use candle_core::{DType, Device, IndexOp, Tensor};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gtn_core::data::{Batch, ImageShape, one_hot};
use gtn_core::inner::Rates;
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::network::{Network, Params};
use gtn_core::seed::{Rng, Seed, normal};
use std::collections::HashMap;
use std::path::Path;

/// What an iteration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Inner steps, the meta-loss on a real batch after the last, and its gradient by the
    /// images, the learning rate and the momentum of every step.
    Meta,
    /// The same with a meta-loss after every step, always on the same real batch; their sum counts.
    MetaEvery,
    /// Inner steps only: ordinary training.
    Plain,
}

impl Task {
    /// The peer's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::MetaEvery => "meta-every",
            Self::Plain => "plain",
        }
    }

    /// The mean learning rate.
    fn lr(self) -> f32 {
        match self {
            // Fast learning amplifies differences in rounding: at the rate below, a
            // meta-gradient through 32 steps differs by 6e-2 between single and double precision.
            Self::Meta | Self::MetaEvery => 0.002,
            Self::Plain => 0.02,
        }
    }
}

/// One row of the comparison.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) task: Task,
    /// Name of the learner's preset.
    pub(super) learner: &'static str,
    widths: &'static str,
    image: ImageShape,
    batch: usize,
    /// Inner steps of an iteration.
    pub(super) steps: usize,
    /// For GPUs only: too slow elsewhere, or too large, where the peer keeps the graph of all steps.
    pub(super) gpu: bool,
}

const GRAY: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };
const COLOR: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };
const PAPER: &str = "64,128,256";
const SMALL: &str = "16,32,64";

#[rustfmt::skip]
static CASES: [Case; 9] = [
    Case { name: "conv2_fc-paper-T8", task: Task::Meta, learner: "conv2_fc", widths: PAPER, image: GRAY, batch: 128, steps: 8, gpu: false },
    Case { name: "conv2_fc-paper-T32", task: Task::Meta, learner: "conv2_fc", widths: PAPER, image: GRAY, batch: 128, steps: 32, gpu: false },
    Case { name: "conv2_fc-paper-T32-every", task: Task::MetaEvery, learner: "conv2_fc", widths: PAPER, image: GRAY, batch: 128, steps: 32, gpu: true },
    Case { name: "conv2_fc-small-T16", task: Task::Meta, learner: "conv2_fc", widths: SMALL, image: GRAY, batch: 64, steps: 16, gpu: false },
    Case { name: "conv5_gap-paper-T8", task: Task::Meta, learner: "conv5_gap", widths: PAPER, image: COLOR, batch: 128, steps: 8, gpu: false },
    Case { name: "conv5_gap-paper-T32", task: Task::Meta, learner: "conv5_gap", widths: PAPER, image: COLOR, batch: 128, steps: 32, gpu: true },
    Case { name: "conv2_fc-paper-plain", task: Task::Plain, learner: "conv2_fc", widths: PAPER, image: GRAY, batch: 128, steps: 8, gpu: false },
    Case { name: "conv2_fc-small-plain", task: Task::Plain, learner: "conv2_fc", widths: SMALL, image: GRAY, batch: 64, steps: 16, gpu: false },
    Case { name: "conv5_gap-paper-plain", task: Task::Plain, learner: "conv5_gap", widths: PAPER, image: COLOR, batch: 128, steps: 8, gpu: false },
];

const CLASSES: usize = 10;

/// Decides the inputs, among them the learner's first weights.
pub(super) const SEED: Seed = Seed(0);

impl Case {
    /// All cases, in the order of the table.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        CASES.iter()
    }

    /// Reads a case's name on the command line.
    pub(super) fn parser() -> impl TypedValueParser<Value = &'static Self> {
        PossibleValuesParser::new(Self::all().map(|case| case.name)).map(|name| {
            Self::all().find(|case| case.name == name).expect("clap lets only these names through")
        })
    }

    /// The learner.
    pub(super) fn network(&self) -> Result<Network> {
        let spec: LearnerSpec = format!("{}:{}", self.learner, self.widths).parse()?;
        Ok(spec.network(SEED, self.image, CLASSES)?)
    }

    /// Writes the inputs.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        candle_core::safetensors::save(&self.inputs()?, file)
            .with_context(|| format!("the case could not be written to {}", file.display()))
    }

    fn inputs(&self) -> Result<HashMap<String, Tensor>> {
        let network = self.network()?;
        // For the peer to start from.
        let first = network.first_params(SEED, &Device::Cpu)?;
        let mut inputs: HashMap<_, _> = first
            .named()?
            .into_iter()
            .map(|(name, value)| (format!("learner/{name}"), value))
            .collect();

        let mut rng = SEED.derive("images", 0).rng();
        // One step more than there are: its batch is the real one.
        let samples = (self.steps + 1) * self.batch;
        let labels: Vec<i64> = (0..samples).map(|i| (i % CLASSES) as i64).collect();
        let labels = Tensor::from_vec(labels, (self.steps + 1, self.batch), &Device::Cpu)?;
        let images = self.images(&labels, &mut rng)?;
        inputs.insert("images".into(), images.i(..self.steps)?);
        inputs.insert("labels".into(), labels.i(..self.steps)?);
        inputs.insert("meta_images".into(), images.i(self.steps)?);
        inputs.insert("meta_labels".into(), labels.i(self.steps)?);

        // Unlike from step to step, so that a mix-up of steps shows in the comparison.
        let spread = |from: f32, to: f32| -> Result<Tensor> {
            let values = (0..self.steps).map(|t| from + (to - from) * t as f32 / self.steps as f32);
            Ok(Tensor::from_vec(values.collect(), self.steps, &Device::Cpu)?)
        };
        let lr = self.task.lr();
        inputs.insert("lr".into(), spread(1.5 * lr, 0.5 * lr)?);
        inputs.insert("momentum".into(), spread(0.4, 0.7)?);
        Ok(inputs)
    }

    /// Each class has a pattern of its own under noise: something to learn, so that
    /// gradients are no mere sums of noise, in which rounding would weigh too much.
    fn images(&self, labels: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let (steps, batch) = labels.dims2()?;
        let shape = |first: usize| [&[first][..], &self.image.dims()].concat();
        let patterns = normal(&shape(CLASSES), DType::F32, &Device::Cpu, rng)?;
        let noise = normal(&shape(steps * batch), DType::F32, &Device::Cpu, rng)?;
        let images = (noise + patterns.index_select(&labels.flatten_all()?, 0)?)?;
        Ok(images.reshape([&[steps, batch][..], &self.image.dims()].concat())?)
    }
}

/// A case's inputs, read back.
pub(super) struct Inputs {
    /// The learner's first parameters.
    pub(super) first: Params,
    /// What each step learns from, and how.
    pub(super) lessons: Vec<(Batch, Rates)>,
    /// The real batch.
    pub(super) real: Batch,
}

impl Inputs {
    /// Reads what [`Case::write`] wrote.
    pub(super) fn load(
        case: &Case,
        network: &Network,
        file: &Path,
        device: &Device,
    ) -> Result<Self> {
        let tensors = candle_core::safetensors::load(file, device)
            .with_context(|| format!("the case {} could not be read", file.display()))?;
        let get = |name: &str| {
            tensors.get(name).with_context(|| {
                format!("{} has no tensor `{name}`: is it a case of this version?", file.display())
            })
        };
        let learner: HashMap<_, _> = tensors
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix("learner/")?.to_string(), t.clone())))
            .collect();
        let lr = get("lr")?.to_vec1::<f32>()?;
        let momentum = get("momentum")?.to_vec1::<f32>()?;
        let lessons = (0..case.steps)
            .map(|t| {
                let batch = batch(get("images")?.i(t)?, &get("labels")?.i(t)?)?;
                Ok((batch, Rates { lr: lr[t].into(), momentum: momentum[t].into() }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            first: Params::from_named(network.params(), &learner)?,
            lessons,
            real: batch(get("meta_images")?.clone(), get("meta_labels")?)?,
        })
    }
}

fn batch(images: Tensor, labels: &Tensor) -> Result<Batch> {
    let labels: Vec<u32> = labels.to_vec1::<i64>()?.into_iter().map(|label| label as u32).collect();
    let targets = one_hot(&labels, CLASSES, DType::F32, images.device())?;
    Ok(Batch { images, targets })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let case = Case { batch: 6, steps: 3, ..CASES[2] };
        let file = std::env::temp_dir().join(format!("xtask-case-{}", std::process::id()));
        case.write(&file).unwrap();
        let network = case.network().unwrap();
        let inputs = Inputs::load(&case, &network, &file, &Device::Cpu).unwrap();
        std::fs::remove_file(&file).unwrap();

        let written = case.inputs().unwrap();
        let vec = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(vec(&inputs.lessons[1].0.images), vec(&written["images"].i(1).unwrap()));
        assert_eq!(vec(&inputs.real.images), vec(&written["meta_images"]));
        let weight = inputs.first.get("conv2.weight").unwrap();
        assert_eq!(vec(&weight), vec(&written["learner/conv2.weight"]));
        assert!(inputs.lessons[1].1.lr < inputs.lessons[0].1.lr);
        let rows = inputs.real.targets.sum(1).unwrap();
        assert_eq!(vec(&rows), [1.0; 6]);
    }

    #[test]
    fn names_tell_the_case() {
        for case in Case::all() {
            assert!(case.name.starts_with(case.learner), "{}", case.name);
            let end = match case.task {
                Task::Meta => format!("-T{}", case.steps),
                Task::MetaEvery => format!("-T{}-every", case.steps),
                Task::Plain => "-plain".into(),
            };
            assert!(case.name.ends_with(&end), "{}", case.name);
        }
    }
}
