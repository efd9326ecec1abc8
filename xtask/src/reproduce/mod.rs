//! `cargo xtask reproduce`.

mod folder;
mod index;
mod nas;
mod origin;
mod page;
mod part;
mod profile;
mod report;
mod source;
mod study;
mod targets;
mod teaching;
mod worklog;

use anyhow::{Result, ensure};
use candle_core::Device;
use gtn_cli::args::Verbosity;
use gtn_cli::commands::train::Ended;
use gtn_cli::error::Stopped;
use gtn_cli::folder_lock::FolderLock;
use gtn_cli::interrupt::Interrupt;
use origin::Origin;
use profile::Profile;
use source::Library;
use std::path::{Path, PathBuf};
use study::{Lab, Study};
use targets::{TARGETS, Target};

const EXAMPLES: &str = "\
Examples:
  cargo xtask reproduce --list                what is measured, what was published, what it costs
  cargo xtask reproduce                       all targets, very small, on the built-in digits
  cargo xtask reproduce mnist-32 --profile cpu --data data
                                              writes results/mnist-32/cpu/
  cargo xtask reproduce mnist-32 --profile cpu --data data --long
                                              the same, and rows that take two hours each
  cargo xtask reproduce --profile cpu --resume
                                              goes on with all targets that were begun

What was measured before is not measured again, and what was stopped or killed goes on from its last
checkpoint, or the last architecture that it judged (learners are judged again): the same command again
is all it takes.";

/// Measure published results again and set them beside ours.
#[derive(clap::Args)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to measure [default: all]
    #[arg(value_name = "TARGET", value_parser = targets::parser())]
    targets: Vec<&'static dyn Target>,

    /// Say what each target measures, what was published, and what it costs
    #[arg(long)]
    list: bool,

    /// How large everything is
    #[arg(long, value_enum, default_value = "smoke")]
    profile: Profile,

    /// Folder that holds `mnist/` and `cifar10/` [default: data; for smoke, the built-in digits instead]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where the results go [default: results; for smoke, target/reproduce]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Only targets that were begun
    #[arg(long)]
    resume: bool,

    /// Rows that take hours each, too
    #[arg(long)]
    long: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = if args.targets.is_empty() { &TARGETS[..] } else { &args.targets };
    if args.list {
        return gtn_cli::output::print(&targets::list(targets)?);
    }
    gtn_cli::log_to_stderr(Verbosity { verbose: 0, quiet: false });
    let library = Library::new(args.data.as_deref(), args.profile);
    let out = args.out.clone().unwrap_or_else(|| args.profile.out());
    let mut studies = targets
        .iter()
        .map(|&target| Study::new(target, args.profile, &out, &library, args.long))
        .collect::<Result<Vec<_>>>()?;
    studies.retain(|study| !args.resume || study.has_begun());
    ensure!(
        !studies.is_empty(),
        "nothing of profile {} was begun in {}; leave --resume out to begin",
        args.profile.name(),
        out.display()
    );
    // Pages alone ask for no GPU.
    let mut unfinished = Vec::new();
    for study in &studies {
        if study.records()?.iter().any(Option::is_none) {
            unfinished.push(study);
        }
    }
    // What is missing for the last target is told before the first one runs.
    for study in &unfinished {
        library.open(study.target.source(study.profile))?;
    }
    let device = if unfinished.is_empty() { Device::Cpu } else { args.profile.device()? };
    let origin = Origin::here(&device);
    let lab = Lab { library, device, interrupt: Interrupt::listen()?, origin };
    // What is wrong with the last target is told before the first one runs, and again if somebody has been there meanwhile.
    for study in &studies {
        study.check(&lab)?;
    }
    for study in &studies {
        let _lock = FolderLock::take(study.folder.path())?;
        study.check(&lab)?;
        // Whatever becomes of a part, those before it have their page by then.
        publish(study, &out)?;
        let ended = study.measure(&lab, || publish(study, &out))?;
        let readme = study.folder.file(page::PAGE);
        if readme.exists() {
            gtn_cli::output::print(&format!("{}\n", readme.display()))?;
        }
        if ended == Ended::Interrupted {
            return Err(Stopped::error("the same command"));
        }
    }
    gtn_cli::output::print(&format!("{}\n", out.join("README.md").display()))
}

/// Writes the page of a study, and the index of all that lies in `out`.
fn publish(study: &Study, out: &Path) -> Result<()> {
    page::write(study)?;
    // Others may measure other targets there, and be done at the same time.
    let _lock = FolderLock::wait(out)?;
    let mut all = Vec::new();
    for profile in Profile::ALL {
        for target in TARGETS {
            let study = Study::found(target, profile, out)?;
            for result in study.left_out()? {
                tracing::warn!(
                    "{} is of other settings: {} leaves it out",
                    result.display(),
                    out.join("README.md").display()
                );
            }
            all.push(study);
        }
    }
    index::write(out, &all)
}
