//! `gtn search` and `gtn search rank`: nothing is lost, nothing is done twice, and neither workers nor
//! interruptions show in what is found.

mod common;

use common::{child, error, files, gtn_in, interrupt, lines, train_tiny, wait_for, workplace};
use gtn_cli::folder_lock::FolderLock;
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
    // More of the best, and other steps, are trained beside them.
    let trainings = || fs::read_to_string(found.join("ranking.jsonl")).unwrap();
    let three = trainings();
    search(folder.path(), "search rank found --top 3 --learners 1 --steps 2");
    let other_steps = trainings();
    assert!(other_steps.starts_with(&three));
    assert_eq!(other_steps.lines().count(), three.lines().count() + 3 + 1);
    let five = "--top 5 --learners 2 --json";
    let later = search(folder.path(), &format!("search rank found {five} --workers 1"));
    assert!(trainings().starts_with(&other_steps));
    search(folder.path(), "search --config found/search.toml --out again");
    let at_once = search(folder.path(), &format!("search rank again {five} --workers 3"));
    assert_eq!(at_once, later, "what was trained before decides nothing");
    // Trainings of other settings are no rivals of these.
    let config = found.join("search.toml");
    let other = fs::read_to_string(&config).unwrap().replace("lr = 0.1", "lr = 0.2");
    fs::write(&config, other).unwrap();
    let message = error(gtn_in(folder.path()).args(args(rank)), 1);
    assert!(message.contains("trained with other settings than search.toml has now"), "{message}");
}

#[test]
fn one_process_at_a_time_writes_into_a_folder() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    search(folder.path(), &format!("{REAL} --trials 3 --out found"));
    for (line, out) in [
        ("search --resume --out found", "found"),
        ("search rank found", "found"),
        ("correlate --resume --out found", "found"),
        ("train --resume --out run", "run"),
        ("quickstart --smoke --out run", "run"),
    ] {
        let path = folder.path().join(out);
        let lock = FolderLock::take(&path).unwrap();
        let before = files(&path);
        let message = error(gtn_in(folder.path()).args(args(line)), 1);
        assert!(message.contains(&format!("{out} is in use by another gtn")), "{message}");
        assert!(files(&path) == before, "{line}");
        drop(lock);
    }
    // What a killed process leaves behind is in nobody's way.
    fs::write(folder.path().join("found/.lock"), "").unwrap();
    search(folder.path(), "search --resume --out found --trials 4");
    assert_eq!(trials(&folder.path().join("found")).len(), 4);
    assert!(!folder.path().join("found/.lock").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_does_not_wait_for_tuning() {
    let folder = workplace();
    let line = "search --evaluator real --data digits:100 --set judged=20 --trials 1 --out found";
    let mut child = child()
        .current_dir(folder.path())
        .args(args(line))
        // As good as endless.
        .args(["--set", "tuning.steps=1000000000"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.path().join("found/.lock").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.ends_with("stopped; go on with: the same command\n"), "{said}");
    search(folder.path(), &format!("{line} --set tuning.steps=1"));
}

#[test]
fn proxies_look_at_no_image_twice() {
    let folder = workplace();
    let line =
        "search --evaluator naswot --space macro --data digits:50 --trials 3 --out found --json";
    let summary: Value = serde_json::from_str(&search(folder.path(), line)).unwrap();
    assert_eq!(summary["failed"], 0, "{summary}");
}

#[test]
fn no_more_threads_are_started_than_there_are_candidates() {
    let folder = workplace();
    let many = "--workers 60000";
    search(folder.path(), &format!("{REAL} --trials 3 {many} --ahead 60000 --out found"));
    search(folder.path(), &format!("search rank found --top 2 --learners 1 --steps 1 {many}"));
    assert_eq!(trials(&folder.path().join("found")).len(), 3);
}

#[test]
fn teacher_and_data_may_lie_elsewhere_but_are_the_same() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    search(
        folder.path(),
        "search --run run --trials 3 --set full.steps=2 --set full.lr=0.1 --set full.momentum=0.5 --out found",
    );
    let found = folder.path().join("found");
    let whole = trials(&found);
    fs::rename(folder.path().join("run"), folder.path().join("moved")).unwrap();
    let path = found.join("search.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains("data = \"digits:100\""), "{config}");
    fs::write(&path, config.replace("digits:100", "gone")).unwrap();

    let refused = |line: &str, code| error(gtn_in(folder.path()).args(args(line)), code);
    assert!(refused("search --resume --out found", 2).contains("no config.toml"));
    assert!(refused("search --resume --run moved --out found", 1).contains("gone does not exist"));
    let there = "--run moved --data digits:100";
    search(folder.path(), &format!("search rank found {there} --top 2 --learners 1"));
    search(folder.path(), "search --resume --out found --trials 4");
    assert_eq!(trials(&found)[..3], whole);

    train_tiny(folder.path(), "other");
    let set = ["train", "--config", "tiny.toml", "--seed", "6", "--out", "another"];
    gtn_in(folder.path()).args(set).assert().success();
    search(folder.path(), "search --resume --run other --out found");
    let before = files(&found);
    for (line, why) in [
        ("--run another", "begun with another teacher than that of another"),
        ("--data digits:120", "begun with other images"),
    ] {
        for command in ["search --resume --out found", "search rank found"] {
            let message = refused(&format!("{command} {line}"), 2);
            assert!(message.contains(why), "{message}");
        }
    }
    assert!(files(&found) == before);
}

