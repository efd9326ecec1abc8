//! `gtn search rank`: the best of a search, trained for long.
//!
//! The validation split chooses the winner; only the winner then meets the test split.

use super::folder::Folder;
use super::judging::EvaluatorName;
use super::materials::Materials;
use super::search::{CONFIG, SearchConfig, TRIALS};
use crate::progress::Progress;
use crate::records::Accuracy;
use crate::run_dir::write_whole;
use anyhow::{Result, bail, ensure};
use candle_core::Device;
use gtn_core::seed::Seed;
use gtn_nas::evaluator::{Exam, judge};
use gtn_nas::space::NetworkSpace;
use gtn_nas::trial::{Measurement, Trial, ranked};
use gtn_nas::{Entry, Journal, side_by_side, with_space};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// Validation accuracy after the training, 0 to 1; none if it diverged.
    pub validation: Option<f64>,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Training {
    number: usize,
    arch: String,
    judged_on: Split,
    #[serde(flatten)]
    measured: Measurement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Split {
    Validation,
    Test,
}

impl Entry for Training {
    const WHAT: &str = "training";

    fn number(&self) -> usize {
        self.number
    }
}

/// Trains the best of the search in `out`, or goes on with that.
///
/// # Errors
/// When there is no search, or the trainings there are of another plan.
pub fn rank(out: &Path, plan: Plan, workers: usize, device: Device) -> Result<Ranking> {
    let folder = Folder::at(out, CONFIG);
    let mut config: SearchConfig = folder.read()?;
    let trials: Vec<Trial<String>> = Journal::read(&folder.file(TRIALS))?;
    let trials = best_first(&trials);
    ensure!(!trials.is_empty(), "{}: no candidate of the search has a score yet", out.display());
    let materials = Materials::open(&config.judging, device)?;
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
        let total = top.len() + plan.learners;
        let mut progress = Progress::new("training for long", total, 0);

        let archs: Vec<&str> = top.iter().map(|trial| trial.arch.as_str()).collect();
        let validation = self.materials.validation();
        self.train(&archs, 0, Split::Validation, validation, &mut journal, &mut progress)?;
        let trained = top.iter().enumerate().map(|(number, trial)| Ranked {
            arch: trial.arch.clone(),
            searched: trial.score().unwrap_or(f64::NAN),
            validation: journal.entry(number).and_then(|training| training.measured.score()),
        });
        let mut candidates: Vec<Ranked> = trained.collect();
        // The sort is stable: of equals, the better in the search goes first.
        candidates.sort_by(|a, b| {
            let of = |ranked: &Ranked| ranked.validation.unwrap_or(f64::NEG_INFINITY);
            of(b).total_cmp(&of(a))
        });
        let winner = candidates[0].arch.clone();
        ensure!(
            candidates[0].validation.is_some(),
            "all {} trainings diverged; try a lower full.lr than {:?} in {}",
            candidates.len(),
            self.config.judging.full_rates().map(|rates| rates.lr),
            self.folder.file(CONFIG).display()
        );

        let again = vec![winner.as_str(); plan.learners];
        let test = self.materials.test()?;
        self.train(&again, top.len(), Split::Test, &test, &mut journal, &mut progress)?;
        let tested = (top.len()..total).map(|n| journal.entry(n).and_then(|t| t.measured.score()));
        // A network that diverged classifies nothing rightly.
        let tested: Vec<f64> = tested.map(Option::unwrap_or_default).collect();
        let steps = self.config.judging.full.steps;
        let ranking = Ranking { steps, candidates, test: Accuracy::of(&tested) };
        let text = serde_json::to_string_pretty(&ranking)? + "\n";
        write_whole(&self.folder.file(RANKING), text.as_bytes())?;
        Ok(ranking)
    }

    /// Trains a fresh network of each architecture, unless the journal has it already; trainings are numbered from
    /// `first` on.
    fn train(
        &self,
        archs: &[&str],
        first: usize,
        judged_on: Split,
        exam: &Exam,
        journal: &mut Journal<Training>,
        progress: &mut Progress,
    ) -> Result<()> {
        let full = self.materials.full(&self.config.judging, exam)?;
        let lowered = self.materials.lowered(EvaluatorName::Full, &self.space, &full);
        let mut left = Vec::new();
        for (index, &arch) in archs.iter().enumerate() {
            let number = first + index;
            match journal.entry(number) {
                None => left.push((number, arch)),
                Some(known)
                    if known.arch == arch
                        && known.judged_on == judged_on
                        && known.measured.steps == full.steps =>
                {
                    progress.known();
                }
                Some(known) => {
                    let path = self.folder.file(TRAININGS);
                    bail!(
                        "{} is of another ranking: training {number} there is of {} for {} steps; remove the file to rank anew",
                        path.display(),
                        known.arch,
                        known.measured.steps
                    );
                }
            }
        }
        let failed = side_by_side(
            self.workers,
            left,
            |&(number, arch)| -> Result<Training> {
                let seed = Seed(self.config.seed).derive("ranking", number as u64);
                let parsed = serde_json::from_value(arch.into())?;
                let measured = judge(&lowered, &parsed, &[full.steps], seed).remove(0);
                Ok(Training { number, arch: arch.to_owned(), judged_on, measured })
            },
            |_, training| {
                let done = training.and_then(|training| {
                    journal.append(&training)?;
                    let score = training.measured.score();
                    Ok(score.map_or("diverged".to_owned(), |s| format!("{:.2} %", 100.0 * s)))
                });
                match done {
                    Ok(message) => {
                        progress.step(&message);
                        ControlFlow::Continue(())
                    }
                    Err(error) => ControlFlow::Break(error),
                }
            },
        );
        failed.map_or(Ok(()), Err)
    }
}
