//! `gtn export`: the synthetic data, for use elsewhere.

use crate::args;
use crate::export::export;
use crate::output;
use crate::trained::Trained;
use anyhow::Result;

/// Writes what one learner is taught with, and tells which files.
///
/// # Errors
/// When the run cannot be used, or the folder is not empty or cannot be written.
pub fn run(args: &args::Export) -> Result<()> {
    let device = args.compute.open()?;
    let trained = Trained::open(&args.run, args.data.as_deref(), device)?;
    trained.expect_own_images()?;
    let set = trained.teaching_set(trained.seed("export", 0))?;
    let dataset = &trained.dataset;
    let files = export(&set, dataset.classes(), dataset.normalization(), args.format, &args.out)?;
    // An image folder has a file for every image.
    let shown = files.iter().take(5).map(|file| format!("{}\n", file.display()));
    let more = match files.len().saturating_sub(5) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    output::print(&(shown.collect::<String>() + &more))
}
