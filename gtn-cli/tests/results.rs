//! What is made of a finished run: `gtn eval`, `gtn report`, `gtn export`.

mod common;

use common::{error, files, gtn_in, train_tiny, workplace};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_is_evaluated_reported_and_exported() {
    let folder = workplace();
    train_tiny(folder.path(), "run");

    let eval = |more: &[&str]| {
        let output = gtn_in(folder.path()).args(["eval", "run"]).args(more).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let printed = eval(&["--json", "--learners", "2"]);
    let result: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(keys(&result), ["real", "steps", "synthetic"]);
    assert_eq!(result["steps"], 3);
    assert_eq!(keys(&result["synthetic"]), ["mean", "n", "std"]);
    assert_eq!(keys(&result["real"]), ["lr", "mean", "momentum", "n", "std"]);
    for kind in ["synthetic", "real"] {
        assert_eq!(result[kind]["n"], 2);
        assert!((0.0..=1.0).contains(&result[kind]["mean"].as_f64().unwrap()));
    }
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("run/eval.json")).unwrap())
            .unwrap();
    assert_eq!(kept["real"], result["real"]);
    let steps: Vec<_> =
        kept["curve"].as_array().unwrap().iter().map(|point| &point["step"]).collect();
    assert_eq!(steps, [1, 2, 3]);

    assert_eq!(eval(&["--json", "--learners", "2", "--threads", "1"]), printed);

    let judged = |split| -> Value {
        let printed = eval(&["--split", split, "--json", "--learners", "2"]);
        serde_json::from_str(&printed).unwrap()
    };
    for split in ["validation", "train"] {
        let result = judged(split);
        assert_eq!(keys(&result), ["split", "steps", "synthetic"]);
        assert_eq!(result["split"], split);
        assert_eq!(result["synthetic"]["n"], 2);
    }
    let table = eval(&["--split", "validation", "--learners", "1"]);
    assert!(table.contains("validation accuracy") && !table.contains("real data"), "{table}");
    let after: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("run/eval.json")).unwrap())
            .unwrap();
    assert_eq!(after, kept);
    assert_ne!(judged("train")["synthetic"], result["synthetic"]);
    assert_eq!(judged("test"), result);
    let table = eval(&["--learners", "1", "--learner", "conv2_fc:3,3,3"]);
    assert!(table.contains("synthetic data") && table.contains("real data"), "{table}");
    fs::write(
        folder.path().join("other.toml"),
        "[learner]\npreset = 'conv5_gap'\nwidths = [2, 2, 2]",
    )
    .unwrap();
    eval(&["--learners", "1", "--learner", "other.toml"]);

    gtn_in(folder.path()).args(["report", "run/"]).assert().success().stdout("run/report.html\n");
    let page = fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.contains("run/config.toml") && !page.contains("run//"));
    assert!(page.contains("data:image/png;base64,"));
    // The data need not be there any more.
    let path = folder.path().join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let gone = config.replace("digits:100", "gone");
    assert_ne!(gone, config);
    fs::write(&path, gone).unwrap();
    gtn_in(folder.path()).args(["report", "run"]).assert().success();
    fs::write(&path, config).unwrap();

    for format in ["safetensors", "npz", "idx", "png"] {
        let export = ["export", "run", "--format", format, "--out", format];
        gtn_in(folder.path()).args(export).assert().success();
        assert!(files(&folder.path().join(format)).contains_key(Path::new("teaching.json")));
        error(gtn_in(folder.path()).args(export), 2);
    }
    // Exported images are a data set again.
    let train = folder.path().join("png/train");
    assert_eq!(files(&train).len(), 30);
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = workplace();
    let run = |args: &[&str], code| error(gtn_in(folder.path()).args(args), code);
    let message = run(&["eval", "nowhere"], 2);
    assert!(message.contains("no run folder"), "{message}");

    train_tiny(folder.path(), "run");
    let message = run(&["eval", "run", "--learner", "conv3"], 2);
    assert!(message.contains("conv2_fc"), "{message}");
    for command in [&["eval", "run"][..], &["export", "run", "--format", "npz", "--out", "made"]] {
        let other = [command, &["--data", "digits:120"]].concat();
        let message = run(&other, 2);
        assert!(
            message.contains("holds a run on other images than those of digits:120"),
            "{message}"
        );
    }
    assert!(!folder.path().join("run/eval.json").exists() && !folder.path().join("made").exists());
    let message = run(&["eval", "run", "--data", "nowhere"], 1);
    assert!(message.contains("does not exist"), "{message}");
    // Real images of another shape: two classes of 8×8.
    for (split, class) in [("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")] {
        let place = folder.path().join("small").join(split).join(class);
        fs::create_dir_all(&place).unwrap();
        for number in 0..20 {
            image::GrayImage::new(8, 8).save(place.join(format!("{number}.png"))).unwrap();
        }
    }
    let message = run(&["eval", "run", "--data", "small"], 1);
    assert!(message.contains("1×8×8"), "{message}");

    // Nothing is held out: nothing can be tuned, but the teacher can be judged by other images.
    let bare = ["train", "--config", "tiny.toml", "--set", "data.validation=0", "--out", "bare"];
    gtn_in(folder.path()).args(bare).assert().success();
    let message = run(&["eval", "bare"], 1);
    assert!(message.contains("the validation split is empty"), "{message}");
    let train = ["eval", "bare", "--split", "train", "--learners", "1"];
    gtn_in(folder.path()).args(train).assert().success();

    fs::remove_file(folder.path().join("run/checkpoint.safetensors")).unwrap();
    for command in [
        &["eval", "run"][..],
        &["report", "run"],
        &["export", "run", "--format", "npz", "--out", "x"],
    ] {
        let message = run(command, 1);
        assert!(message.contains("no checkpoint yet"), "{message}");
    }
}

#[test]
fn quickstart_tells_the_whole_story() {
    let folder = workplace();
    let output =
        gtn_in(folder.path()).args(["quickstart", "--smoke", "--out", "smoke"]).assert().success();
    let said = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(said.contains("synthetic data") && said.contains("Next:"), "{said}");
    let made = files(&folder.path().join("smoke"));
    for name in
        ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "eval.json", "report.html"]
    {
        assert!(made.contains_key(Path::new(name)), "{name}");
    }
    // The commands that it suggests exist.
    let commands = said.lines().filter_map(|line| line.strip_prefix("  gtn ")).collect::<Vec<_>>();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let name = command.split(' ').next().unwrap();
        gtn_in(folder.path()).args([name, "--help"]).assert().success();
    }
}
