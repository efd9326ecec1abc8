//! `bench peer --device cuda` on a machine that has a GPU, but neither cargo nor a network: a folder to take there.

use crate::cuda_build::{cuda_build, succeed};
use crate::root;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
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
