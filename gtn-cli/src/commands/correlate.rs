//! `gtn correlate`: how far estimates of architectures can be trusted.

use crate::args::Correlate;
use crate::config::Layer;
use crate::interrupt::Interrupt;
use crate::nas::correlate::{correlate, rows, sentences};
use crate::output;
use anyhow::Result;

/// Measures and prints.
///
/// # Errors
/// [`crate::error::Usage`] for what cannot be, other errors for what fails on the way.
pub fn run(args: &Correlate) -> Result<()> {
    let device = args.compute.open()?;
    let mut layers =
        args.config.iter().map(|file| Layer::file(file)).collect::<Result<Vec<_>>>()?;
    layers.push(Layer::overrides(&args.overrides())?);
    let interrupt = Interrupt::listen()?;
    let workers = args.compute.workers(args.workers);
    let out = args.out.display();
    let found = correlate(layers, &args.out, args.resume, workers, device, &interrupt)?;
    let Some(found) = found else {
        tracing::warn!("stopped; go on with: gtn correlate --resume --out {out}");
        return Ok(());
    };
    output::print(&if args.json {
        serde_json::to_string(&found)? + "\n"
    } else {
        format!("{}\n{}\n", output::table(&rows(&found)), sentences(&found).join("\n"))
    })
}
