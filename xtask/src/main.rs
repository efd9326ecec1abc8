//! Development tasks of the workspace, in plain Rust: `cargo xtask TASK`.
//!
//! | command | does |
//! | --- | --- |
//! | `cargo xtask bench` | Criterion benches of the operations and of whole meta-iterations |
//! | `cargo xtask bench profile` | where the time of a step goes, by operation and pass |
//! | `cargo xtask bench peer` | the same meta-iterations in PyTorch and here, side by side |
//! | `cargo xtask reproduce` | the published results, measured again |
//!
//! # `bench`
//!
//! Runs `gtn-core/benches/`. Whatever follows goes to Criterion: a filter, or a baseline to compare with.
//!
//! ```text
//! cargo xtask bench
//! cargo xtask bench conv2d
//! cargo xtask bench --save-baseline before
//! cargo xtask bench --baseline before
//! ```
//!
//! # `bench peer`
//!
//! Needs Python 3.11 or newer and, the first time, a network: it installs a
//! pinned PyTorch into `target/bench/venv` (about 2.5 GB to download). Then, for each case:
//!
//! 1. The inputs (a learner's first parameters, images and labels of each step, learning rates,
//!    momenta, a real batch) are written to `target/bench/CASE.safetensors`.
//! 2. Two processes load them: `xtask/peer/torch_eager.py` and this program. PyTorch tries
//!    its thread counts and memory formats and takes the fastest; both then do one untimed iteration.
//!    PyTorch runs as its package comes, on the system's allocator; this program, like `gtn`, on its own.
//! 3. They take turns, one iteration each a round, so that whatever else the machine does meets both alike.
//! 4. Their results are compared; a difference that rounding does not explain is an error.
//!
//! The table, also in `target/bench/peer.json`, holds the medians over the rounds of the
//! milliseconds an inner step takes, their ratio (above 1: faster here), the peak resident
//! memory of each process, and the largest ‖a − b‖/‖b‖ over the compared tensors.
//! Close everything else before believing a number.
//!
//! ```text
//! cargo xtask bench peer
//! cargo xtask bench peer --case conv2_fc-paper-T8 --case conv2_fc-paper-plain --rounds 9
//! ```
//!
//! # `bench peer --device cuda`
//!
//! The same on the first GPU, where there are larger cases, too. This program is built again with the feature `cuda`
//! (which needs the CUDA toolkit), and more peers take turns: beside PyTorch eager, with cuDNN's default settings, a step through
//! `torch.compile` (its faster mode) and one jitted function in JAX, where Python has it. A peer that cannot run has a
//! row that says why. An iteration is timed from an idle device to an idle device. Products are in f32 on both
//! sides, or with `--tf32` in TF32 on both. Memory is that of tensors on the device.
//!
//! A machine with a GPU may have neither cargo nor a network. `--pack DIR` writes a folder to take there: this program,
//! the peers' scripts, and `run.sh`, which finds CUDA's libraries in those of PyTorch, measures, and
//! leaves `results/peer-cuda.json`. It takes the options of `bench peer`.
//!
//! ```text
//! cargo xtask bench peer --device cuda
//! cargo xtask bench peer --device cuda --pack DIR
//! DIR/run.sh --tf32 --rounds 9
//! ```
//!
//! # `reproduce`
//!
//! Measures what Such et al. (arXiv 1912.07768) published and writes it to `OUT/TARGET/PROFILE/`:
//!
//! | there | what |
//! | --- | --- |
//! | `README.md` | the published figure beside ours, plots, images, and where every figure comes from |
//! | `*.csv`, `*.svg`, `sheets/*.png` | the figures in numbers, the plots, synthetic images |
//! | `configs/PART.toml` | what each part measured; `gtn train --config` takes those of trainings |
//! | `parts/PART.json` | its result, with commit, machine and wall time |
//! | `runs/PART/` | what it goes on from: a training's run folder with its checkpoint, journals of searches; not for the repository |
//!
//! A part whose result is there is never measured again. A training that was killed goes on from
//! its checkpoint to the same bytes, a search or a sample of architectures from its journal. `OUT/README.md` is put together from all that lies in `OUT`.
//!
//! The profile `cuda` has this program built again with the feature `cuda`, as `bench peer --device cuda` does.
//!
//! A target is a folder in `reproduce/targets/`: what it measures, and how large in each profile (TOML). To add one, add
//! it to the list there.
//!
//! ```text
//! cargo xtask reproduce --list
//! cargo xtask reproduce
//! cargo xtask reproduce mnist-32 --profile cpu --data data
//! cargo xtask reproduce mnist-32 --profile cuda --data data
//! ```

mod bench;
mod cuda_build;
mod reproduce;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;

// As in the `gtn` binary, which is what the benches stand for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Development tasks of the gtn workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Bench(bench::Args),
    Reproduce(reproduce::Args),
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => gtn_cli::error::report(&error),
    }
}

fn run(task: Task) -> Result<()> {
    gtn_cli::allocator::keep_memory();
    gtn_cli::threads::start(None)?;
    match task {
        Task::Bench(args) => bench::run(args),
        Task::Reproduce(args) => reproduce::run(&args),
    }
}

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}
