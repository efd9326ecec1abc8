//! `gtn search`: architectures tried and judged; `gtn search rank`: the best of them trained for long.

use crate::args::{Rank, Search, SearchCommand, SearchOptions};
use crate::error::Stopped;
use crate::interrupt::Interrupt;
use crate::nas::judging::EvaluatorName;
use crate::nas::rank::{Plan, Ranking, rank};
use crate::nas::search::{Searched, search};
use crate::output;
use crate::report::words::{fine_percent, short, word};
use anyhow::{Result, bail};
use gtn_nas::trial::{Spent, Trial, ranked};
use serde::Serialize;
use std::path::Path;

/// Candidates that are shown.
const SHOWN: usize = 5;

/// Searches, or ranks.
///
/// # Errors
/// [`crate::error::Usage`] for what cannot be, other errors for what fails on the way.
pub fn run(args: &Search) -> Result<()> {
    match &args.command {
        Some(SearchCommand::Rank(args)) => run_rank(args),
        None => run_search(&args.options),
    }
}

fn run_search(args: &SearchOptions) -> Result<()> {
    let common = &args.common;
    let device = common.compute.open()?;
    let layers = args.layers()?;
    let interrupt = Interrupt::listen()?;
    let found = search(layers, &args.out, common.resume, common.workers(), device, &interrupt)?;
    output::print(&if common.json {
        serde_json::to_string(&Summary::of(&found))? + "\n"
    } else {
        describe(&found, &args.out)
    })?;
    if found.interrupted {
        let (out, compute) = (word(args.out.display()), common.compute.words());
        return Err(Stopped::error(format!("gtn search --resume --out {out}{compute}")));
    }
    if let Some(first) = found.trials.first().filter(|_| ranked(&found.trials).is_empty()) {
        bail!(
            "no candidate has a score: all {} failed, the first for this reason: {}",
            found.trials.len(),
            first.measured.failure().unwrap_or_default()
        );
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    space: String,
    strategy: &'a str,
    evaluator: EvaluatorName,
    seed: u64,
    trials: usize,
    failed: usize,
    steps: usize,
    seconds: f64,
    best: Option<&'a Trial<String>>,
    top: Vec<&'a Trial<String>>,
}

impl<'a> Summary<'a> {
    fn of(found: &'a Searched) -> Self {
        let Searched { config, trials, .. } = found;
        let (spent, ranked) = (Spent::on(trials), ranked(trials));
        Self {
            space: config.space.to_string(),
            strategy: &config.strategy,
            evaluator: config.evaluator,
            seed: config.seed,
            trials: spent.trials,
            failed: spent.trials - ranked.len(),
            steps: spent.steps,
            seconds: spent.seconds,
            best: ranked.first().copied(),
            top: ranked.into_iter().take(SHOWN).collect(),
        }
    }
}

fn describe(found: &Searched, out: &Path) -> String {
    let summary = Summary::of(found);
    let mut rows = vec![["architecture", "score", "steps", "trial"].map(str::to_owned)];
    for trial in &summary.top {
        rows.push([
            trial.arch.clone(),
            short(trial.score().unwrap_or(f64::NAN)),
            trial.measured.steps.to_string(),
            trial.trial.to_string(),
        ]);
    }
    let failed = match summary.failed {
        0 => String::new(),
        failed => format!(", of which {failed} failed"),
    };
    format!(
        "{} trials{failed}, {} training steps, {:.0} seconds\n\n{}\nNext:\n  gtn search rank {out}\n  gtn report {out}\n",
        summary.trials,
        summary.steps,
        summary.seconds,
        output::table(&rows),
        out = word(out.display()),
    )
}

fn run_rank(args: &Rank) -> Result<()> {
    let device = args.compute.open()?;
    let plan = Plan {
        top: args.top.into(),
        steps: args.steps.map(|steps| steps as usize),
        learners: args.learners.into(),
    };
    let workers = args.compute.workers(args.workers);
    let ranking = rank(&args.search, args.layers()?, plan, workers, device)?;
    output::print(&if args.json {
        serde_json::to_string(&ranking)? + "\n"
    } else {
        describe_ranking(&ranking)
    })
}

fn describe_ranking(ranking: &Ranking) -> String {
    let mut rows = vec![["architecture", "validation", "in the search"].map(str::to_owned)];
    for candidate in &ranking.candidates {
        rows.push([
            candidate.arch.clone(),
            candidate.validation.map_or("failed".to_owned(), fine_percent),
            short(candidate.searched),
        ]);
    }
    let test = &ranking.test;
    format!(
        "After {} steps on real data:\n\n{}\nTest accuracy of the first: {} (standard deviation {}, {} fresh networks)\n",
        ranking.steps,
        output::table(&rows),
        fine_percent(test.mean),
        fine_percent(test.std),
        test.n,
    )
}
