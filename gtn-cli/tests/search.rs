//! `gtn search` and `gtn search rank`: nothing is lost, nothing is done twice, and neither workers nor
//! interruptions show in what is found.

mod common;

use common::{child, error, files, gtn_in, train_tiny, workplace};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// By real data in two steps, without tuning.
const REAL: &str = "search --evaluator real --steps 2 --data digits:100 --set real.lr=0.1 \
                    --set real.momentum=0.5 --set judged=20 --space cell:nodes=2,channels=2";

fn args(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The lines of `trials.jsonl` by trial, without what the clock says.
fn trials(search: &Path) -> Vec<Value> {
    let text = fs::read_to_string(search.join("trials.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut trials: Vec<Value> =
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for trial in &mut trials {
        let fields = trial.as_object_mut().unwrap();
        assert!(fields.remove("seconds").is_some() && fields.remove("elapsed").is_some());
    }
    trials.sort_by_key(|trial| trial["trial"].as_u64());
    trials
}

fn search(folder: &Path, line: &str) -> String {
    let output = gtn_in(folder).args(args(line)).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn a_search_by_a_teacher_is_ranked_and_reported() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let printed = search(
        folder.path(),
        "search --run run --strategy hyperband --trials 12 --set full.steps=3 --set full.lr=0.1 \
         --set full.momentum=0.5 --out found --json",
    );
    let summary: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(summary["trials"], 12);
    assert_eq!((&summary["space"], &summary["strategy"]), (&"macro".into(), &"hyperband".into()));
    let found = folder.path().join("found");
    let trials = trials(&found);
    assert_eq!(trials.len(), 12);
    let steps: Vec<u64> = trials.iter().filter_map(|trial| trial["steps"].as_u64()).collect();
    assert!(steps.contains(&1) && steps.iter().all(|&steps| steps <= 3), "{steps:?}");
    let best = summary["best"]["arch"].as_str().unwrap();
    assert!(trials.iter().any(|trial| trial["arch"] == best));

    let page = |text: &str| fs::read_to_string(found.join("report.html")).unwrap().contains(text);
    search(folder.path(), "report found");
    assert!(page(best) && page("have not been trained for long yet"));
    let rank = "search rank found --top 3 --learners 2 --json";
    let ranked = search(folder.path(), rank);
    let ranking: Value = serde_json::from_str(&ranked).unwrap();
    assert_eq!((&ranking["steps"], &ranking["test"]["n"]), (&3.into(), &2.into()));
    let validation: Vec<f64> = ranking["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| candidate["validation"].as_f64().unwrap())
        .collect();
    assert_eq!(validation.len(), 3);
    assert!(validation.is_sorted_by(|a, b| a >= b), "{validation:?}");
    // Finished trainings are kept: the same again, without any.
    let before = files(&found);
    assert_eq!(search(folder.path(), rank), ranked);
    assert!(files(&found) == before);
    search(folder.path(), "report found");
    assert!(page("Validation accuracy"));
    let message = error(gtn_in(folder.path()).args(args("search rank found --steps 5")), 1);
    assert!(message.contains("ranking.jsonl") && message.contains("rank anew"), "{message}");
}

#[test]
fn workers_do_not_show() {
    let folder = workplace();
    for workers in [1, 3] {
        let line = format!("{REAL} --trials 10 --workers {workers} --out with-{workers}");
        search(folder.path(), &line);
    }
    let [one, three] = ["with-1", "with-3"].map(|out| trials(&folder.path().join(out)));
    assert_eq!(one.len(), 10);
    assert_eq!(one, three);
    let again = "search --config with-1/search.toml --out again";
    search(folder.path(), again);
    assert_eq!(trials(&folder.path().join("again")), one, "search.toml alone repeats it");
    search(folder.path(), &format!("{REAL} --trials 10 --seed 1 --out other"));
    assert_ne!(trials(&folder.path().join("other")), one);
}

#[test]
fn a_killed_search_loses_nothing_and_repeats_nothing() {
    let folder = workplace();
    let line = format!("{REAL} --strategy bananas --trials 24 --workers 2");
    search(folder.path(), &format!("{line} --out whole"));
    let killed = folder.path().join("killed");
    let count = || {
        fs::read(killed.join("trials.jsonl"))
            .map_or(0, |text| text.split(|&b| b == b'\n').count() - 1)
    };
    let mut before = Vec::new();
    for reached in [0, 1, 3, 8, 15, 23] {
        let mut child = child()
            .current_dir(folder.path())
            .args(args(&format!("{line} --resume --out killed")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while count() < reached && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read(killed.join("trials.jsonl")).unwrap_or_default();
        let sound = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        assert!(now.starts_with(&before[..sound]), "what was finished stays as it is");
        before = now;
    }
    search(folder.path(), "search --resume --out killed");
    assert_eq!(trials(&killed), trials(&folder.path().join("whole")));
    // Done, and still so when asked again; with a larger budget it goes on.
    let done = files(&killed);
    search(folder.path(), "search --resume --out killed");
    assert!(files(&killed) == done);
    search(folder.path(), "search --resume --out killed --trials 26");
    assert_eq!(trials(&killed).len(), 26);
    assert_eq!(trials(&killed)[..24], trials(&folder.path().join("whole")));
}

#[test]
fn a_damaged_last_line_is_cut_off_and_done_again() {
    let folder = workplace();
    search(folder.path(), &format!("{REAL} --trials 6 --out found"));
    let found = folder.path().join("found");
    let (path, whole) = (found.join("trials.jsonl"), trials(&found));
    let text = fs::read(&path).unwrap();
    let (torn, garbage) = (text[..text.len() - 10].to_vec(), [&text[..], b"\0\0\0"].concat());
    for damaged in [torn, garbage] {
        fs::write(&path, damaged).unwrap();
        let output =
            gtn_in(folder.path()).args(args("search --resume --out found")).assert().success();
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(said.contains("trials.jsonl, line ") && said.contains("cut off"), "{said}");
        assert_eq!(trials(&found), whole);
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"trial\"", "trial", 1)).unwrap();
    let message = error(gtn_in(folder.path()).args(args("search --resume --out found")), 1);
    assert!(message.contains("trials.jsonl, line 1: damaged"), "{message}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    for (line, why) in [
        ("search --out a", "needs a trained teacher"),
        ("search --run nowhere --out a", "no config.toml"),
        ("search --run run --steps 4 --out a", "curriculum has 3 steps, found 4"),
        (
            "search --evaluator params --strategy halving --data digits:100 --out a",
            "an evaluator that trains",
        ),
        ("search --evaluator params --steps 4 --data digits:100 --out a", "does not train"),
        ("search --evaluator params --set ahead=0 --out a", "ahead must be at least 1"),
        ("search --evaluator params --set strategy=greedy --out a", "expected one of random"),
        (
            "search --evaluator params --set full.augment.cut=3 --out a",
            "expected one of `pad`, `flip`, `cutout`",
        ),
        ("search --evaluator real --set full.augment.pad=28 --data digits:100 --out a", "padding"),
        ("search --resume --evaluator params --out run", "run is not empty"),
        ("search rank run", "there is no search.toml in run"),
    ] {
        let message = error(gtn_in(folder.path()).args(args(line)), 2);
        assert!(message.contains(why), "{line}: {message}");
    }
    for line in ["search --space micro", "search --strategy greedy", "search --evaluator best"] {
        gtn_in(folder.path()).args(args(line)).assert().code(2);
    }
    assert!(!folder.path().join("a").exists(), "what is refused leaves nothing behind");

    search(folder.path(), "search --evaluator params --data digits:100 --trials 3 --out b");
    let message = error(gtn_in(folder.path()).args(args("search --evaluator params --out b")), 2);
    assert!(message.contains("--resume"), "{message}");
    let other = args("search --resume --seed 3 --out b");
    let message = error(gtn_in(folder.path()).args(other), 2);
    assert!(message.contains("seed = 0, not 3"), "{message}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_once_what_is_under_way_is_done() {
    let folder = workplace();
    let child = child()
        .current_dir(folder.path())
        .args(args(&format!("{REAL} --trials 100000 --out found")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let found = folder.path().join("found");
    while trials(&found).len() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupt = ["-INT", &child.id().to_string()];
    assert!(std::process::Command::new("kill").args(interrupt).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("gtn search --resume --out found"), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("candidates tried"));
}
