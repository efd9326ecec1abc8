//! `gtn search rank`: the best of a search, trained for long.
//!
//! The validation split chooses the winner; only the winner then meets the test split.

use super::folder::Folder;
use super::identity;
use super::judging::{EvaluatorName, Judging, Tuning};
use super::materials::Materials;
use super::search::{CONFIG, SearchConfig, TRIALS};
use crate::config::Layer;
use crate::fingerprint;
use crate::folder_lock::FolderLock;
use crate::progress::Progress;
use crate::records::{Accuracy, Split};
use crate::report::words::fine_percent;
use crate::run_dir::write_whole;
use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use gtn_core::seed::Seed;
use gtn_nas::evaluator::{Exam, judge};
use gtn_nas::space::NetworkSpace;
use gtn_nas::trial::{Measurement, Trial, ranked};
use gtn_nas::{Entry, Journal, side_by_side, with_space};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

/// Finished trainings.
pub const TRAININGS: &str = "ranking.jsonl";
/// The result.
pub const RANKING: &str = "ranking.json";

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The best of the search that are trained, at least 1.
    pub top: usize,
    /// Steps of each training; as many as the search's configuration says if `None`.
    pub steps: Option<usize>,
    /// Fresh networks of the winner that are trained and tested, at least 1.
    pub learners: usize,
}

/// The result: `ranking.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Steps of each training.
    pub steps: usize,
    /// From the best on the validation split to the worst.
    pub candidates: Vec<Ranked>,
    /// Test accuracy of fresh networks of the first.
    pub test: Accuracy,
}

/// A candidate that was trained for long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The architecture.
    pub arch: String,
    /// Its score in the search.
    pub searched: f64,
    /// Validation accuracy after the training, 0 to 1; none if it failed, which `ranking.jsonl` has the reason of.
    pub validation: Option<f64>,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Training {
    arch: String,
    judged_on: Split,
    /// The number of the fresh network, from 0.
    learner: usize,
    /// Digest of [what else](settings) it depends on.
    settings: String,
    #[serde(flatten)]
    measured: Measurement,
}

/// What tells trainings apart, and decides what is drawn in one: neither the plan that it is part of, nor which
/// were done before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TrainingKey {
    arch: String,
    judged_on: Split,
    learner: usize,
    steps: usize,
}

impl TrainingKey {
    fn seed(&self, search: Seed) -> Seed {
        let split = search.derive("ranking", 0).derive(self.judged_on.name(), self.learner as u64);
        split.derive(&self.arch, self.steps as u64)
    }
}

impl fmt::Display for TrainingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arch, judged_on, learner, steps } = self;
        write!(
            f,
            "{learner} of {arch} for {steps} steps, judged on the {} split,",
            judged_on.name()
        )
    }
}

impl Entry for Training {
    const WHAT: &str = "training";

    type Key = TrainingKey;

    fn key(&self) -> TrainingKey {
        TrainingKey {
            arch: self.arch.clone(),
            judged_on: self.judged_on,
            learner: self.learner,
            steps: self.measured.steps,
        }
    }
}

/// Trains the best of the search in `out`. Trainings that were finished before, whatever plan they were part of, are
/// not done again. `layers` may say where teacher and data lie now.
///
/// # Errors
/// [`crate::error::Usage`] when there is no search, or `layers` say anything else; other errors when another process
/// writes there and for what fails on the way.
pub fn rank(
    out: &Path,
    layers: Vec<Layer>,
    plan: Plan,
    workers: usize,
    device: Device,
) -> Result<Ranking> {
    let folder = Folder::at(out, CONFIG);
    folder.expect_begun()?;
    let _lock = FolderLock::take(out)?;
    let mut config = folder.begin(layers, true, |config: &mut SearchConfig, there| {
        config.judging.relocate(&there.judging);
    })?;
    let trials: Vec<Trial<String>> = Journal::read(&folder.file(TRIALS))?;
    let trials = best_first(&trials);
    ensure!(!trials.is_empty(), "{}: no candidate of the search has a score yet", out.display());
    let materials = Materials::open(&config.judging, device)?;
    identity::keep(&folder, &materials)?;
    let seed = Seed(config.seed);
    let names = [EvaluatorName::Full];
    materials.settle(&mut config.judging, &names, config.space, seed, workers)?;
    // What was found about learning rates need not be found again.
    folder.write(&config)?;
    if let Some(steps) = plan.steps {
        config.judging.full.steps = steps;
    }
    with_space!(config.space, space => {
        Session { space, folder, config, materials, workers }.run(&trials, plan)
    })
}

/// The digest of how trainings go, but for their length, and are judged: those of different settings must not compete.
fn settings(judging: &Judging) -> Result<String> {
    let mut judging =
        Judging { run: None, data: None, tuning: Tuning::default(), ..judging.clone() };
    judging.full.steps = 0;
    Ok(fingerprint::of_parts([toml::to_string(&judging)?.as_bytes()]))
}

