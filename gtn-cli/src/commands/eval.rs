//! `gtn eval`: what the teacher is worth against real data.

use crate::comparison::{compare, judge};
use crate::config::{Config, Layer, RunConfig};
use crate::learner::Learner;
use crate::output;
use crate::records::{Accuracy, Eval, Judgment, Split, Tuned};
use crate::report::words::{fine_percent, short};
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
    let trained = Trained::open(&args.run, args.data.as_deref(), device)?;
    trained.expect_own_images()?;
    let own = &trained.config.recipe.learner;
    let other = args.learner.as_deref().map(|spec| learner(spec, own)).transpose()?;
    let (learner, learners) = (other.as_ref().unwrap_or(own), args.learners.into());
    if args.split != Split::Test {
        let judgment = judge(&trained, learner, learners, args.split)?;
        return output::print(&if args.json {
            serde_json::to_string(&judgment)? + "\n"
        } else {
            describe_one(&judgment)
        });
    }
    let eval = compare(&trained, learner, learners)?;
    // Shown before it is kept: a folder that cannot be written must not cost the result.
    output::print(&if args.json {
        serde_json::to_string(&eval.summary())? + "\n"
    } else {
        describe(&eval)
    })?;
    // The report is about the run's own learners.
    if other.is_none() { keep(&trained, &eval) } else { Ok(()) }
}

/// Writes `eval.json` into the run folder.
///
/// # Errors
/// When it cannot be written.
pub fn keep(trained: &Trained, eval: &Eval) -> Result<()> {
    let text = serde_json::to_string_pretty(eval)? + "\n";
    write_whole(&trained.run.eval(), text.as_bytes())
}

/// A learner from a preset's name, normalized as the run's `own` are, or from the `[learner]` table of a TOML file.
fn learner(spec: &str, own: &Learner) -> Result<Learner> {
    let path = Path::new(spec);
    if path.is_file() {
        let layer = Layer::file(path)?.section("learner");
        return Ok(RunConfig::load(&[layer])?.recipe.learner);
    }
    let learner = spec.parse::<Learner>().map_err(|error| {
        Usage::error(format!(
            "--learner {spec}: {error}; or give a search space, or a TOML file with a [learner] table"
        ))
    })?;
    Ok(learner.normalized(own.normalization()))
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
        "{}\nReal data with learning rate {} and momentum {}, which did best on the validation split.\n",
        output::table(&rows),
        short(eval.real.lr),
        short(eval.real.momentum)
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
    [name.into(), fine_percent(mean), fine_percent(std), n.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use gtn_core::network::Normalization;

    #[test]
    fn other_learners_are_normalized_as_the_runs_own() {
        let normalization = Normalization { norm_momentum: 0.5, weight_norm: false };
        let own = Learner::default().normalized(normalization);
        for spec in ["conv2_fc:4,5,6", "macro"] {
            let other = learner(spec, &own).unwrap();
            assert_eq!((other.to_string(), other.normalization()), (spec.into(), normalization));
        }
        assert!(learner("micro", &own).unwrap_err().is::<Usage>());
    }
}
