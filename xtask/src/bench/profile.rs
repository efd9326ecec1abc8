//! `bench profile`: where the time of a step goes.

use super::case::{Case, Inputs};
use super::{ours, root};
use anyhow::{Context, Result};
use candle_core::Device;
use gtn_cli::batches::{Shuffled, image_shape};
use gtn_cli::config::{Config, Layer, Override, RunConfig};
use gtn_core::activations::Activations;
use gtn_core::trainer::Trainer;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context as Within, Layer as Listener};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Print where the time of a step goes, by operation and pass, as a Markdown table: of the cases of
/// `bench peer`, or of a training with its generator.
///
/// GFLOP/s count the multiplications and additions of the plain algorithm; Winograd's needs
/// fewer, so that its rates may exceed the machine's peak, which is measured first.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Cases; all if none is named
    #[arg(value_parser = Case::parser())]
    cases: Vec<&'static Case>,

    /// Instead, meta-iterations of the training that this configuration describes
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    config: Option<PathBuf>,

    /// Its data set, if not the configuration's
    #[arg(long, value_name = "DIR", requires = "config")]
    data: Option<String>,
}

/// Iterations that are counted, after one that is not.
const ITERATIONS: usize = 3;

/// Rows that take less of the time than this are added up.
const SMALL: f64 = 0.01;

pub(super) fn run(args: &Args) -> Result<()> {
    let costs = Costs::default();
    tracing_subscriber::registry().with(costs.clone()).init();
    let peak = peak();
    println!("Peak of the multiply-add units of all cores: {:.0} GFLOP/s.", peak / 1e9);
    if let Some(config) = &args.config {
        return training(config, args.data.as_deref(), &costs, peak);
    }
    let cases: Vec<_> = match args.cases.as_slice() {
        [] => Case::all().filter(|case| !case.gpu).collect(),
        cases => cases.to_vec(),
    };
    for case in cases {
        let network = case.network()?;
        let file = root().join("target/bench").join(format!("{}.safetensors", case.name));
        std::fs::create_dir_all(root().join("target/bench"))
            .context("target/bench could not be made")?;
        case.write(&file)?;
        let inputs = Inputs::load(case, &network, &file, &Device::Cpu)?;
        ours::iterate(case.task, &network, &inputs)?;
        costs.take();
        let mut ms = 0.0;
        for _ in 0..ITERATIONS {
            ms += ours::iterate(case.task, &network, &inputs)?.0 / ITERATIONS as f64;
        }
        print(case.name, case.steps, ms, &costs.take(), peak);
    }
    Ok(())
}

fn training(file: &Path, data: Option<&str>, costs: &Costs, peak: f64) -> Result<()> {
    let mut layers = vec![Layer::file(file)?];
    if let Some(data) = data {
        layers.push(Layer::overrides(&[Override::new("data.path", data)])?);
    }
    let config = RunConfig::load(&layers)?;
    let dataset = config.data.open()?;
    let (recipe, device) = (config.recipe.clone(), Device::Cpu);
    let steps = recipe.inner.steps;
    let real = Shuffled::training(&config, &dataset, &device)?;
    let classes = dataset.classes().len();
    let mut trainer = Trainer::new(&recipe, image_shape(&dataset), classes, &device)?
        .with_activations(Activations::KeepWithin { bytes: config.run.keep_activations << 20 });
    trainer.step(&real)?;
    costs.take();
    let start = Instant::now();
    for _ in 0..ITERATIONS {
        trainer.step(&real)?;
    }
    let ms = start.elapsed().as_secs_f64() * 1e3 / (ITERATIONS * steps) as f64;
    print(&file.display().to_string(), steps, ms, &costs.take(), peak);
    Ok(())
}

