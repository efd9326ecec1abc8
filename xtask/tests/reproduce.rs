//! `cargo xtask reproduce`: neither a kill nor a second start shows in what it writes.

use assert_cmd::Command;
use gtn_cli::folder_lock::FolderLock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use std::{fs, process};

fn reproduce(target: &str, out: &Path) {
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.args(["reproduce", target, "--out"]).arg(out).assert().success();
}

fn start(target: &str, out: &Path) -> Child {
    process::Command::new(assert_cmd::cargo::cargo_bin("xtask"))
        .args(["reproduce", target, "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Begins, and comes back once this is reached.
fn start_until(target: &str, out: &Path, reached: &dyn Fn() -> bool) -> Child {
    let mut child = start(target, out);
    while !reached() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Begins again and again, and is killed each time as soon as the next of these is reached.
fn kill_at(target: &str, out: &Path, moments: &[&dyn Fn() -> bool]) {
    for reached in moments {
        let mut child = start_until(target, out, reached);
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn lines(file: &Path) -> usize {
    fs::read(file).map_or(0, |text| text.iter().filter(|&&byte| byte == b'\n').count())
}

/// Every file beneath a folder, by its path in there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files but for those in which wall times stand.
fn timeless(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(folder);
    files.retain(|path, _| {
        let name = path.file_name().unwrap().to_string_lossy();
        let timed = name == "README.md" || name.ends_with(".work.json");
        !timed && !path.parent().unwrap().ends_with("parts")
    });
    files
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes_and_a_finished_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    reproduce("cifar-128", &whole);

    let smoke = killed.join("cifar-128/smoke");
    let done = smoke.join("parts/real-seed1.json");
    let begun = || smoke.join("configs/real-seed1.toml").exists();
    let metrics = smoke.join("runs/gtn-full-seed1/metrics.jsonl");
    // Killed in the first part; and in the second, between two checkpoints.
    kill_at("cifar-128", &killed, &[&begun, &|| lines(&metrics) > 15]);
    // Ctrl-C says that it is not done.
    let log = smoke.join("runs/gtn-full-seed1.work.json");
    let before = fs::read(&log).unwrap();
    let at_work = || fs::read(&log).unwrap() != before && lines(&metrics) > 20;
    let mut stopped = start_until("cifar-128", &killed, &at_work);
    let interrupt = ["-INT", &stopped.id().to_string()];
    assert!(process::Command::new("kill").args(interrupt).status().unwrap().success());
    assert_eq!(stopped.wait().unwrap().code(), Some(130));
    let early = fs::read_to_string(smoke.join("README.md")).unwrap();
    assert!(early.contains("1 of 2 parts are done; not yet: gtn-full-seed1."), "{early}");
    let index = fs::read_to_string(killed.join("README.md")).unwrap();
    assert!(index.contains("1 of 2 parts are done; not yet: gtn-full-seed1."), "{index}");
    let first = fs::read(&done).unwrap();
    reproduce("cifar-128", &killed);
    assert_eq!(fs::read(&done).unwrap(), first, "a part that is done is left alone");
    let (whole, went_on) = (timeless(&whole), timeless(&killed));
    assert_eq!(whole.keys().collect::<Vec<_>>(), went_on.keys().collect::<Vec<_>>());
    for (path, bytes) in &whole {
        assert!(*bytes == went_on[path], "{} differs", path.display());
    }

    let before = files(&killed);
    reproduce("cifar-128", &killed);
    assert!(files(&killed) == before, "nothing is measured twice");

    // What was found with other settings is not lost unasked; other settings alone are in nobody's way.
    let config = smoke.join("configs/real-seed1.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("batch = ", "batch = 1", 1)).unwrap();
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.args(["reproduce", "cifar-128", "--out"]).arg(&killed);
    let output = command.assert().code(1).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    let advice = format!("remove {} and ", done.display());
    assert!(message.contains("was begun with other settings (`batch = 1"), "{message}");
    assert!(message.contains(&advice), "{message}");
    fs::write(&config, text).unwrap();
    assert!(files(&killed) == before, "who is refused leaves the page as it was");
    fs::write(&config, "batch = 1").unwrap();
    fs::remove_file(&done).unwrap();
    fs::remove_file(smoke.join("runs/real-seed1.work.json")).unwrap();
    reproduce("cifar-128", &killed);
    assert!(timeless(&killed) == whole);
}

/// The results of all parts but for times, and the state of the checkout.
fn results(folder: &Path) -> BTreeMap<PathBuf, Value> {
    fn timeless(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|key, _| key != "seconds" && key != "commit");
                object.values_mut().for_each(timeless);
            }
            Value::Array(values) => values.iter_mut().for_each(timeless),
            _ => {}
        }
    }
    let read = |(path, text): (PathBuf, Vec<u8>)| {
        let mut value = serde_json::from_slice(&text).unwrap();
        timeless(&mut value);
        (path, value)
    };
    files(&folder.join("parts")).into_iter().map(read).collect()
}

#[test]
fn killed_searches_go_on_to_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    reproduce("nas-search", &whole);
    let smoke = killed.join("nas-search/smoke");
    let [sample, search, winners] = [
        "sample/architectures.jsonl",
        "evolution-gtn/seed2/trials.jsonl",
        "winners/architectures.jsonl",
    ]
    .map(|name| smoke.join("runs").join(name));
    kill_at(
        "nas-search",
        &killed,
        &[&|| lines(&sample) > 1, &|| lines(&search) > 2, &|| lines(&winners) > 0],
    );
    reproduce("nas-search", &killed);
    let (whole, killed) = (whole.join("nas-search/smoke"), smoke);
    assert_eq!(results(&whole), results(&killed));
    for file in [sample, search, winners] {
        let name = file.strip_prefix(&killed).unwrap();
        assert_eq!(lines(&file), lines(&whole.join(name)), "{}: nothing twice", name.display());
    }
}

#[test]
fn a_part_is_measured_anew_where_only_results_were_kept() {
    let folder = tempfile::tempdir().unwrap();
    reproduce("nas-search", folder.path());
    let smoke = folder.path().join("nas-search/smoke");
    let before = results(&smoke);
    // As in a clone, from which someone removes one part.
    fs::remove_dir_all(smoke.join("runs")).unwrap();
    fs::remove_file(smoke.join("parts/evolution-gtn.json")).unwrap();
    // What was found has gone into other parts, which are measured anew with it.
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.args(["reproduce", "nas-search", "--out"]).arg(folder.path());
    let output = command.assert().code(1).get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("has gone into what was measured after it"), "{message}");
    let winners = smoke.join("parts/winners.json");
    assert!(message.contains(&format!("remove {} to measure", winners.display())), "{message}");
    fs::remove_file(winners).unwrap();
    reproduce("nas-search", folder.path());
    assert_eq!(results(&smoke), before);
}

#[test]
fn two_do_not_measure_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::take(&folder.path().join("mnist-32/smoke")).unwrap();
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.args(["reproduce", "mnist-32", "--out"]).arg(folder.path());
    let output = command.assert().failure().get_output().clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("mnist-32/smoke is in use by another gtn"), "{message}");
    assert!(!folder.path().join("mnist-32/smoke/parts").exists());
    drop(lock);
}

#[test]
fn what_cannot_be_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str]| {
        let mut command = Command::cargo_bin("xtask").unwrap();
        command.current_dir(folder.path()).args(["reproduce", "--out", "out"]).args(args);
        let output = command.assert().failure().get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        text.lines().filter(|line| line.starts_with("error: ")).collect::<Vec<_>>().join("\n")
    };
    let message = refused(&["--profile", "cuda"]);
    assert!(message.contains("MNIST is not in data: expected mnist/"), "{message}");
    let message = refused(&["mnist-32", "--profile", "cpu", "--data", "nowhere"]);
    assert!(message.contains("MNIST is not in nowhere: expected mnist/"), "{message}");
    for args in [&["--resume"][..], &["curriculum", "--resume"]] {
        let message = refused(args);
        assert!(message.contains("nothing of profile smoke was begun in out"), "{message}");
    }
    let message = refused(&["mnist-64"]);
    assert!(message.contains("invalid value 'mnist-64'"), "{message}");
    assert!(!folder.path().join("out").exists());
}
