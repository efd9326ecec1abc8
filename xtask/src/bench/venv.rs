//! The peer's Python environment.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of a virtual environment at `dir` with the packages that `requirements` lists, which
/// are installed when they are not there yet.
pub(super) fn python(dir: &Path, requirements: &Path) -> Result<PathBuf> {
    let python = dir.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wanted = fs::read(requirements)
        .with_context(|| format!("{} could not be read", requirements.display()))?;
    // A copy of the list, made last, says that the environment is complete and up to date.
    let installed = dir.join("installed.txt");
    if python.exists() && fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    eprintln!("installing PyTorch into {} (once; about 2.5 GB to download)", dir.display());
    if !python.exists() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        succeed(Command::new(system).args(["-m", "venv"]).arg(dir))?;
    }
    succeed(Command::new(&python).args(["-m", "pip", "install", "-r"]).arg(requirements))?;
    fs::write(&installed, wanted)
        .with_context(|| format!("{} could not be written", installed.display()))?;
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Standard output is for the table.
    let status = command.stdout(std::io::stderr()).status().with_context(|| {
        format!(
            "`{name}` could not be started; the peer needs Python 3.11 or newer with venv and pip"
        )
    })?;
    ensure!(
        status.success(),
        "`{name}` failed ({status}) to set the peer up; its message is above"
    );
    Ok(())
}
