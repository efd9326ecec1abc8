//! `gtn correlate`: the same whoever computes it and however often it is interrupted.

mod common;

use common::{child, error, files, gtn_in, train_tiny, wait_for, workplace};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const TINY: &str = "correlate --run run --architectures 5 --gtn-steps 1,3 --real-steps 1,2,4 --full-steps 3 \
                    --full-learners 2 --set real.lr=0.1 --set real.momentum=0.5 --set resamples=50 --set judged=20";

fn args(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The statistics without seconds.
fn statistics(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("correlation.json")).unwrap();
    let mut found: Value = serde_json::from_str(&text).unwrap();
    found["truth"].as_object_mut().unwrap().remove("seconds").unwrap();
    for row in found["rows"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("seconds").unwrap();
    }
    found
}

#[test]
fn estimates_are_compared_with_long_trainings() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let run = |line: &str| {
        let output = gtn_in(folder.path()).args(args(line)).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let printed = run(&format!("{TINY} --workers 1 --out one"));
    for part in
        ["GTN, 3 steps", "real data, 4 steps", "synflow", "5 architectures of the space macro"]
    {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let one = folder.path().join("one");
    let names: Vec<_> = files(&one).into_keys().map(|name| name.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "architectures.jsonl",
            "correlate.toml",
            "correlation.csv",
            "correlation.json",
            "correlation.md",
            "correlation.svg",
            "materials.json",
        ]
    );
    let found = statistics(&one);
    assert_eq!(found["rows"].as_array().unwrap().len(), 2 + 3 + 5);
    let ranks =
        |row: &&Value| row["by"] == "gtn" && row["all"]["spearman"]["value"].as_f64() > Some(0.0);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(found["matches"].as_array().unwrap().len(), rows.iter().filter(ranks).count());
    assert!(found["truth"]["reliability"].is_number());
    let csv = fs::read_to_string(one.join("correlation.csv")).unwrap();
    assert_eq!(csv.lines().count(), 11);
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == 4 + 6 * 3), "{csv}");

    let json = run("correlate --config one/correlate.toml --workers 3 --out three --json");
    assert_eq!(statistics(&folder.path().join("three")), found);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["architectures"], 5);

    assert_eq!(run("report one"), "one/report.html\n");
    let page = fs::read_to_string(one.join("report.html")).unwrap();
    assert!(page.contains("Rank correlation by steps") && page.contains("<svg"));
    // A larger sample begins with the smaller one.
    run("correlate --resume --architectures 6 --out one");
    let lines = fs::read_to_string(one.join("architectures.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 6);
}

#[test]
fn a_killed_one_goes_on() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    gtn_in(folder.path()).args(args(&format!("{TINY} --out whole"))).assert().success();
    let killed = folder.path().join("killed");
    let path = killed.join("architectures.jsonl");
    for reached in [0, 1, 3] {
        let mut child = child()
            .current_dir(folder.path())
            .args(args(&format!("{TINY} --workers 2 --resume --out killed")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&path, reached, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.join("correlation.json").exists(), "killed too late");
    }
    // And torn, too.
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len().saturating_sub(30)]).unwrap();
    gtn_in(folder.path()).args(["correlate", "--resume", "--out", "killed"]).assert().success();
    assert_eq!(statistics(&killed), statistics(&folder.path().join("whole")));
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    for (line, why) in [
        ("correlate --gtn-steps 2 --out a", "without a trained teacher"),
        ("correlate --run run --gtn-steps 2,4 --out a", "curriculum has 3 steps, found 4"),
        (
            "correlate --run run --real-steps 4,4 --out a",
            "real_steps must be numbers from 1 that rise",
        ),
        ("correlate --run run --set proxies=[\"jacob\"] --out a", "expected one of params"),
        ("correlate --proxies params,params --out a", "proxies: params is there twice"),
        ("correlate --set real_steps=[] --set proxies=[] --out a", "are all empty"),
        ("correlate --run run --set architecture=3 --out a", "did you mean `architectures`"),
        ("report nowhere", "no run folder"),
    ] {
        let message = error(gtn_in(folder.path()).args(args(line)), 2);
        assert!(message.contains(why), "{line}: {message}");
    }
    assert!(!folder.path().join("a").exists());
    gtn_in(folder.path()).args(args(&format!("{TINY} --out b"))).assert().success();
    let less = args("correlate --resume --out b --architectures 4");
    let before = files(&folder.path().join("b"));
    let message = error(gtn_in(folder.path()).args(less), 2);
    assert!(message.contains("some of the first 5 architectures already"), "{message}");
    assert!(files(&folder.path().join("b")) == before);
    fs::remove_file(folder.path().join("b/correlation.json")).unwrap();
    let message = error(gtn_in(folder.path()).args(args("report b")), 1);
    assert!(message.contains("gtn correlate --resume --out b"), "{message}");
    let message =
        error(gtn_in(folder.path()).args(args("correlate --resume --out b --full-steps 4")), 2);
    assert!(message.contains("full.steps = 3, not 4"), "{message}");
    let config = folder.path().join("b/correlate.toml");
    let edited = fs::read_to_string(&config).unwrap().replacen("steps = 3", "steps = 4", 1);
    fs::write(&config, edited).unwrap();
    let message = error(gtn_in(folder.path()).args(args("correlate --resume --out b")), 1);
    assert!(message.contains("was not judged by full after 4 steps"), "{message}");
}
