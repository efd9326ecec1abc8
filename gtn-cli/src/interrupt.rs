//! Ctrl-C: once to stop at the next good moment, twice to stop at once.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens for Ctrl-C as long as it lives.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on: the first Ctrl-C raises the flag, the second ends
    /// the process with code 130.
    ///
    /// # Errors
    /// When the system refuses the handler, or there is one already.
    pub fn listen() -> Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        let interrupt = Self(raised.clone());
        ctrlc::set_handler(move || {
            if raised.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            tracing::warn!(
                "stopping as soon as what is under way is done; press Ctrl-C again to stop at once"
            );
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupt {
    /// Nobody is left to stop at a good moment: the next Ctrl-C counts as the second.
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
