//! The two sides of `bench peer`: how they are started, and how they take turns.

use super::case::Case;
use super::compare::max_rel_diff;
use super::place::{Kind, Place};
use super::table::{Outcome, Row, median};
use super::worker::Worker;
use super::{root, venv};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that does the same in another framework.
#[derive(Debug)]
struct Peer {
    name: &'static str,
    /// Its script, without `.py`.
    script: &'static str,
}

/// The peer that has to run.
pub(super) const EAGER: &str = "PyTorch eager";

/// On a CPU, the first only: compiling takes longer there than all the rest.
const PEERS: [Peer; 3] = [
    Peer { name: EAGER, script: "torch_eager" },
    Peer { name: "torch.compile", script: "torch_compile" },
    Peer { name: "JAX jit", script: "jax_jit" },
];

/// How the sides are started.
pub(super) struct Sides {
    /// Where files of a run go.
    dir: PathBuf,
    python: PathBuf,
    /// Where the peers' scripts are.
    scripts: PathBuf,
    ours: PathBuf,
    cores: usize,
    place: Place,
}

impl Sides {
    /// In the workspace: with a Python of its own, into which PyTorch is installed.
    pub(super) fn of_workspace(place: Place) -> Result<Self> {
        let scripts = root().join("xtask/peer");
        let dir = folder(root().join("target/bench"))?;
        let python = venv::python(&dir.join("venv"), &scripts.join("requirements.txt"))?;
        Self::new(place, dir, python, scripts)
    }

    /// In the folder of this program: with the system's Python, which has PyTorch.
    pub(super) fn packed(place: Place) -> Result<Self> {
        let program = this_program()?;
        let scripts = program.parent().context("a program lies in a folder")?.to_path_buf();
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        Self::new(place, folder(scripts.join("results"))?, python.into(), scripts)
    }

    fn new(place: Place, dir: PathBuf, python: PathBuf, scripts: PathBuf) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        Ok(Self { dir, python, scripts, ours: this_program()?, cores, place })
    }

    /// Where the table goes.
    pub(super) fn table(&self) -> PathBuf {
        self.dir.join(format!("peer{}.json", self.place.suffix()))
    }

    /// All peers' rows of a case. Only our side has to run.
    pub(super) fn compare(&self, case: &'static Case, rounds: u32) -> Result<Vec<Row>> {
        let inputs = self.file(case, "");
        case.write(&inputs)?;
        let ours_out = self.results(case, "ours")?;
        let mut ours = self.ours(case, &inputs, &ours_out)?;
        eprintln!("{}: ours ({})", case.name, ours.settings());
        let peers = match self.place.device {
            Kind::Cpu => &PEERS[..1],
            Kind::Cuda => &PEERS,
        };
        let mut runs = Vec::new();
        for peer in peers {
            let results = self.results(case, peer.script)?;
            let started = self.peer(peer, case, &inputs, &results);
            if let Ok(worker) = &started {
                eprintln!("{}: {} ({})", case.name, peer.name, worker.settings());
            }
            runs.push((peer, results, started.map(|worker| (worker, Vec::new()))));
        }

        let mut ours_ms = Vec::new();
        for _ in 0..rounds {
            for (_, _, run) in &mut runs {
                if let Ok((worker, times)) = run {
                    match worker.iterate() {
                        Ok(ms) => times.push(ms),
                        Err(error) => *run = Err(error),
                    }
                }
            }
            ours_ms.push(ours.iterate()?);
        }
        let (ours_mb, ours_settings) = (ours.peak_mb()?, ours.settings().to_owned());
        ours.finish()?;
        let ours_ms = median(&mut ours_ms);

        let rows = runs.into_iter().map(|(peer, results, run)| {
            let ran = run.and_then(|(mut worker, times)| {
                let (peer_mb, settings) = (worker.peak_mb()?, worker.settings().to_owned());
                worker.finish()?;
                Ok((times, peer_mb, settings))
            });
            let outcome = match ran {
                Ok((mut times, peer_mb, peer_settings)) => {
                    let peer_ms = median(&mut times);
                    // Results that cannot be compared are no reason to leave a peer out: one of the two is wrong.
                    let max_rel_diff = max_rel_diff(&ours_out, &results)
                        .with_context(|| format!("the results of {}", peer.name))?;
                    let ratio = peer_ms / ours_ms;
                    Outcome::Compared { peer_ms, ratio, peer_mb, max_rel_diff, peer_settings }
                }
                Err(error) => Outcome::Missing { reason: format!("{error:#}") },
            };
            Ok(Row {
                case: case.name,
                peer: peer.name,
                precision: self.place.precision(),
                rounds,
                ours_ms,
                ours_mb,
                ours_settings: ours_settings.clone(),
                outcome,
            })
        });
        rows.collect()
    }

    fn file(&self, case: &Case, end: &str) -> PathBuf {
        self.dir.join(format!("{}{end}.safetensors", case.name))
    }

    /// Where a side's results go. Those of an earlier run must not pass for this one's.
    fn results(&self, case: &Case, side: &str) -> Result<PathBuf> {
        let file = self.file(case, &format!("-{side}"));
        if file.exists() {
            fs::remove_file(&file)
                .with_context(|| format!("{} could not be removed", file.display()))?;
        }
        Ok(file)
    }

    fn peer(&self, peer: &Peer, case: &Case, inputs: &Path, results: &Path) -> Result<Worker> {
        let mut command = Command::new(&self.python);
        command.arg(self.scripts.join(peer.script).with_extension("py"));
        command.args([case.learner, case.task.name()]).args([inputs, results]);
        command.args(["--threads", &self.cores.to_string()]).args(self.place.options());
        // The folder is to hold what was packed, and results.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Worker::start(peer.name, &mut command)
    }

    fn ours(&self, case: &Case, inputs: &Path, results: &Path) -> Result<Worker> {
        let mut command = Command::new(&self.ours);
        command.args(["bench", "ours", case.name]).args([inputs, results]);
        command.args(self.place.options());
        command.env("RAYON_NUM_THREADS", self.cores.to_string());
        Worker::start("our side", &mut command)
    }
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program's own file could not be found")
}

fn folder(dir: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&dir)
        .with_context(|| format!("the folder {} could not be made", dir.display()))?;
    Ok(dir)
}
