//! `gtn eval`: what the teacher is worth against real data.

use crate::comparison::compare;
use crate::config::{Config, Layer, RunConfig};
use crate::learner::Learner;
use crate::output;
use crate::records::Eval;
use crate::run_dir::write_whole;
use crate::trained::Trained;
use crate::{args, error::Usage};
use anyhow::Result;
use std::path::Path;

/// Compares and prints the result.
///
/// # Errors
/// When the run or the data cannot be used.
pub fn run(args: &args::Eval) -> Result<()> {
    let device = args.compute.open()?;
    let learner = args.learner.as_deref().map(learner).transpose()?;
    let trained = Trained::open(&args.run, args.data.as_deref(), device)?;
    let eval = evaluate(&trained, learner.as_ref(), args.learners.into())?;
    output::print(&if args.json {
        serde_json::to_string(&eval.summary())? + "\n"
    } else {
        describe(&eval)
    })
}

/// Compares `learners` learners of each kind. The learners are the run's, and `eval.json` is
/// written into the run folder, unless another `learner` is given: the report is about the run's own.
///
/// # Errors
/// When the data cannot be used, or the folder cannot be written.
pub fn evaluate(trained: &Trained, learner: Option<&Learner>, learners: usize) -> Result<Eval> {
    let own = &trained.config.recipe.learner;
    let eval = compare(trained, learner.unwrap_or(own), learners)?;
    if learner.is_none() {
        let text = serde_json::to_string_pretty(&eval)? + "\n";
        write_whole(&trained.run.eval(), text.as_bytes())?;
    }
    Ok(eval)
}

/// A learner from a preset's name, or from the `[learner]` table of a TOML file.
fn learner(spec: &str) -> Result<Learner> {
    let path = Path::new(spec);
    if path.is_file() {
        let layer = Layer::file(path)?.section("learner");
        return Ok(RunConfig::load(&[layer])?.recipe.learner);
    }
    spec.parse().map_err(|error: anyhow::Error| {
        Usage::error(format!(
            "--learner {spec}: {error}; or give a search space, or a TOML file with a [learner] table"
        ))
    })
}

/// The result as a small table.
#[must_use]
pub fn describe(eval: &Eval) -> String {
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    let row = |name: &str, mean: f64, std: f64, n: usize| {
        [name.to_owned(), percent(mean), percent(std), n.to_string()]
    };
    let title = format!("after {} steps on", eval.steps);
    let rows = [
        [&title, "test accuracy", "std", "learners"].map(str::to_owned),
        row("synthetic data", eval.synthetic.mean, eval.synthetic.std, eval.synthetic.n),
        row("real data", eval.real.mean, eval.real.std, eval.real.n),
    ];
    format!(
        "{}\nReal data with learning rate {:.3} and momentum {}, which did best on the validation split.\n",
        output::table(&rows),
        eval.real.lr,
        eval.real.momentum
    )
}
