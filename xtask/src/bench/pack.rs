//! `bench peer --device cuda` on a machine that has a GPU, but neither cargo nor a network: a folder to take there.

use super::root;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What starts the comparison there.
const RUN: &str = include_str!("../../peer/run.sh");

/// Writes `dir`, new or empty: this program, compressed, the peers' scripts, and `run.sh`.
pub(super) fn pack(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)
        .with_context(|| format!("the folder {} could not be made", dir.display()))?;
    ensure!(
        fs::read_dir(dir)?.next().is_none(),
        "{} has files in it; give a folder that is new or empty",
        dir.display()
    );
    let program = dir.join("xtask");
    let built = cuda_build()?;
    // Debugging symbols are most of it.
    succeed(Command::new("strip").arg("-o").arg(&program).arg(built), "a program without symbols")?;
    // Kernels lie in it as text; run.sh unpacks it.
    succeed(Command::new("gzip").args(["-9", "--no-name"]).arg(&program), "a small program")?;
    let packed = dir.join("xtask.gz");
    let scripts = root().join("xtask/peer");
    for script in ["worker", "torch_learners", "torch_eager", "torch_compile", "jax_jit"] {
        let name = format!("{script}.py");
        fs::copy(scripts.join(&name), dir.join(&name))
            .with_context(|| format!("the peer's script {name} could not be copied"))?;
    }
    let run = dir.join("run.sh");
    fs::write(&run, RUN).with_context(|| format!("{} could not be written", run.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    }
    let megabytes = fs::metadata(&packed)?.len() as f64 / 1e6;
    println!(
        "{} is ready ({megabytes:.1} MB, unpacked where it runs); on a machine with a GPU and PyTorch, start run.sh in it",
        dir.display()
    );
    Ok(())
}

/// This program with the feature `cuda`, which is built where this one lacks it.
pub(super) fn cuda_build() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program's own file could not be found")?;
    if cfg!(feature = "cuda") {
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
fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("`{name}` could not be started, which makes {what}"))?;
    ensure!(status.success(), "`{name}` did not make {what} ({status}); its message is above");
    Ok(())
}