/// Costs of [`ITERATIONS`] of so many steps, each of which took `ms`.
fn print(name: &str, steps: usize, ms: f64, costs: &BTreeMap<Work, Cost>, peak: f64) {
    println!("\n### {name}\n");
    println!("| operation | input | pass | calls a step | ms a step | share | GFLOP/s | of peak |");
    println!("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |");
    let mut rows: Vec<_> = costs.iter().collect();
    rows.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.time));
    let steps = (ITERATIONS * steps) as f64;
    let (mut small, mut small_calls, mut limit) = (0.0, 0.0, 0.0);
    let mut all = 0.0;
    for (work, cost) in rows {
        let step = cost.time.as_secs_f64() * 1e3 / steps;
        let calls = cost.calls as f64 / steps;
        all += step;
        let flops = 2.0 * cost.multiply_adds as f64;
        limit += flops / peak * 1e3 / steps;
        if step < SMALL * ms {
            small += step;
            small_calls += calls;
            continue;
        }
        let rate = flops / cost.time.as_secs_f64();
        let rate = match cost.multiply_adds {
            0 => "| |".to_string(),
            _ => format!("{:.0} | {:.2} |", rate / 1e9, rate / peak),
        };
        println!(
            "| {} | {} | {} | {calls:.1} | {step:.2} | {:.0} % | {rate}",
            work.op,
            work.input,
            work.pass,
            100.0 * step / ms
        );
    }
    println!("| others | | | {small_calls:.1} | {small:.2} | {:.0} % | | |", 100.0 * small / ms);
    println!(
        "| between operations | | | | {:.2} | {:.0} % | | |",
        ms - all,
        100.0 * (ms - all) / ms
    );
    println!("| **a step** | | | | **{ms:.2}** | | | {:.2} |", limit / ms);
}

/// The rate of independent fused multiply-adds in registers, on all cores: FLOP/s.
fn peak() -> f64 {
    struct Spin;
    impl pulp::WithSimd for Spin {
        type Output = (f64, f32);
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> Self::Output {
            const CHAINS: usize = 12;
            const ROUNDS: usize = 4_000_000;
            // Unlike and unknown, so that the compiler cannot make one chain of them.
            let mut sums = [simd.splat_f32s(0.0); CHAINS];
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = simd.splat_f32s(std::hint::black_box(i as f32));
            }
            let (a, b) = std::hint::black_box((0.999, 0.001));
            let (a, b) = (simd.splat_f32s(a), simd.splat_f32s(b));
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = simd.mul_add_f32s(*sum, a, b);
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let lanes = size_of::<S::f32s>() / size_of::<f32>();
            let rest = sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum();
            (2.0 * (ROUNDS * CHAINS * lanes) as f64 / seconds, rest)
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let spin = || {
        let (rate, rest) = pulp::Arch::new().dispatch(Spin);
        std::hint::black_box(rest);
        rate
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(spin)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic in a loop of sums")).sum()
    })
}

/// What is done: the fields of a span of `gtn_core::graph`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    op: String,
    input: String,
    pass: String,
}

/// What it cost, over all calls.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    calls: usize,
    time: Duration,
    multiply_adds: u64,
}

/// Listens to the spans of operations and adds up their times.
#[derive(Debug, Clone, Default)]
struct Costs(Arc<Mutex<BTreeMap<Work, Cost>>>);

impl Costs {
    fn take(&self) -> BTreeMap<Work, Cost> {
        std::mem::take(&mut *self.0.lock().expect("no listener panics"))
    }
}

/// A span under way.
#[derive(Debug, Default)]
struct Call {
    work: Work,
    multiply_adds: u64,
    since: Option<Instant>,
}

impl Visit for Call {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "input" {
            self.work.input = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "op" => self.work.op = value.into(),
            "pass" => self.work.pass = value.into(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "multiply_adds" {
            self.multiply_adds = value;
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Listener<S> for Costs {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Within<'_, S>) -> bool {
        *metadata.level() == Level::TRACE && metadata.target().starts_with("gtn_core::graph")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, within: Within<'_, S>) {
        let mut call = Call::default();
        attributes.record(&mut call);
        if let Some(span) = within.span(id) {
            span.extensions_mut().insert(call);
        }
    }

    fn on_enter(&self, id: &Id, within: Within<'_, S>) {
        if let Some(span) = within.span(id)
            && let Some(call) = span.extensions_mut().get_mut::<Call>()
        {
            call.since = Some(Instant::now());
        }
    }

    fn on_exit(&self, id: &Id, within: Within<'_, S>) {
        let Some(span) = within.span(id) else { return };
        let extensions = span.extensions();
        let Some(call) = extensions.get::<Call>() else { return };
        let mut costs = self.0.lock().expect("no listener panics");
        let cost = costs.entry(call.work.clone()).or_default();
        cost.calls += 1;
        cost.time += call.since.map_or(Duration::ZERO, |since| since.elapsed());
        cost.multiply_adds += call.multiply_adds;
    }
}
