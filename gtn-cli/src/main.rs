//! The `gtn` binary; see the library `gtn_cli`.

use std::process::ExitCode;

// The kernels allocate and free large buffers all the time, which the system's allocator returns
// to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gtn_cli::main()
}
