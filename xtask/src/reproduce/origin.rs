//! Where figures come from: the code and the machine that made them.

use crate::root;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// The code and the machine behind a figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The commit, and whether something in the checkout differed from it.
    pub(super) commit: String,
    /// Processor, cores, vectors and system; and the GPU, where it computes on one.
    pub(super) machine: String,
}

impl Origin {
    /// This checkout and this machine, which computes on `device`.
    pub(super) fn here(device: &Device) -> Self {
        let machine = match gtn_core::device::gpu_name(device) {
            Some(gpu) => format!("{gpu}, {}", machine()),
            None => machine(),
        };
        Self { commit: commit(), machine }
    }

    /// The code and the machines behind a figure to which several processes came, each with its own.
    pub(super) fn of_all<'a>(origins: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let told = |of: fn(&Self) -> &str| {
            let mut told: Vec<&str> = Vec::new();
            for text in origins.clone().map(of) {
                if !told.contains(&text) {
                    told.push(text);
                }
            }
            told.join(", then ")
        };
        Self { commit: told(|origin| &origin.commit), machine: told(|origin| &origin.machine) }
    }
}

fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown (no git checkout)".into();
    };
    // Results are written while the code stays what it is.
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"]);
    match changes.is_some_and(|changes| !changes.is_empty()) {
        true => commit + " with changes",
        false => commit,
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    let vectors = gtn_core::device::vector_bits();
    format!("{}, {cores}, {vectors}-bit vectors, {}", processor(), std::env::consts::OS)
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or(std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_worked_on_a_figure_are_told_once() {
        let origin = |commit: &str, machine: &str| Origin {
            commit: commit.to_owned(),
            machine: machine.to_owned(),
        };
        let all = [origin("a", "m"), origin("b", "m"), origin("a", "m")];
        assert_eq!(Origin::of_all(all.iter()), origin("a, then b", "m"));
        assert_eq!(Origin::of_all(all[..1].iter()), all[0]);
    }
}
