//! The `gtn` binary; see the library `gtn_cli`.

use std::process::ExitCode;

// The kernels allocate and free large buffers all the time. The system's allocator gives each
// back to the kernel, which clears its pages again for the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`: milliseconds after which freed memory goes back to the kernel.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // SAFETY: sets a number inside the allocator, before any other thread runs.
    // Never giving memory back takes a fifth off the time of a meta-iteration.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    gtn_cli::main()
}
