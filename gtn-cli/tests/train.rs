//! `gtn train`: what it writes, and that neither threads nor interruptions show in it.

mod common;

use common::{
    assert_same, child, error, files, gtn_in, interrupt, lines, train_tiny, wait_for, workplace,
};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

#[test]
fn a_run_folder_is_complete_and_its_config_repeats_it() {
    let folder = workplace();
    train_tiny(folder.path(), "one");
    let run = folder.path().join("one");
    let names: Vec<_> = files(&run).into_keys().map(|name| name.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "checkpoint.safetensors",
            "config.toml",
            "data.digest",
            "metrics.jsonl",
            "sheets/000003.png",
            "sheets/000006.png",
            "sheets/000009.png",
        ]
    );

    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let metrics: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(metrics.len(), 9);
    for (index, line) in metrics.iter().enumerate() {
        assert_eq!(line["iteration"], index + 1);
        for key in ["meta_loss", "inner_loss", "gradient_norm", "outer_lr"] {
            assert!(line[key].is_f64(), "{line}");
        }
        assert_eq!(line.get("validation_accuracy").is_some(), (index + 1) % 3 == 0, "{line}");
    }

    gtn_in(folder.path())
        .args(["train", "--config", "one/config.toml", "--out", "two", "--threads", "1"])
        .assert()
        .success();
    assert_same(&run, &folder.path().join("two"));

    gtn_in(folder.path())
        .args(["train", "--config", "tiny.toml", "--seed", "6", "--out", "three"])
        .assert()
        .success();
    let three = files(&folder.path().join("three"));
    let metrics = Path::new("metrics.jsonl");
    assert!(files(&run)[metrics] != three[metrics], "another seed, another run");
}

#[test]
fn learners_can_be_drawn_from_a_search_space() {
    let folder = workplace();
    for (space, out) in
        [("macro", "a"), ("cell:nodes=1,channels=2", "b"), ("nb201:channels=2", "c")]
    {
        let space = format!("learner.space={space}");
        gtn_in(folder.path())
            .args(["train", "--config", "tiny.toml", "--set", &space, "--out", out])
            .args(["--set", "iterations=3"])
            .assert()
            .success();
        gtn_in(folder.path()).args(["train", "--resume", "--out", out]).assert().success();
        gtn_in(folder.path()).args(["eval", out, "--learners", "1"]).assert().success();
    }
}

/// As `tiny.toml` says, but so long that it cannot be done before it is looked for.
const LONGER: [&str; 5] = ["train", "--config", "tiny.toml", "--set", "iterations=300"];

fn start(folder: &Path, out: &str) -> Child {
    child()
        .current_dir(folder)
        .args(LONGER)
        .args(["--resume", "--out", out])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Begins the longer run in `out` or goes on with it, and kills it once it has so many lines of metrics.
fn kill_at(folder: &Path, out: &str, count: usize) {
    let mut child = start(folder, out);
    let metrics = folder.join(out).join("metrics.jsonl");
    wait_for(&metrics, count, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lines(&metrics) < 300, "killed too late");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let folder = workplace();
    gtn_in(folder.path()).args(LONGER).args(["--out", "whole"]).assert().success();
    // Killed before anything is there, then again and again on the way: between two lines, at a
    // checkpoint, at a sheet, wherever the moment falls.
    for count in [0, 1, 2, 4, 4, 5, 7, 8, 9] {
        kill_at(folder.path(), "killed", count);
    }
    gtn_in(folder.path()).args(LONGER).args(["--resume", "--out", "killed"]).assert().success();
    assert_same(&folder.path().join("whole"), &folder.path().join("killed"));
}

#[test]
fn data_may_lie_elsewhere_when_a_run_goes_on_but_are_the_same() {
    let folder = workplace();
    gtn_in(folder.path()).args(LONGER).args(["--out", "whole"]).assert().success();
    kill_at(folder.path(), "run", 5);
    let path = folder.path().join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("digits:100", "gone")).unwrap();

    let mut resume = gtn_in(folder.path());
    let message = error(resume.args(["train", "--resume", "--out", "run"]), 1);
    assert!(message.contains("gone does not exist"), "{message}");
    let mut resume = gtn_in(folder.path());
    let other = ["train", "--resume", "--out", "run", "--data", "digits:120"];
    let message = error(resume.args(other), 2);
    assert!(message.contains("other images than those of digits:120"), "{message}");

    let moved = ["train", "--resume", "--out", "run", "--data", "digits:100"];
    gtn_in(folder.path()).args(moved).assert().success();
    assert_same(&folder.path().join("whole"), &folder.path().join("run"));
}

