//! A teacher, trained, and the learners that it teaches.

use super::{Learned, commented, marks};
use crate::reproduce::part::{Bench, Part};
use anyhow::Result;
use gtn_cli::commands::train::{Ended, train_on};
use gtn_cli::comparison::School;
use gtn_cli::config::RunConfig;
use gtn_cli::fingerprint;
use gtn_cli::learner::Learner;
use gtn_cli::progress::Progress;
use gtn_cli::run_dir::{RunDir, write_whole};
use gtn_cli::sheet::Limits;
use gtn_cli::teaching::sheet_png;
use gtn_cli::trained::Trained;
use serde_json::Value;

/// Room for a look at each class, and at steps from the first to the last.
const SHEET: Limits = Limits { rows: 8, columns: 10 };

/// A teacher, trained as `gtn train` does it, and judged as `gtn eval` does.
pub(crate) struct Taught {
    pub(crate) id: String,
    pub(crate) config: RunConfig,
    pub(crate) learners: usize,
    /// Who is judged, where not learners like those that the teacher was trained with.
    pub(crate) judged: Option<Learner>,
    /// Whether a look at what it teaches is kept.
    pub(crate) sheet: bool,
    /// Whether it is measured only where that is asked for.
    pub(crate) long: bool,
}

impl Part for Taught {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> Result<String> {
        let what = match &self.judged {
            None => "Taught by a teacher".to_owned(),
            Some(learner) => format!("Learners {learner}, taught by a teacher"),
        };
        commented(&self.config, self.learners, &marks(&self.config), &what)
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn work(&self) -> f64 {
        (self.config.recipe.iterations * self.config.recipe.inner.steps) as f64
    }

    fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
        let (config, steps) = (&self.config, marks(&self.config));
        let run = RunDir::at(&bench.folder.run(&self.id));
        let folder = run.path().to_owned();
        match train_on(bench.dataset, config.clone(), run, bench.device, bench.interrupt) {
            Ok(Ended::Finished) => {}
            Ok(Ended::Interrupted) => return Ok(None),
            Err(error) => {
                let Some(place) = diverged(&error) else { return Err(error) };
                tracing::warn!("{place}: its learners count as guessing");
                let classes = bench.dataset.classes().len();
                let learned = Learned::guessing(steps, self.learners, classes, place);
                return Ok(Some(serde_json::to_value(learned)?));
            }
        }
        let trained = Trained::on(&folder, bench.dataset, bench.device)?;
        if self.sheet {
            let shown = trained.teaching_set(trained.seed("sheet", 0))?;
            write_whole(&bench.folder.sheet(&self.id), &sheet_png(&shown, SHEET)?)?;
        }
        let learner = self.judged.as_ref().unwrap_or(&config.recipe.learner);
        let school = School::open(config, learner, bench.dataset, bench.device)?;
        let school = school.judging_after(steps.clone());
        let mut progress = Progress::new("judging", self.learners, 0);
        let mut learners = Vec::new();
        for index in 0..self.learners as u64 {
            if bench.interrupt.raised() {
                return Ok(None);
            }
            learners.push(school.taught(&trained, index)?);
            progress.step("");
        }
        let teacher = Some(fingerprint::of_teacher(&trained.run)?);
        let learned = Learned { steps, learners, tuned: None, teacher, diverged: None };
        Ok(Some(serde_json::to_value(learned)?))
    }
}

/// Where something became infinite, if that is what went wrong.
fn diverged(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref() {
        Some(gtn_core::Error::NonFinite { what, place }) => {
            Some(format!("{what} became non-finite at {place}"))
        }
        _ => None,
    }
}