#[test]
fn a_teacher_of_other_learners_is_warned_about() {
    let folder = workplace();
    train_tiny(folder.path(), "run");
    let space = ["train", "--config", "tiny.toml", "--set", "learner.space=macro", "--out", "own"];
    gtn_in(folder.path()).args(space).assert().success();
    for (run, warned) in [("run", true), ("own", false)] {
        let line = format!("search --quiet --run {run} --trials 1 --out by-{run}");
        let output = gtn_in(folder.path()).args(args(&line)).assert().success();
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(said.contains("not with those of the space macro"), warned, "{said}");
    }
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
    let journal = killed.join("trials.jsonl");
    let mut before = Vec::new();
    for reached in [0, 1, 3, 8, 15, 23] {
        let mut child = child()
            .current_dir(folder.path())
            .args(args(&format!("{line} --resume --out killed")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&journal, reached, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached > 8 || lines(&journal) < 24, "killed too late");
        let now = fs::read(&journal).unwrap_or_default();
        let sound = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        assert!(now.starts_with(&before[..sound]), "what was finished stays as it is");
        before = now;
    }
    search(folder.path(), "search --resume --out killed");
    assert_eq!(trials(&killed), trials(&folder.path().join("whole")));
    // Done, and still so when asked again; with a larger budget it goes on.
    let done = files(&killed);
    let output = gtn_in(folder.path()).args(args("search --resume --out killed")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("nothing was left to try"), "{said}");
    assert!(files(&killed) == done);
    search(folder.path(), "search --resume --out killed --trials 26");
    assert_eq!(trials(&killed).len(), 26);
    assert_eq!(trials(&killed)[..24], trials(&folder.path().join("whole")));
}

#[test]
fn what_is_resumed_before_it_begun_begins_and_says_so() {
    let folder = workplace();
    let nowhere =
        gtn_in(folder.path()).args(args("search --resume --out nowhere")).output().unwrap();
    let said = String::from_utf8(nowhere.stderr).unwrap();
    assert!(said.contains("nothing was begun in nowhere yet"), "{said}");
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
    assert!(message.contains("trials.jsonl, line 1: expected the JSON of one trial"), "{message}");
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
        ("search --evaluator params --max-steps 4 --data digits:100 --out a", "would never end"),
        ("search --evaluator params --set ahead=0 --out a", "ahead must be at least 1"),
        ("search --evaluator params --set strategy=greedy --out a", "expected one of random"),
        (
            "search --evaluator params --set full.augment.cut=3 --out a",
            "expected one of `pad`, `flip`, `cutout`",
        ),
        (
            "search --evaluator params --set budget.trials=0 --out a",
            "budget.trials must be at least 1",
        ),
        (
            "search --evaluator real --set real.batch=9000000000000000000 --out a",
            "real.batch must be at most 100000, found 9000000000000000000",
        ),
        (
            "search --evaluator real --set tuning.architectures=100000000000 --out a",
            "tuning.architectures must be at most 100000",
        ),
        (
            "search --evaluator params --set budget.steps=0 --out a",
            "budget.steps must be at least 1",
        ),
        (
            "search --evaluator params --set budget.seconds=-1 --out a",
            "budget.seconds must be above 0",
        ),
        ("search --evaluator params --set budget.seconds=nan --out a", "above 0, found NaN"),
        (
            "search --evaluator real --set full.augment.pad=28 --data digits:100 --out a",
            "full.augment.pad: expected less than 28, the image's shorter side, found 28",
        ),
        (
            "search --evaluator real --set full.augment.cutout=30 --data digits:100 --out a",
            "full.augment.cutout: expected less than 28, the image's shorter side, found 30",
        ),
        (
            "search --resume --evaluator params --out run",
            "run holds nothing to go on with (there is no search.toml in it)",
        ),
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
    let before = files(&folder.path().join("b"));
    for (less, why) in [
        ("--trials 2", "has done 3 trials already, so that it cannot end after 2"),
        ("--set budget.seconds=1e-9", "cannot end after 0.000000001"),
    ] {
        let line = format!("search --resume --out b {less}");
        let message = error(gtn_in(folder.path()).args(args(&line)), 2);
        assert!(message.contains(why), "{message}");
    }
    assert!(files(&folder.path().join("b")) == before);
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
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("gtn search --resume --out found"), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().contains(" trials, "));
}

#[test]
fn a_search_in_which_nothing_succeeds_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let line = "search --evaluator real --set real.lr=1e30 --set real.momentum=0.5 --data digits:100 --trials 2 \
                --steps 2 --out search";
    let message = error(gtn_in(folder.path()).args(args(line)), 1);
    assert!(message.contains("all 2 failed, the first for this reason: "), "{message}");
}
