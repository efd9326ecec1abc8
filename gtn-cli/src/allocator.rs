//! How the memory of kernels is kept.
//!
//! The kernels allocate and free large buffers all the time. The system's allocator gives each
//! back to the system, which clears its pages again for the next; so programs that compute take
//! mimalloc as their global allocator, and begin with [`keep_memory`].

/// `mi_option_purge_delay`: milliseconds after which freed memory goes back to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Tells mimalloc never to give memory back to the system, which takes a fifth off the time of a
/// meta-iteration. For the first line of `main`.
pub fn keep_memory() {
    // SAFETY: sets a number inside the allocator, which at worst another thread overwrites.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}