/// The scored trials from the best to the worst, each architecture once.
fn best_first(trials: &[Trial<String>]) -> Vec<&Trial<String>> {
    let mut seen = BTreeSet::new();
    let mut ranked = ranked(trials);
    ranked.retain(|trial| seen.insert(trial.arch.as_str()));
    ranked
}

struct Session<S> {
    space: S,
    folder: Folder,
    config: SearchConfig,
    materials: Materials,
    workers: usize,
}

impl<S: NetworkSpace> Session<S> {
    fn run(&self, trials: &[&Trial<String>], plan: Plan) -> Result<Ranking> {
        let top = &trials[..trials.len().min(plan.top)];
        let mut journal: Journal<Training> = self.folder.journal(TRAININGS)?;
        let mut progress = Progress::new("training for long", top.len() + plan.learners, 0);
        let steps = self.config.judging.full.steps;
        let key = |arch: &str, judged_on, learner| TrainingKey {
            arch: arch.to_owned(),
            judged_on,
            learner,
            steps,
        };

        let validated = top.iter().map(|trial| key(&trial.arch, Split::Validation, 0));
        let validated: Vec<TrainingKey> = validated.collect();
        let validation = self.materials.validation();
        self.train(&validated, validation, &mut journal, &mut progress)?;
        let trained = top.iter().zip(&validated).map(|(trial, key)| Ranked {
            arch: trial.arch.clone(),
            searched: trial.score().unwrap_or(f64::NAN),
            validation: journal.entry(key).and_then(|training| training.measured.score()),
        });
        let mut candidates: Vec<Ranked> = trained.collect();
        // The sort is stable: of equals, the better in the search goes first.
        candidates.sort_by(|a, b| {
            let of = |ranked: &Ranked| ranked.validation.unwrap_or(f64::NEG_INFINITY);
            of(b).total_cmp(&of(a))
        });
        if candidates[0].validation.is_none() {
            let lr = self.config.judging.full_rates().map_or(f64::NAN, |rates| rates.lr);
            let first = journal.entry(&validated[0]);
            let reason = first.and_then(|training| training.measured.failure()).unwrap_or_default();
            bail!(
                "all {} trainings failed, the first for this reason: {reason}; if they diverged, remove {} and try a full.lr below {lr} in {}",
                candidates.len(),
                self.folder.file(TRAININGS).display(),
                self.folder.file(CONFIG).display()
            );
        }

        let winner = &candidates[0].arch;
        let tested = (0..plan.learners).map(|learner| key(winner, Split::Test, learner));
        let tested: Vec<TrainingKey> = tested.collect();
        self.train(&tested, &self.materials.test()?, &mut journal, &mut progress)?;
        let score = |key| journal.entry(key).and_then(|training| training.measured.score());
        // A network whose training failed classifies nothing rightly.
        let scores: Vec<f64> = tested.iter().map(|key| score(key).unwrap_or(0.0)).collect();
        let ranking = Ranking { steps, candidates, test: Accuracy::of(&scores) };
        let text = serde_json::to_string_pretty(&ranking)? + "\n";
        write_whole(&self.folder.file(RANKING), text.as_bytes())?;
        Ok(ranking)
    }

    /// Does those of these trainings, which are judged by `exam`, that the journal does not have already.
    fn train(
        &self,
        wanted: &[TrainingKey],
        exam: &Exam,
        journal: &mut Journal<Training>,
        progress: &mut Progress,
    ) -> Result<()> {
        let full = self.materials.full(&self.config.judging, exam)?;
        let lowered = self.materials.lowered(EvaluatorName::Full, &self.space, &full);
        let settings = settings(&self.config.judging)?;
        for there in wanted.iter().filter_map(|key| journal.entry(key)) {
            if there.settings != settings {
                let message = format!(
                    "trained with other settings than {CONFIG} has now; remove {TRAININGS} to train all anew"
                );
                return Err(journal.wrong(there, message).into());
            }
        }
        let (known, left): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|&key| journal.entry(key).is_some());
        known.iter().for_each(|_| progress.known());
        let failed = side_by_side(
            self.workers,
            left,
            |&key| -> Result<Training> {
                let seed = key.seed(Seed(self.config.seed));
                let arch = serde_json::from_value(key.arch.as_str().into()).with_context(|| {
                    format!(
                        "{}: the search's space has no {}",
                        self.folder.file(TRIALS).display(),
                        key.arch
                    )
                })?;
                let measured = judge(&lowered, &arch, &[key.steps], seed).remove(0);
                let TrainingKey { arch, judged_on, learner, .. } = key.clone();
                Ok(Training { arch, judged_on, learner, settings: settings.clone(), measured })
            },
            |_, training| {
                let done = training.and_then(|training| {
                    journal.append(&training)?;
                    let score = training.measured.score();
                    Ok(score.map_or("failed".to_owned(), fine_percent))
                });
                match done {
                    Ok(message) => {
                        progress.step(&message);
                        ControlFlow::Continue(())
                    }
                    Err(error) => ControlFlow::Break(error),
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }
}
