//! `--device cuda:0`, where there is such a device.

mod common;

use common::{
    assert_same, child, error, gtn_in, interrupt, lines, train_tiny, wait_for, workplace,
};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Trains as `tiny.toml` says on the first CUDA device; `false`, with the reason printed, where there is
/// none. `GTN_REQUIRE_CUDA=1` makes that a failure.
fn trained_on_cuda(folder: &Path, out: &str) -> bool {
    let mut command = gtn_in(folder);
    command.args(["train", "--config", "tiny.toml", "--device", "cuda:0", "--out", out]);
    if command.output().expect("the binary runs").status.success() {
        return true;
    }
    let message = error(&mut command, 2);
    assert!(message.contains("--device cuda:0: CUDA device 0 cannot be opened: "), "{message}");
    assert!(std::env::var_os("GTN_REQUIRE_CUDA").is_none(), "{message}");
    println!("skipped on CUDA: {message}");
    false
}

fn first_losses(run: &Path) -> Vec<f64> {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    ["meta_loss", "inner_loss", "gradient_norm"].map(|key| first[key].as_f64().unwrap()).to_vec()
}

#[test]
fn a_run_on_cuda_starts_as_on_the_cpu_and_repeats_itself() {
    let folder = workplace();
    let folder = folder.path();
    if !trained_on_cuda(folder, "cuda") {
        return;
    }
    train_tiny(folder, "cpu");
    let pairs =
        first_losses(&folder.join("cuda")).into_iter().zip(first_losses(&folder.join("cpu")));
    for (ours, expected) in pairs {
        assert!((ours - expected).abs() <= 1e-4 * expected.abs(), "{ours}, expected {expected}");
    }
    assert!(trained_on_cuda(folder, "again"));
    assert_same(&folder.join("cuda"), &folder.join("again"));

    let long = ["train", "--config", "tiny.toml", "--set", "iterations=300", "--out", "stopped"];
    let mut stopped = child()
        .current_dir(folder)
        .args(long)
        .args(["--device", "cuda:0"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = folder.join("stopped/metrics.jsonl");
    wait_for(&metrics, 2, &mut stopped);
    interrupt(&stopped);
    assert_eq!(stopped.wait().unwrap().code(), Some(130));
    gtn_in(folder).args(["train", "--resume", "--out", "stopped"]).assert().success();
    assert_eq!(lines(&metrics), 300);
    for arguments in [
        &["eval", "cuda", "--learners", "2", "--device", "cuda:0"][..],
        &["export", "cuda", "--format", "npz", "--out", "made", "--device", "cuda:0"],
    ] {
        gtn_in(folder).args(arguments).assert().success();
    }
}
