//! `gtn correlate`: how far estimates of architectures can be trusted.

use crate::args::Correlate;
use crate::error::Stopped;
use crate::interrupt::Interrupt;
use crate::nas::correlate::{correlate, rows, sentences};
use crate::output;
use crate::report::words::word;
use anyhow::Result;

/// Measures and prints.
///
/// # Errors
/// [`crate::error::Usage`] for what cannot be, other errors for what fails on the way.
pub fn run(args: &Correlate) -> Result<()> {
    let common = &args.common;
    let device = common.compute.open()?;
    let layers = args.layers()?;
    let interrupt = Interrupt::listen()?;
    let found = correlate(layers, &args.out, common.resume, common.workers(), device, &interrupt)?;
    let Some(found) = found else {
        let (out, compute) = (word(args.out.display()), common.compute.words());
        return Err(Stopped::error(format!("gtn correlate --resume --out {out}{compute}")));
    };
    output::print(&if common.json {
        serde_json::to_string(&found)? + "\n"
    } else {
        format!("{}\n{}\n", output::table(&rows(&found)), sentences(&found).join("\n"))
    })
}
