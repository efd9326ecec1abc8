//! `gtn quickstart`: the whole story on the built-in digits.

use super::train::{Ended, Start, train};
use super::{eval, report};
use crate::args;
use crate::comparison::compare;
use crate::config::{Config, Layer, Override, Preset, RunConfig};
use crate::error::Stopped;
use crate::interrupt::Interrupt;
use crate::output;
use crate::report::words::word;
use crate::trained::Trained;
use anyhow::Result;

/// Learners of each kind that are compared.
const LEARNERS: usize = 5;

/// Trains, compares, reports, and says what to try next. A folder in which this was begun is gone on with.
///
/// # Errors
/// When the folder holds another run, or cannot be written.
pub fn run(args: &args::Quickstart) -> Result<()> {
    let device = args.compute.open()?;
    let mut layers = vec![Preset::DigitsQuickstart.layer()?];
    let mut learners = LEARNERS;
    if args.smoke {
        layers.push(Layer::overrides(&smoke())?);
        learners = 2;
    }
    let interrupt = Interrupt::listen()?;
    let ended = train(RunConfig::load(&layers)?, &args.out, Start::Resume, &device, &interrupt)?;
    drop(interrupt);
    if ended == Ended::Interrupted {
        let smoke = if args.smoke { " --smoke" } else { "" };
        let (out, compute) = (word(args.out.display()), args.compute.words());
        return Err(Stopped::error(format!("gtn quickstart{smoke} --out {out}{compute}")));
    }
    let trained = Trained::open(&args.out, None, device)?;
    let result = compare(&trained, &trained.config.recipe.learner, learners)?;
    eval::keep(&trained, &result)?;
    let page = report::write(&trained)?;
    let out = word(args.out.display());
    output::print(&format!(
        "
{}
Curves and synthetic digits: {}

Next:
  gtn eval {out} --learner conv2_fc:16,32,64      teach larger learners with the same data
  gtn export {out} --format png --out synthetic   write the synthetic digits as images
  gtn train --preset mnist-cpu --data DIR         on MNIST, DIR being the folder of its four files
",
        eval::describe(&result),
        page.display(),
    ))
}

/// What makes the run so short that it only shows that everything works.
fn smoke() -> [Override; 4] {
    [
        Override::new("data.path", "digits:500"),
        Override::new("iterations", 4),
        Override::new("inner.steps", 2),
        Override::new("meta.batch", 32),
    ]
}
