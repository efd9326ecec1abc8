//! `gtn eval`: what the teacher is worth against real data.

use crate::comparison::{compare, judge};
use crate::config::{Config, Layer, RunConfig};
use crate::learner::Learner;
use crate::output;
use crate::records::{Accuracy, Eval, Judgment, Split, Tuned};
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
    trained.expect_own_images()?;
    let (learner, learners) = (learner.as_ref(), args.learners.into());
    output::print(&if args.split == Split::Test {
        let eval = evaluate(&trained, learner, learners)?;
        if args.json { serde_json::to_string(&eval.summary())? + "\n" } else { describe(&eval) }
    } else {
        let own = &trained.config.recipe.learner;
        let judgment = judge(&trained, learner.unwrap_or(own), learners, args.split)?;
        if args.json { serde_json::to_string(&judgment)? + "\n" } else { describe_one(&judgment) }
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
    let Tuned { mean, std, n, .. } = eval.real;
    let rows = [
        header(eval.steps, Split::Test),
        row("synthetic data", eval.synthetic),
        row("real data", Accuracy { mean, std, n }),
    ];
    format!(
        "{}\nReal data with learning rate {:.3} and momentum {}, which did best on the validation split.\n",
        output::table(&rows),
        eval.real.lr,
        eval.real.momentum
    )
}

fn describe_one(judgment: &Judgment) -> String {
    let Judgment { steps, split, synthetic } = *judgment;
    output::table(&[header(steps, split), row("synthetic data", synthetic)]) + "\n"
}

fn header(steps: usize, split: Split) -> [String; 4] {
    let judged = format!("{} accuracy", split.name());
    [format!("after {steps} steps on"), judged, "std".into(), "learners".into()]
}

fn row(name: &str, Accuracy { mean, std, n }: Accuracy) -> [String; 4] {
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    [name.into(), percent(mean), percent(std), n.to_string()]
}
