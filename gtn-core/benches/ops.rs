//! The operations at the shapes of the paper's learners: `cargo bench -p gtn-core --bench ops`.

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use gtn_core::ops::{
    AvgPool, ChannelMean, Concat, Conv2d, DepthwiseConv, Kept, LeakyRelu, Linear, LogSoftmax,
    MaxPool, MeanNorm, Op, Padding, Sum, WeightNorm,
};
use gtn_core::seed::{Seed, normal};
use std::hint::black_box;
use std::time::Duration;

// As in the `gtn` binary, which is what the benches stand for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;

fn ops(criterion: &mut Criterion) {
    // As the `gtn` binary does: a caller outside of the pool sleeps and is woken for every loop.
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    pool.build_global().expect("nobody has started threads");
    let conv = |stride| Conv2d { stride, padding: [1; 2] };
    // `conv2_fc`'s two convolutions, and the widest of `conv5_gap` with and without stride.
    bench(criterion, "conv2d/1-64@28", &conv(1), &[&[BATCH, 1, 28, 28], &[64, 1, 3, 3]]);
    bench(criterion, "conv2d/64-128@14", &conv(1), &[&[BATCH, 64, 14, 14], &[128, 64, 3, 3]]);
    bench(criterion, "conv2d/256-256@8", &conv(1), &[&[BATCH, 256, 8, 8], &[256, 256, 3, 3]]);
    bench(criterion, "conv2d/64-128@32-2", &conv(2), &[&[BATCH, 64, 32, 32], &[128, 64, 3, 3]]);

    let map = [BATCH, 64, 28, 28];
    let pool = MaxPool { kernel: 3, stride: 2, padding: Padding::Each(1) };
    bench(criterion, "max_pool", &pool, &[&map]);
    let pool = AvgPool { kernel: 3, stride: 1, padding: Padding::Same };
    bench(criterion, "avg_pool", &pool, &[&map]);
    let conv = DepthwiseConv { stride: 1, padding: [1; 2] };
    bench(criterion, "depthwise_conv", &conv, &[&map, &[64, 1, 3, 3]]);
    bench(criterion, "sum", &Sum, &[&map, &map, &map]);
    bench(criterion, "concat", &Concat, &[&map, &map, &map]);
    bench(criterion, "channel_mean", &ChannelMean, &[&map]);
    bench(criterion, "mean_norm", &MeanNorm { slope: 0.1 }, &[&map, &[64], &[64]]);
    bench(criterion, "leaky_relu", &LeakyRelu { slope: 0.1 }, &[&map]);

    let features = 128 * 7 * 7;
    bench(criterion, "linear", &Linear, &[&[BATCH, features], &[256, features]]);
    bench(criterion, "weight_norm", &WeightNorm, &[&[256, features], &[256]]);
    bench(criterion, "log_softmax", &LogSoftmax, &[&[BATCH, 10]]);
}

/// The four functions of an operation, everything wanted and nothing zero.
fn bench(criterion: &mut Criterion, name: &str, op: &dyn Op, shapes: &[&[usize]]) {
    let mut rng = Seed(0).derive(name, 0).rng();
    let mut draw = |shape: &[usize]| {
        normal(shape, DType::F32, &Device::Cpu, &mut rng).expect("a CPU tensor can be made")
    };
    let args: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
    let dargs: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
    let output = op.shape(shapes).expect("the shapes fit the operation");
    let (gy, dgy) = (draw(&output), draw(&output));
    let args: Vec<&Tensor> = args.iter().collect();
    let dargs: Vec<Option<&Tensor>> = dargs.iter().map(Some).collect();
    let forward = op.forward(&args).expect("the arguments fit the operation");
    let kept = Kept::new(op, &args, &forward);
    let wants = vec![true; args.len()];

    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("forward", |b| b.iter(|| black_box(op.forward(&args))));
    group.bench_function("backward", |b| b.iter(|| black_box(op.backward(&kept, &gy, &wants))));
    group.bench_function("tangent", |b| b.iter(|| black_box(op.tangent(&kept, &dargs))));
    group.bench_function("backward_tangent", |b| {
        b.iter(|| black_box(op.backward_tangent(&kept, &dargs, &gy, Some(&dgy), &wants)))
    });
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = settings(); targets = ops }
criterion_main!(benches);
