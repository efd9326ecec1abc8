//! Help, exit codes, and what is said about wrong usage.

mod common;

use clap::CommandFactory;
use common::{error, gtn, gtn_in, workplace};
use gtn_cli::args::Cli;
use std::fs;

fn stdout(args: &[&str]) -> String {
    String::from_utf8(gtn().args(args).assert().success().get_output().stdout.clone()).unwrap()
}

/// The words by which each command is called that does something by itself, of `command` and those below it.
fn commands(command: &clap::Command, words: &[&str]) -> Vec<String> {
    let itself = (!command.is_subcommand_required_set()).then(|| words.join(" "));
    let below = command.get_subcommands();
    let below = below.flat_map(|below| commands(below, &[words, &[below.get_name()]].concat()));
    itself.into_iter().chain(below).collect()
}

#[test]
fn every_command_shows_examples() {
    let all = commands(&Cli::command(), &[]);
    assert!(all.contains(&"search".into()) && all.contains(&"data info".into()), "{all:?}");
    for command in all {
        let help = stdout(&[&command.split(' ').collect::<Vec<_>>()[..], &["--help"]].concat());
        assert!(help.contains("Examples:") && help.contains(&format!("  gtn {command}")), "{help}");
    }
    assert!(stdout(&["--help"]).contains("Examples:"));
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["trian"][..],
        &["train", "--preset", "imagenet"],
        &["train", "--config", "a", "--preset", "mnist-cpu"],
        &["train", "--set", "steps"],
        &["train", "--seed", "-1"],
        &["train", "--threads", "0"],
        &["train", "--device", "tpu"],
        &["eval"],
        &["eval", "run", "--learners", "0"],
        &["export", "run", "--format", "zip", "--out", "x"],
    ] {
        gtn().args(args).assert().code(2).stdout("");
    }
}

#[test]
fn numbers_out_of_range_are_told_as_such() {
    for args in [
        "train --seed -1",
        "eval run --learners -1",
        "search --trials -1",
        "search --trials 0",
        "search --max-steps 0",
        "search --max-seconds 0",
        "search --max-seconds -1",
        "search rank found --top -1",
        "correlate --architectures -1",
        "correlate --gtn-steps 4,0",
        "correlate --real-steps -1",
    ] {
        let args: Vec<&str> = args.split_whitespace().collect();
        let output = gtn().args(&args).assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is not in "), "{args:?}: {said}");
    }
}

#[test]
fn wrong_configurations_exit_with_2_and_name_the_key() {
    let missing = if cfg!(feature = "cuda") { "this machine has" } else { "built without CUDA" };
    let folder = workplace();
    fs::write(folder.path().join("typo.toml"), "[inner]\nstpes = 3").unwrap();
    fs::write(folder.path().join("type.toml"), "iterations = 'many'").unwrap();
    fs::write(folder.path().join("torn.toml"), "[inner").unwrap();
    for (args, parts) in [
        (&["--config", "typo.toml"][..], &["typo.toml", "`inner.stpes`", "`inner.steps`"][..]),
        (&["--config", "type.toml"], &["iterations", "whole number", "\"many\""]),
        (&["--config", "torn.toml"], &["torn.toml, line 1"]),
        (&["--config", "tiny.toml", "--set", "inner.step=3"], &["`inner.step`", "`inner.steps`"]),
        (&["--config", "tiny.toml", "--set", "inner.steps=0"], &["inner.steps", "at least 1"]),
        (&["--config", "tiny.toml", "--data", "digits:3"], &["digits:3"]),
        (
            &["--config", "tiny.toml", "--device", "cuda:4000"],
            &["--device cuda:4000", "cannot be opened", missing],
        ),
        (&["--config", "tiny.toml", "--set", "data.pad=28"], &["data.pad: expected less than 28"]),
    ] {
        let mut command = gtn_in(folder.path());
        let message = error(command.args(["train", "--out", "run"]).args(args), 2);
        for part in parts {
            assert!(message.contains(part), "{message} lacks {part}");
        }
        assert!(!folder.path().join("run").exists(), "nothing is written for {args:?}");
    }
}

#[test]
fn failures_at_run_time_exit_with_1() {
    let folder = workplace();
    for args in [
        &["train", "--config", "nowhere.toml"][..],
        &["train", "--preset", "mnist-cpu"],
        &["data", "info", "nowhere"],
    ] {
        let message = error(gtn_in(folder.path()).args(args), 1);
        assert!(message.contains("nowhere") || message.contains("--data DIR"), "{message}");
    }
}

#[test]
fn data_sets_are_described() {
    let text = stdout(&["data", "info", "digits:100"]);
    assert!(text.starts_with("digits (built-in digits)\nimages 1×28×28, mean "), "{text}");
    assert!(text.contains("\nall      100          20    20\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&["data", "info", "digits:100", "--json"])).unwrap();
    assert_eq!(json["train"]["images"], 100);
    assert_eq!(json["classes"].as_array().unwrap().len(), 10);
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&["completions", shell]).contains("quickstart"), "{shell}");
    }
}

/// Where standard error is closed, a message is lost and the exit code stays.
#[cfg(unix)]
#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let program = assert_cmd::cargo::cargo_bin("gtn");
    for (args, code) in [(&["data", "info", "nowhere"][..], 1), (&["eval", "nowhere"], 2)] {
        let status = std::process::Command::new(&program)
            .args(args)
            .stderr(writer.try_clone().unwrap())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}
