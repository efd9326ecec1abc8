//! Whole meta-iterations and ordinary training steps: `cargo bench -p gtn-core --bench meta_iteration`.
//!
//! Criterion's "elements" are inner steps.

use candle_core::{DType, Device};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::{Batch, ImageShape, one_hot};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::Params;
use gtn_core::seed::{Seed, normal};
use std::hint::black_box;
use std::time::Duration;

// As in the `gtn` binary, which is what the benches stand for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLASSES: usize = 10;
const STEPS: usize = 4;

const GRAY: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };
const COLOR: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

/// The same batch and rates at every step.
struct Constant(Batch);

impl Syllabus for Constant {
    fn steps(&self) -> usize {
        STEPS
    }

    fn lesson(&mut self, _step: usize, _room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        Ok((self.0.clone(), Rates { lr: 0.02, momentum: 0.5 }))
    }

    fn learn(&mut self, _step: usize, _adjoint: LessonAdjoint) -> gtn_core::Result<()> {
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        false
    }
}

impl Exam for Constant {
    fn batch(&mut self, step: usize) -> gtn_core::Result<Option<Batch>> {
        Ok((step + 1 == STEPS).then(|| self.0.clone()))
    }
}

fn meta_iteration(criterion: &mut Criterion) {
    // As the `gtn` binary does: a caller outside of the pool sleeps and is woken for every loop.
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    pool.build_global().expect("nobody has started threads");
    bench(criterion, "conv2_fc:64,128,256", GRAY, 128).expect("the learner fits the images");
    bench(criterion, "conv2_fc:16,32,64", GRAY, 64).expect("the learner fits the images");
    bench(criterion, "conv5_gap:64,128,256", COLOR, 128).expect("the learner fits the images");
}

fn bench(
    criterion: &mut Criterion,
    learner: &str,
    image: ImageShape,
    batch: usize,
) -> gtn_core::Result<()> {
    let network = learner.parse::<LearnerSpec>()?.network(Seed(0), image, CLASSES)?;
    let mut rng = Seed(0).derive(learner, 0).rng();
    let first = Params::init(network.params(), DType::F32, &Device::Cpu, &mut rng)?;
    let shape = [&[batch][..], &image.dims()].concat();
    let images = normal(&shape, DType::F32, &Device::Cpu, &mut rng)?;
    let labels: Vec<u32> = (0..batch).map(|i| (i % CLASSES) as u32).collect();
    let batch = Batch { images, targets: one_hot(&labels, CLASSES, DType::F32, &Device::Cpu)? };

    let mut group = criterion.benchmark_group(learner);
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));
    group.bench_function("plain", |b| b.iter(|| black_box(network.learn(&first, &batch, false))));
    group.throughput(Throughput::Elements(STEPS as u64));
    let mut teaching = Constant(batch.clone());
    let mut judging = Constant(batch);
    for (name, activations) in [
        ("kept", Activations::KeepWithin { bytes: usize::MAX }),
        ("recomputed", Activations::Recompute),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let sgd = InnerOptimizer::Sgd;
                black_box(meta_gradient(
                    &network,
                    sgd,
                    &first,
                    &mut teaching,
                    &mut judging,
                    activations,
                ))
            })
        });
    }
    group.finish();
    Ok(())
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
}

criterion_group! { name = benches; config = settings(); targets = meta_iteration }
criterion_main!(benches);
