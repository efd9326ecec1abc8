//! A search in its folder: `search.toml`, `materials.json`, and `trials.jsonl` that grows line by line.

use super::folder::Folder;
use super::identity;
use super::judging::{EvaluatorName, Judging};
use super::materials::Materials;
use crate::config::{AT_ONCE, Config, Layer, SOME, expect_within};
use crate::error::Usage;
use crate::folder_lock::FolderLock;
use crate::interrupt::Interrupt;
use crate::learner::Learner;
use crate::progress::Progress;
use crate::report::words::short;
use anyhow::Result;
use candle_core::Device;
use gtn_core::seed::Seed;
use gtn_nas::Journal;
use gtn_nas::evaluator::Evaluator;
use gtn_nas::search::{Budget, Search};
use gtn_nas::space::{MacroSpace, NetworkSpace, SpaceSpec};
use gtn_nas::strategy::AnyStrategy;
use gtn_nas::trial::{Spent, Trial, best};
use gtn_nas::with_space;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;

/// The configuration's file in the folder.
pub const CONFIG: &str = "search.toml";
/// The trials' file.
pub const TRIALS: &str = "trials.jsonl";

/// Everything that decides what a search finds. How many workers there are decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchConfig {
    /// Seed of all draws.
    pub seed: u64,
    /// Where to search.
    pub space: SpaceSpec,
    /// How to search: one of [`AnyStrategy::NAMES`].
    pub strategy: String,
    /// How candidates are judged.
    pub evaluator: EvaluatorName,
    /// Training steps after which they are; the evaluator's own number if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Candidates under way before the first of them is told to the strategy.
    pub ahead: usize,
    /// When it ends.
    pub budget: Budget,
    /// What candidates are judged with.
    #[serde(flatten)]
    pub judging: Judging,
}

impl Default for SearchConfig {
    /// Regularized evolution in the macro space, by a teacher that is still to be named.
    fn default() -> Self {
        Self {
            seed: 0,
            space: SpaceSpec::Macro(MacroSpace),
            strategy: "evolution".into(),
            evaluator: EvaluatorName::Gtn,
            steps: None,
            ahead: 4,
            budget: Budget::default(),
            judging: Judging::default(),
        }
    }
}

impl Config for SearchConfig {
    fn validate(&self) -> Result<()> {
        let Budget { trials, steps, seconds } = self.budget;
        expect_within([
            ("ahead", Some(self.ahead), AT_ONCE),
            ("steps", self.steps, SOME),
            ("budget.trials", trials, SOME),
            ("budget.steps", steps, SOME),
        ])?;
        if let Some(seconds) = seconds.filter(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(Usage::error(format!("budget.seconds must be above 0, found {seconds}")));
        }
        // Whether the evaluator trains is seen later.
        if let Err(error) = AnyStrategy::<String>::named(&self.strategy, 1) {
            return Err(Usage::error(format!("strategy: {error}")));
        }
        self.judging.validate()
    }

    fn filled(&self) -> Self {
        let budget = Budget { trials: Some(1), steps: Some(1), seconds: Some(1.0) };
        Self { steps: Some(1), budget, judging: self.judging.filled(), ..self.clone() }
    }
}

