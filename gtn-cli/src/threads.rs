//! The threads that compute.

use anyhow::{Context, Result};

/// Starts them, as many as `threads` says, or `RAYON_NUM_THREADS`, or the machine has cores. The
/// caller's is one of them, and has to be the one that computes, for the program's whole life: an outsider
/// would hand each of thousands of short loops over, sleep and be woken, which with small networks
/// takes a good share of a meta-iteration.
///
/// Does nothing where the caller is one already.
///
/// # Errors
/// When they cannot be started, or another thread of this program has started some.
pub fn start(threads: Option<u16>) -> Result<()> {
    if rayon::current_thread_index().is_some() {
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0).into())
        .use_current_thread()
        .build_global()
        .context("cannot start the threads")
}

/// How many candidates are judged at the same time where nobody says: as many as threads, each alone on one; on a GPU, whose time and
/// memory several would have to share, one.
#[must_use]
pub fn workers(on_cpu: bool) -> usize {
    if on_cpu { rayon::current_num_threads() } else { 1 }
}
