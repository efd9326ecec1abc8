//! The `gtn` binary; see the library `gtn_cli`.

use std::process::ExitCode;

// See `gtn_cli::allocator`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gtn_cli::allocator::keep_memory();
    gtn_cli::main()
}