#[test]
fn a_torn_last_line_is_mended() {
    let folder = workplace();
    train_tiny(folder.path(), "whole");
    gtn_in(folder.path())
        .args(["train", "--config", "tiny.toml", "--out", "torn"])
        .assert()
        .success();
    let run = folder.path().join("torn");
    // As if killed in meta-iteration 9, before the first checkpoint.
    fs::remove_file(run.join("checkpoint.safetensors")).unwrap();
    let metrics = fs::read(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), &metrics[..metrics.len() - 10]).unwrap();
    gtn_in(folder.path()).args(["train", "--resume", "--out", "torn"]).assert().success();
    assert_same(&folder.path().join("whole"), &run);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_with_a_checkpoint() {
    let folder = workplace();
    let long = ["train", "--config", "tiny.toml", "--set", "iterations=3000"];
    let mut child = child()
        .current_dir(folder.path())
        .args(long)
        .args(["--out", "run"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let run = folder.path().join("run");
    wait_for(&run.join("metrics.jsonl"), 2, &mut child);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("gtn train --resume --out run"), "{said}");
    assert!(run.join("checkpoint.safetensors").is_file());
    assert!(lines(&run.join("metrics.jsonl")) < 3000);
}

#[test]
fn folders_in_use_are_respected() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let before = files(&folder.path().join("run"));

    let message =
        error(gtn_in(folder.path()).args(["train", "--config", "tiny.toml", "--out", "run"]), 2);
    assert!(message.contains("--resume"), "{message}");
    let other = ["train", "--resume", "--out", "run", "--set", "inner.lr=0.3"];
    let message = error(gtn_in(folder.path()).args(other), 2);
    assert!(message.contains("inner.lr = 0.1, not 0.3"), "{message}");
    let message = error(gtn_in(folder.path()).args(["train", "--resume", "--out", "nowhere"]), 2);
    assert!(message.contains("no run folder"), "{message}");

    let done = gtn_in(folder.path()).args(["train", "--resume", "--out", "run"]).assert().success();
    let said = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(said.contains("all 9 meta-iterations are done"), "{said}");
    assert!(files(&folder.path().join("run")) == before, "a finished run is left as it is");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let checkpoint = folder.path().join("run/checkpoint.safetensors");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let message = error(gtn_in(folder.path()).args(["train", "--resume", "--out", "run"]), 1);
    assert!(message.contains("checkpoint.safetensors"), "{message}");
}

#[test]
fn a_run_that_blows_up_keeps_its_last_checkpoint() {
    let folder = workplace();
    let wild = [
        "train",
        "--config",
        "tiny.toml",
        "--set",
        "inner.lr=5",
        "--set",
        "outer.lr=1e3",
        "--set",
        "run.checkpoint_every=1",
    ];
    let message = error(gtn_in(folder.path()).args(wild).args(["--out", "run"]), 1);
    assert!(message.contains("non-finite"), "{message}");
    let run = folder.path().join("run");
    assert!(run.join("checkpoint.safetensors").is_file());
    assert!(lines(&run.join("metrics.jsonl")) > 0);
}

#[test]
fn a_run_that_learned_nothing_leaves_room_for_another() {
    let folder = workplace();
    let train = ["train", "--config", "tiny.toml", "--out", "run"];
    let wild = ["--set", "inner.lr=1e30"];
    let message = error(gtn_in(folder.path()).args(train).args(wild), 1);
    assert!(message.contains("meta-iteration 1"), "{message}");
    gtn_in(folder.path()).args(train).assert().success();
}

#[test]
fn impossible_sizes_are_refused_before_anything_is_written() {
    let folder = workplace();
    for (key, value) in [
        ("inner.batch", "1000000000000"),
        ("inner.steps", "1000000000000"),
        ("meta.batch", "1000000000000"),
        ("teacher.noise", "100000000000000"),
        ("learner.widths", "[100000000000,2,3]"),
    ] {
        let set = format!("{key}={value}");
        let args = ["train", "--config", "tiny.toml", "--out", "run", "--set", &set];
        let message = error(gtn_in(folder.path()).args(args), 2);
        assert!(
            message.contains("at most")
                || message.contains("smaller")
                || message.contains("between"),
            "{set}: {message}"
        );
        assert!(!folder.path().join("run").exists(), "{set}");
    }
}

#[test]
fn memory_may_be_another_when_a_run_goes_on() {
    let folder = workplace();
    gtn_in(folder.path()).args(LONGER).args(["--out", "whole"]).assert().success();
    kill_at(folder.path(), "run", 5);
    let resume = ["train", "--resume", "--out", "run", "--set", "run.keep_activations=0"];
    gtn_in(folder.path()).args(resume).assert().success();
    // What was asked for is kept for the next time; nothing else differs.
    let config = folder.path().join("run/config.toml");
    let kept = fs::read_to_string(&config).unwrap();
    assert!(kept.contains("keep_activations = 0"), "{kept}");
    fs::write(&config, kept.replace("keep_activations = 0", "keep_activations = 896")).unwrap();
    assert_same(&folder.path().join("whole"), &folder.path().join("run"));
}

#[test]
fn a_run_does_not_go_on_in_a_folder_of_something_else() {
    let folder = workplace();
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("metrics.jsonl"), "{\"of\": \"another program\"}\n").unwrap();
    let before = files(&foreign);
    let train = ["train", "--resume", "--config", "tiny.toml", "--out", "foreign"];
    let message = error(gtn_in(folder.path()).args(train), 2);
    assert!(message.contains("foreign holds nothing to go on with"), "{message}");
    let message = error(gtn_in(folder.path()).args(["quickstart", "--out", "foreign"]), 2);
    assert!(message.contains("foreign holds nothing to go on with"), "{message}");
    assert!(files(&foreign) == before);
}

#[test]
fn a_run_that_fails_where_it_goes_on_keeps_its_configuration() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let run = folder.path().join("run");
    // As after a kill before the first checkpoint, on a learner that diverges at once.
    fs::remove_file(run.join("checkpoint.safetensors")).unwrap();
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let wild = config.replace("\nlr = 0.1\n", "\nlr = 1e30\n");
    assert_ne!(wild, config);
    fs::write(run.join("config.toml"), &wild).unwrap();
    error(gtn_in(folder.path()).args(["train", "--resume", "--out", "run"]), 1);
    assert_eq!(fs::read_to_string(run.join("config.toml")).unwrap(), wild);
}
