//! What the tests of the command line share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, process};

/// A configuration of which every meta-iteration takes milliseconds.
pub(crate) const TINY: &str = "
seed = 5
iterations = 9
[data]
path = 'digits:100'
[learner]
preset = 'conv2_fc'
widths = [2, 3, 4]
[teacher]
kind = 'generator'
noise = 3
widths = [6, 3, 2]
[inner]
steps = 3
batch = 10
lr = 0.1
[meta]
batch = 12
[run]
checkpoint_every = 4
validate_every = 3
";

/// The command, to be given arguments.
pub(crate) fn gtn() -> Command {
    Command::cargo_bin("gtn").expect("the binary is built with its tests")
}

/// The same as a child process that can be killed.
pub(crate) fn child() -> process::Command {
    process::Command::new(assert_cmd::cargo::cargo_bin("gtn"))
}

/// Presses Ctrl-C in a child process.
pub(crate) fn interrupt(child: &process::Child) {
    let pressed = process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(pressed.expect("there is a kill").success());
}

/// A folder to work in, with `tiny.toml` in it.
pub(crate) fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("tiny.toml"), TINY).expect("the folder can be written");
    folder
}

/// The command in a folder.
pub(crate) fn gtn_in(folder: &Path) -> Command {
    let mut command = gtn();
    command.current_dir(folder);
    command
}

/// Trains as `tiny.toml` says, into `out`.
pub(crate) fn train_tiny(folder: &Path, out: &str) {
    gtn_in(folder).args(["train", "--config", "tiny.toml", "--out", out]).assert().success();
}

/// Whole lines of a file that grows by lines, which need not be there yet.
pub(crate) fn lines(file: &Path) -> usize {
    fs::read(file).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// Waits until a child process has written so many lines to a file; fails if it ends before.
pub(crate) fn wait_for(file: &Path, count: usize, child: &mut process::Child) {
    while lines(file) < count {
        let ended = child.try_wait().expect("a child process").is_some();
        assert!(!ended || lines(file) >= count, "ended before line {count}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Every file beneath a folder, by its path in there.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("beneath").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// Fails unless two folders hold the same files with the same bytes.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (files(left), files(right));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (name, bytes) in &left {
        assert!(bytes == &right[name], "{} differs", name.display());
    }
}

/// What a command that must fail with `code` says on standard error: one line without a trace of a panic.
pub(crate) fn error(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!text.contains("panicked"), "{text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}
