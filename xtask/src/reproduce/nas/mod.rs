//! What targets about architectures measure: a sample of them, searches among them, and trainings of what was found.

mod correlated;
mod searched;
mod settings;
mod trained;

pub(super) use correlated::{Correlated, Correlation};
pub(super) use searched::{Found, Searches};
pub(super) use settings::Settings;
pub(super) use trained::Trainings;

use super::part::Bench;
use super::profile::Profile;
use super::source::Source;
use super::teaching::Learned;
use anyhow::{Result, bail};
use gtn_cli::commands::train::{Ended, train_on};
use gtn_cli::config::{Config, Layer, RunConfig};
use gtn_cli::fingerprint;
use gtn_cli::nas::correlate::{ARCHITECTURES, CorrelateConfig, Judged};
use gtn_cli::nas::folder::Folder;
use gtn_cli::nas::judging::Judging;
use gtn_cli::nas::materials::Materials;
use gtn_cli::run_dir::RunDir;
use gtn_cli::trained::Trained;
use gtn_nas::Journal;
use toml::Table;

/// The part in which the teacher is trained.
pub(super) const TEACHER: &str = "teacher";
/// The part in which a sample of architectures is judged, and learning rate and momentum for real data are tuned.
pub(super) const SAMPLE: &str = "sample";

/// The data that architectures were published for, but for processors, which would take days with it.
pub(super) fn source(profile: Profile) -> Source {
    match profile {
        Profile::Smoke | Profile::Cpu => Source::Mnist,
        Profile::Cuda => Source::Cifar10,
    }
}

/// Trains the teacher of the part [`TEACHER`] again where its run folder is not there, as in a clone; false when that was interrupted.
fn teacher_is_there(bench: &Bench<'_>) -> Result<bool> {
    let learned: Learned = bench.results.get(TEACHER)?;
    if let Some(place) = learned.diverged {
        bail!("there is no teacher, since its training diverged ({place}); change its settings");
    }
    let (run, device) = (bench.folder.run(TEACHER), bench.device);
    let config = RunConfig::load(&[Layer::file(&bench.folder.config(TEACHER))?])?;
    let ended = train_on(bench.dataset, config, RunDir::at(&run), device, bench.interrupt)?;
    Ok(ended == Ended::Finished)
}

/// What architectures are judged with: the data of the target, and the teacher, which [is there](teacher_is_there).
fn materials(bench: &Bench<'_>, judging: &Judging) -> Result<Materials> {
    let learned: Learned = bench.results.get(TEACHER)?;
    let (run, device) = (bench.folder.run(TEACHER), bench.device);
    let teacher = Trained::on(&run, bench.dataset, device)?;
    // Where sums have another order, on other vectors or another GPU, it comes out otherwise.
    let (there, here) = (learned.teacher, fingerprint::of_teacher(&teacher.run)?);
    if there.is_some_and(|there| there != here) {
        bail!(
            "the teacher in {} is not the one by which the other parts were measured, since it was trained again elsewhere or is of other settings; put that one back, or measure all of it anew in another folder (--out)",
            run.display()
        );
    }
    Materials::on(judging, bench.dataset.clone(), Some(teacher), device.clone())
}

/// The configuration to go on with in a folder in which `config` may have begun: with what was settled then.
fn begun<C: Config>(folder: &Folder, config: &C) -> Result<C> {
    let layer = Layer::new("settings", Table::try_from(config)?);
    folder.begin(vec![layer], folder.is_begun(), |_, _| {})
}

/// The architectures that a part has judged in its folder, and the settled configuration.
fn judged(folder: &Folder) -> Result<(CorrelateConfig, Vec<Judged>)> {
    Ok((folder.read()?, Journal::read(&folder.file(ARCHITECTURES))?))
}

/// Training steps of judging one architecture as `config` says.
fn steps(config: &CorrelateConfig) -> f64 {
    let last = |steps: &[usize]| steps.last().copied().unwrap_or(0);
    let estimates = last(&config.real_steps) + config.gtn_steps.as_deref().map_or(0, last);
    (config.learners * estimates + config.full_learners * config.judging.full.steps) as f64
}
