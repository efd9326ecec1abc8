//! `gtn train`: meta-iterations, and what they leave in the run folder.
//!
//! A checkpoint is written last of all that belongs to its iteration. So
//! whatever moment a run is killed at, going on from the checkpoint writes the same files again.

use crate::args;
use crate::batches::{Judged, Shuffled, image_shape};
use crate::config::{Config, Layer, Override, RunConfig};
use crate::error::{Stopped, Usage};
use crate::fingerprint;
use crate::folder_lock::FolderLock;
use crate::interrupt::Interrupt;
use crate::learner::Learner;
use crate::metrics_log::MetricsLog;
use crate::progress::Progress;
use crate::records::MetricsLine;
use crate::report::words::{fine_percent, word};
use crate::run_dir::{RunDir, write_whole};
use crate::sheet::Limits;
use crate::teaching;
use anyhow::Result;
use candle_core::Device;
use gtn_core::activations::Activations;
use gtn_core::data::ImageShape;
use gtn_core::evaluate::{accuracy, teach};
use gtn_core::learner::LearnerFamily;
use gtn_core::seed::Seed;
use gtn_core::trainer::Trainer;
use gtn_data::Dataset;
use std::path::{Path, PathBuf};

/// Validation looks at no more images than this.
const VALIDATION_IMAGES: usize = 2_000;

/// Trains a teacher as the command line says.
///
/// # Errors
/// [`Usage`] for a configuration that cannot be, other errors for what fails on the way.
pub fn run(args: &args::Train) -> Result<()> {
    let device = args.compute.open()?;
    let out = args.out.clone().unwrap_or_else(|| default_out(args));
    let config = RunConfig::load(&layers(args, &out)?)?;
    let how = if args.resume { Start::Resume } else { Start::New };
    let interrupt = Interrupt::listen()?;
    if args.resume && !RunDir::at(&out).config().is_file() {
        tracing::warn!("nothing was begun in {} yet, so this begins", out.display());
    }
    match train(config, &out, how, &device, &interrupt)? {
        Ended::Finished => Ok(()),
        Ended::Interrupted => {
            let (out, compute) = (word(out.display()), args.compute.words());
            Err(Stopped::error(format!("gtn train --resume --out {out}{compute}")))
        }
    }
}

fn default_out(args: &args::Train) -> PathBuf {
    let name = match (&args.config, args.preset) {
        (Some(file), _) => file.file_stem().map_or("train".into(), PathBuf::from),
        (None, Some(preset)) => preset.name().into(),
        (None, None) => "train".into(),
    };
    Path::new("runs").join(name)
}

fn layers(args: &args::Train, out: &Path) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    match (&args.config, args.preset) {
        (Some(file), _) => layers.push(Layer::file(file)?),
        (None, Some(preset)) => layers.push(preset.layer()?),
        (None, None) if args.resume => layers.push(Layer::file(&RunDir::open(out)?.config())?),
        (None, None) => {}
    }
    let mut overrides = args.set.clone();
    overrides.extend(args.data.as_ref().map(|data| Override::new("data.path", data.clone())));
    overrides.extend(args.seed.map(|seed| Override::new("seed", seed)));
    layers.push(Layer::overrides(&overrides)?);
    Ok(layers)
}

/// Whether the run folder may hold a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It may not.
    New,
    /// It may: its run goes on.
    Resume,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All meta-iterations are done.
    Finished,
    /// Ctrl-C was pressed; a checkpoint was written.
    Interrupted,
}

