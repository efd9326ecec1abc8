//! Ctrl-C: once to stop at the next good moment, twice to stop at once.

use crate::error::{Stopped, report};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens for Ctrl-C as long as it lives.
#[derive(Debug)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    raised: AtomicBool,
    nothing_to_keep: AtomicBool,
}

impl Interrupt {
    /// Listens from now on: the first Ctrl-C asks to stop, the second ends the process with code 130.
    ///
    /// # Errors
    /// When the system refuses the handler, or there is one already.
    pub fn listen() -> Result<Self> {
        let state = Arc::<State>::default();
        let interrupt = Self(state.clone());
        ctrlc::set_handler(move || {
            if state.raised.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            if state.nothing_to_keep.load(Ordering::SeqCst) {
                stop();
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
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Does work of which nothing would be kept before its end: meanwhile the first Ctrl-C ends the process.
    pub fn at_once<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.nothing_to_keep.store(true, Ordering::SeqCst);
        if self.raised() {
            stop();
        }
        let done = work();
        self.0.nothing_to_keep.store(false, Ordering::SeqCst);
        done
    }
}

fn stop() -> ! {
    report(&Stopped::error("the same command"));
    std::process::exit(130)
}

impl Drop for Interrupt {
    /// Nobody is left to stop at a good moment: the next Ctrl-C counts as the second.
    fn drop(&mut self) {
        self.0.raised.store(true, Ordering::SeqCst);
    }
}