/// How a search ended.
#[derive(Debug)]
pub struct Searched {
    /// The configuration, with everything settled.
    pub config: SearchConfig,
    /// What was tried.
    pub trials: Vec<Trial<String>>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

/// Searches as `layers` say, in the folder `out`.
///
/// # Errors
/// [`Usage`] for a configuration that cannot be, other errors when another process searches there and for what
/// fails on the way.
pub fn search(
    layers: Vec<Layer>,
    out: &Path,
    resume: bool,
    workers: usize,
    device: Device,
    interrupt: &Interrupt,
) -> Result<Searched> {
    let _lock = FolderLock::take(out)?;
    let folder = Folder::at(out, CONFIG);
    let mut before = None;
    let config = folder.begin(layers, resume, |config: &mut SearchConfig, there| {
        before = Some(there.budget);
        config.budget = there.budget;
        config.judging.relocate(&there.judging);
    })?;
    if let Some(before) = before {
        check_budget(config.budget, before, &folder)?;
    }
    let materials = Materials::open(&config.judging, device)?;
    search_with(&materials, config, &folder, workers, interrupt)
}

/// Searches with materials at hand, in a folder in which this may have begun.
///
/// # Errors
/// As [`search`].
pub fn search_with(
    materials: &Materials,
    mut config: SearchConfig,
    folder: &Folder,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Searched> {
    if config.budget == Budget::default() {
        config.budget = Budget::trials(100);
    }
    let (seed, name) = (Seed(config.seed), config.evaluator);
    // What the command line can get wrong is tried before anything takes time.
    if name == EvaluatorName::Gtn {
        materials.evaluator(name, &config.judging)?;
    }
    interrupt
        .at_once(|| materials.settle(&mut config.judging, &[name], config.space, seed, workers))?;
    let evaluator = materials.evaluator(name, &config.judging)?;
    check_steps(&config, evaluator.steps())?;
    identity::begin(folder, materials, &config)?;
    warn_of_other_learners(&config, materials);

    let trials = with_space!(config.space, space => {
        let evaluator = materials.lowered(name, &space, evaluator.as_ref());
        run(&space, &config, &evaluator, folder, workers, interrupt)
    })?;
    Ok(Searched { interrupted: interrupt.raised(), config, trials })
}

/// Fails where a budget became smaller than what is spent of it already.
fn check_budget(budget: Budget, before: Budget, folder: &Folder) -> Result<()> {
    let done: Vec<Trial<String>> = Journal::read(&folder.file(TRIALS))?;
    let Spent { trials, steps, seconds } = Spent::on(&done);
    let of = |count: Option<usize>| count.map(|count| count as f64);
    for (what, limit, before, spent) in [
        ("trials", of(budget.trials), of(before.trials), trials as f64),
        ("steps", of(budget.steps), of(before.steps), steps as f64),
        ("seconds", budget.seconds, before.seconds, seconds),
    ] {
        if let Some(limit) = limit.filter(|limit| Some(*limit) != before && *limit < spent) {
            return Err(Usage::error(format!(
                "{} has done {spent:.0} {what} already, so that it cannot end after {limit}; ask for more, or choose another --out",
                folder.path().display()
            )));
        }
    }
    Ok(())
}

/// Tells when the teacher was not trained to teach what is searched.
fn warn_of_other_learners(config: &SearchConfig, materials: &Materials) {
    let Some(trained) = &materials.trained else { return };
    let learner = &trained.config.recipe.learner;
    let is_its_own = matches!(learner, Learner::Space(learners) if learners.space == config.space);
    if config.evaluator == EvaluatorName::Gtn && !is_its_own {
        tracing::warn!(
            "the teacher {} was trained with learners {learner}, not with those of the space {space}, which it may rank badly; \
             one trained with --set learner.space={space} ranks them better",
            trained.run.path().display(),
            space = config.space
        );
    }
}

/// Fails where evaluator, strategy and number of steps do not go together.
fn check_steps(config: &SearchConfig, own: usize) -> Result<()> {
    let evaluator = config.evaluator;
    match config.steps {
        Some(steps) if own == 0 => {
            return Err(Usage::error(format!(
                "steps: the evaluator {evaluator} does not train, so it takes no steps, found {steps}"
            )));
        }
        Some(steps) if evaluator == EvaluatorName::Gtn && steps > own => {
            return Err(Usage::error(format!(
                "steps: the teacher's curriculum has {own} steps, found {steps}"
            )));
        }
        _ => {}
    }
    let Budget { trials, seconds, steps } = config.budget;
    if own == 0 && steps.is_some() && trials.is_none() && seconds.is_none() {
        return Err(Usage::error(format!(
            "budget.steps: the evaluator {evaluator} does not train, so this search would never end; give --trials or --max-seconds"
        )));
    }
    let strategy = AnyStrategy::<String>::named(&config.strategy, config.steps.unwrap_or(own));
    strategy.map_err(|error| Usage::error(format!("strategy: {error}")))?;
    Ok(())
}

fn run<S: NetworkSpace>(
    space: &S,
    config: &SearchConfig,
    evaluator: &impl Evaluator<S::Arch>,
    folder: &Folder,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Vec<Trial<String>>> {
    let steps = config.steps.unwrap_or(evaluator.steps());
    let mut strategy = AnyStrategy::named(&config.strategy, steps)?;
    let mut journal: Journal<Trial<S::Arch>> = folder.journal(TRIALS)?;
    let search = Search {
        seed: Seed(config.seed),
        workers,
        ahead: config.ahead,
        steps: config.steps,
        budget: config.budget,
    };
    let before = journal.entries().count();
    let mut meter = Meter::new(config.budget, journal.entries());
    let trials = search.run_with(space, &mut strategy, evaluator, &mut journal, |trials| {
        meter.show(trials);
        if interrupt.raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if trials.len() == before && !interrupt.raised() {
        tracing::info!(
            "{}: nothing was left to try, the budget being spent or every architecture known; ask for more trials, steps or seconds to go on",
            folder.path().display()
        );
    }
    let named = |trial: &Trial<S::Arch>| Trial {
        trial: trial.trial,
        arch: trial.arch.to_string(),
        measured: trial.measured.clone(),
        elapsed: trial.elapsed,
    };
    Ok(trials.iter().map(named).collect())
}

/// Progress by that part of the budget which is set: trials, steps or seconds.
struct Meter {
    budget: Budget,
    spent: Spent,
    progress: Progress,
}

impl Meter {
    /// What is in the journal was spent before.
    fn new<'a, A: 'a>(budget: Budget, journal: impl Iterator<Item = &'a Trial<A>>) -> Self {
        let seconds = budget.seconds.map(|seconds| seconds.ceil() as usize);
        let total = budget.trials.or(budget.steps).or(seconds).unwrap_or(0);
        let before = of_limit(budget, Spent::on(journal));
        Self {
            budget,
            spent: Spent::default(),
            progress: Progress::new("searching", total, before),
        }
    }

    fn show<A: Display>(&mut self, trials: &[Trial<A>]) {
        let Some(last) = trials.last() else { return };
        self.spent = self.spent.and(last);
        let done = of_limit(self.budget, self.spent);
        let incumbent = best(trials).map(|trial| {
            format!("best {} {}", short(trial.score().unwrap_or(f64::NAN)), trial.arch)
        });
        self.progress.reach(done, &incumbent.unwrap_or_default());
    }
}

/// How much was spent of that part of a budget which is set.
fn of_limit(budget: Budget, spent: Spent) -> usize {
    match budget {
        Budget { trials: Some(_), .. } => spent.trials,
        Budget { steps: Some(_), .. } => spent.steps,
        _ => spent.seconds as usize,
    }
}