/// Trains a teacher in the folder `out`.
///
/// # Errors
/// [`Usage`] when the folder holds another run, other errors when another process writes there and for what fails on the way. After
/// [`gtn_core::Error::NonFinite`] the last checkpoint stays.
pub fn train(
    config: RunConfig,
    out: &Path,
    start: Start,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Ended> {
    let _lock = FolderLock::take(out)?;
    let run = match start {
        Start::New => RunDir::new(out)?,
        Start::Resume => RunDir::begun_or_new(out)?,
    };
    let dataset = config.data.open()?;
    train_on(&dataset, config, run, device, interrupt)
}

/// Trains a teacher on a data set that is at hand, in a folder in which this may have begun. What the
/// configuration calls the data is written down, and otherwise of no account.
///
/// # Errors
/// As [`train`].
pub fn train_on(
    dataset: &Dataset,
    mut config: RunConfig,
    run: RunDir,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Ended> {
    let out = run.path().to_owned();
    // What the configuration left open is written down, so that config.toml alone repeats the run.
    config.data.validation = Some(dataset.validation().len());
    config.run.validate_every = Some(config.validate_every());

    let mut session = Session::open(config, run, dataset, device)?;
    let total = session.config.recipe.iterations;
    let done = session.trainer.iteration();
    if done >= total {
        tracing::info!("{}: all {total} meta-iterations are done", out.display());
        return Ok(Ended::Finished);
    }
    let mut progress = Progress::new("training", total, done);
    while session.trainer.iteration() < total {
        if interrupt.raised() {
            session.save()?;
            drop(progress);
            let done = session.trainer.iteration();
            tracing::warn!("stopped after meta-iteration {done} of {total}");
            return Ok(Ended::Interrupted);
        }
        match session.iterate() {
            Ok(message) => progress.step(&message),
            Err(error) => {
                // Where nothing was learned there is nothing to go on with: the folder is free for another try. A run that
                // someone else began keeps its configuration.
                if session.begins && session.trainer.iteration() == 0 {
                    session.run.take_back()?;
                }
                return Err(error);
            }
        }
    }
    drop(progress);
    tracing::info!("{}: all {total} meta-iterations are done", out.display());
    Ok(Ended::Finished)
}

/// Fails where the folder holds a run of another configuration, or on other images. Returns the configuration there.
fn compare(config: &RunConfig, run: &RunDir, data: &str) -> Result<RunConfig> {
    let there = RunConfig::load(&[Layer::file(&run.config())?])?;
    let mut alike = there.clone();
    // The teacher does not depend on it: whoever has less memory now may say so.
    alike.run = config.run.clone();
    if run.read_data()?.is_some() {
        // By the images, not by where they lie.
        alike.data.path = config.data.path.clone();
    }
    if let Some(other) = config.difference(&alike)? {
        return Err(Usage::error(format!(
            "{} holds a run with {} = {}, not {}; go on with its own configuration (gtn train --resume --out {}), or choose another --out",
            run.path().display(),
            other.key,
            other.there,
            other.here,
            word(run.path().display()),
        )));
    }
    run.expect_images(data, &config.data.path, ", or choose another --out")?;
    Ok(there)
}

/// A training under way.
struct Session {
    config: RunConfig,
    run: RunDir,
    trainer: Trainer<Learner>,
    image: ImageShape,
    classes: usize,
    real: Shuffled,
    validation: Option<Judged>,
    log: MetricsLog,
    last_validation: Option<f64>,
    /// Whether the folder held nothing before.
    begins: bool,
}

impl Session {
    fn open(config: RunConfig, run: RunDir, dataset: &Dataset, device: &Device) -> Result<Self> {
        let data = fingerprint::of_dataset(dataset);
        let there = run.config().is_file().then(|| compare(&config, &run, &data)).transpose()?;
        let begun = there.is_some();
        let (image, classes) = (image_shape(dataset), dataset.classes().len());
        let checkpoint = run.checkpoint();
        let trainer = if begun && checkpoint.is_file() {
            Trainer::resume(&config.recipe, image, classes, device, &checkpoint)?
        } else {
            Trainer::new(&config.recipe, image, classes, device)?
        };
        let bytes = config.run.keep_activations.saturating_mul(1 << 20);
        let trainer = trainer.with_activations(Activations::KeepWithin { bytes });
        let validation = match dataset.validation() {
            none if none.is_empty() => {
                tracing::warn!(
                    "no images are held out: neither this run nor `gtn eval` can choose anything by validation; set data.validation above 0"
                );
                None
            }
            some => Some(Judged::new(some, "validation", classes, VALIDATION_IMAGES, device)?),
        };
        let real = Shuffled::training(&config, dataset, device)?;
        // Nothing is written before all that a configuration can get wrong was tried.
        if there.as_ref() != Some(&config) {
            write_whole(&run.config(), config.to_toml()?.as_bytes())?;
        }
        if !run.data().is_file() {
            write_whole(&run.data(), (data + "\n").as_bytes())?;
        }
        let log = MetricsLog::open(&run, trainer.iteration())?;
        Ok(Self {
            config,
            run,
            trainer,
            image,
            classes,
            real,
            validation,
            log,
            last_validation: None,
            begins: !begun,
        })
    }

    /// One meta-iteration and all that belongs to it. Returns how it went, for the progress bar.
    fn iterate(&mut self) -> Result<String> {
        let done = self.trainer.step(&self.real)?;
        if done.diverged > 0 {
            tracing::warn!(
                "meta-iteration {}: {} of the learners drawn diverged, the next did not",
                done.iteration,
                done.diverged
            );
        }
        let last = done.iteration == self.config.recipe.iterations;
        let due = |every: usize| last || done.iteration.is_multiple_of(every);
        let mut validation_accuracy = None;
        if due(self.config.validate_every()) {
            validation_accuracy = self.look()?;
            self.last_validation = validation_accuracy.or(self.last_validation);
        }
        self.log.append(&MetricsLine {
            iteration: done.iteration,
            meta_loss: done.meta_loss,
            inner_loss: done.inner_loss,
            gradient_norm: done.gradient_norm,
            outer_lr: done.outer_lr,
            diverged: done.diverged,
            validation_accuracy,
        })?;
        if due(self.config.run.checkpoint_every) {
            self.save()?;
        }
        let accuracy = self.last_validation;
        let accuracy = accuracy.map(|share| format!(" · validation {}", fine_percent(share)));
        Ok(format!("meta-loss {:.4}{}", done.meta_loss, accuracy.unwrap_or_default()))
    }

    /// Teaches a fresh learner, draws the sheet of what it was taught with, and judges it.
    fn look(&self) -> Result<Option<f64>> {
        let iteration = self.trainer.iteration();
        let recipe = &self.config.recipe;
        let seed = Seed(recipe.seed).derive("validation", iteration as u64);
        let set = self.trainer.teaching_set(seed, &self.real)?;
        let sheet = teaching::sheet_png(&set, Limits::default())?;
        write_whole(&self.run.sheet(iteration), &sheet)?;
        let Some(validation) = &self.validation else { return Ok(None) };
        let network = recipe.learner.network(seed, self.image, self.classes)?;
        let taught = teach(&network, &set, seed, &mut |_, _| Ok(()))?;
        Ok(Some(accuracy(&network, &taught, validation.batches())?))
    }

    fn save(&self) -> Result<()> {
        self.log.sync()?;
        Ok(self.trainer.save(&self.run.checkpoint())?)
    }
}
