//! Our side of the comparison: a worker (see [`super::worker`]) in a process of its own.

use super::case::{Case, Inputs, SEED, Task};
use super::place::Place;
use super::worker::PEAK;
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::Batch;
use gtn_core::device::{gpu_name, vector_bits};
use gtn_core::evaluate::teach;
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::Network;
use gtn_core::trainer::{TeachingSet, TeachingStep};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Do iterations of a case on demand, for `bench peer`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The case
    #[arg(value_parser = Case::parser())]
    case: &'static Case,
    /// Its inputs
    inputs: PathBuf,
    /// Where the results go
    results: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) type Results = HashMap<String, Tensor>;

/// Milliseconds that a step took, and what came out.
pub(super) type Iteration = (f64, Results);

pub(super) fn run(args: &Args) -> Result<()> {
    let case = args.case;
    let network = case.network()?;
    let device = args.place.open()?;
    let inputs = Inputs::load(case, &network, &args.inputs, &device)?;
    let (_, mut results) = iterate(case.task, &network, &inputs)?;
    match device {
        Device::Cpu => println!(
            "threads: {}, {}-bit vectors",
            std::thread::available_parallelism()?,
            vector_bits()
        ),
        ref gpu => println!(
            "{}, {}",
            gpu_name(gpu).unwrap_or_else(|| "a GPU".into()),
            args.place.precision()
        ),
    }
    for line in std::io::stdin().lines() {
        if line? == PEAK {
            println!("{}", args.place.peak_mb()?);
            continue;
        }
        let (ms, new) = iterate(case.task, &network, &inputs)?;
        results = new;
        println!("{ms}");
    }
    candle_core::safetensors::save(&results, &args.results)
        .with_context(|| format!("the results could not be written to {}", args.results.display()))
}

/// One iteration: milliseconds a step, and what came out.
pub(super) fn iterate(task: Task, network: &Network, inputs: &Inputs) -> Result<Iteration> {
    match task {
        Task::Meta => meta(network, inputs, false),
        Task::MetaEvery => meta(network, inputs, true),
        Task::Plain => plain(network, inputs),
    }
}

fn meta(network: &Network, inputs: &Inputs, every: bool) -> Result<Iteration> {
    let device = inputs.real.images.device();
    let mut teaching = Teaching { lessons: &inputs.lessons, adjoints: Vec::new() };
    let mut exam =
        Judging { first: if every { 0 } else { inputs.lessons.len() - 1 }, real: &inputs.real };
    // From an idle device to an idle device.
    device.synchronize()?;
    let start = Instant::now();
    let found = meta_gradient(
        network,
        InnerOptimizer::Sgd,
        &inputs.first,
        &mut teaching,
        &mut exam,
        activations(device),
    )?;
    device.synchronize()?;
    let ms = milliseconds(start.elapsed(), inputs.lessons.len());

    teaching.adjoints.reverse();
    let images: Vec<_> = teaching.adjoints.iter().map(|a| a.images.clone()).collect();
    let each = |of: fn(&Rates) -> f64| vector(found.rates.iter().map(of));
    let results = [
        ("meta_loss", vector([found.meta_loss])?),
        ("inner_losses", vector(found.inner_losses.iter().copied())?),
        ("grad/images", Tensor::stack(&images, 0)?),
        ("grad/lr", each(|rates| rates.lr)?),
        ("grad/momentum", each(|rates| rates.momentum)?),
    ];
    Ok((ms, results.map(|(name, value)| (name.to_string(), value)).into()))
}

/// Budgets as in the presets `mnist-cpu` and `mnist-paper`.
fn activations(device: &Device) -> Activations {
    match device {
        Device::Cpu => Activations::default(),
        _ => Activations::KeepWithin { bytes: 6 << 30 },
    }
}

fn plain(network: &Network, inputs: &Inputs) -> Result<Iteration> {
    let steps = inputs.lessons.iter().map(|(batch, rates)| {
        let (batch, rates) = (batch.clone(), *rates);
        TeachingStep { batch, rates }
    });
    let set = TeachingSet { steps: steps.collect(), optimizer: InnerOptimizer::Sgd };
    // From the end of the first step to the end of the last: drawing the learner is no training.
    let device = inputs.real.images.device();
    let (mut first, steps) = (Instant::now(), inputs.lessons.len());
    let taught = teach(network, &set, SEED, &mut |step, _| {
        if step == 1 {
            device.synchronize()?;
            first = Instant::now();
        }
        Ok(())
    })?;
    device.synchronize()?;
    let elapsed = first.elapsed();
    // The change, in which an error of the steps is not hidden by the first weights; of all
    // parameters together, since that of the smallest is hardly more than their rounding.
    let change = inputs.first.with_flat((taught.params.flat() - inputs.first.flat())?);
    let by_name: BTreeMap<_, _> = change.named()?.into_iter().collect();
    let parts =
        by_name.values().map(Tensor::flatten_all).collect::<candle_core::Result<Vec<_>>>()?;
    let results = Results::from([("change".to_string(), Tensor::cat(&parts, 0)?)]);
    Ok((milliseconds(elapsed, steps - 1), results))
}

fn milliseconds(elapsed: Duration, steps: usize) -> f64 {
    elapsed.as_secs_f64() * 1e3 / steps as f64
}

fn vector(values: impl IntoIterator<Item = f64>) -> Result<Tensor> {
    let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
    let len = values.len();
    Ok(Tensor::from_vec(values, len, &Device::Cpu)?)
}

/// Teaches with given batches; collects the adjoints, the last step's first.
struct Teaching<'a> {
    lessons: &'a [(Batch, Rates)],
    adjoints: Vec<LessonAdjoint>,
}

impl Syllabus for Teaching<'_> {
    fn steps(&self) -> usize {
        self.lessons.len()
    }

    fn lesson(&mut self, step: usize, _room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        Ok(self.lessons[step].clone())
    }

    fn learn(&mut self, _step: usize, adjoint: LessonAdjoint) -> gtn_core::Result<()> {
        self.adjoints.push(adjoint);
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        false
    }
}

/// Judges on the same batch after step `first` (from 0) and every later one.
struct Judging<'a> {
    first: usize,
    real: &'a Batch,
}

impl Exam for Judging<'_> {
    fn batch(&mut self, step: usize) -> gtn_core::Result<Option<Batch>> {
        Ok((step >= self.first).then(|| self.real.clone()))
    }
}
