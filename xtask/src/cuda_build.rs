//! This program in a build with the feature `cuda`: `cargo xtask` builds without.

use crate::root;
use anyhow::{Context, Result, ensure};
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Command;

/// Goes on as that build, with the same arguments.
///
/// # Errors
/// When it cannot be built or started.
pub(crate) fn go_on_with_cuda() -> Result<Infallible> {
    let program = cuda_build()?;
    let mut command = Command::new(&program);
    command.args(std::env::args_os().skip(1));
    // In place of this process, so that Ctrl-C has one to reach.
    #[cfg(unix)]
    let failed = Err(std::os::unix::process::CommandExt::exec(&mut command));
    #[cfg(not(unix))]
    let failed = command.status().map(|status| std::process::exit(status.code().unwrap_or(1)));
    failed.with_context(|| format!("{} could not be started", program.display()))
}

/// This program with the feature `cuda`, optimized, which is built where this one is not.
pub(crate) fn cuda_build() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program's own file could not be found")?;
    if cfg!(all(feature = "cuda", not(debug_assertions))) {
        return Ok(program);
    }
    // TARGET/PROFILE/xtask
    let target =
        program.ancestors().nth(2).context("this program was moved out of cargo's folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "xtask", "--features", "cuda", "--target-dir"]);
    succeed(build.arg(target).current_dir(root()), "this program with the feature `cuda`")?;
    Ok(target.join("release/xtask"))
}

/// Has a command make something.
pub(crate) fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("`{name}` could not be started, which makes {what}"))?;
    ensure!(status.success(), "`{name}` did not make {what} ({status}); its message is above");
    Ok(())
}
