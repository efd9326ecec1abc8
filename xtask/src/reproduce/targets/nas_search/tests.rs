//! The report, from results by hand.

use super::settings::Kind;
use super::*;
use serde_json::{Value, json};

const SETTINGS: &str = "
remark = 'Digits stand in.'
seed = 1
learners = 1
seeds = [1, 2]
[teacher]
[sample]
[search]
[long.plain]
";

fn judged(archs: &[(&str, f64)], steps: usize) -> Value {
    let of = |(number, (arch, accuracy)): (usize, &(&str, f64))| {
        let by = json!({ "by": "full", "learner": 0, "steps": steps, "score": accuracy, "seconds": 1.0, "seed": 1 });
        json!({ "number": number, "arch": arch, "measured": [by] })
    };
    archs.iter().enumerate().map(of).collect()
}

/// Searches by the teacher find `good`, those by real data `good` and `bad`.
fn results() -> Results {
    let sample = json!({
        "judging": { "judged": 10, "real": { "optimizer": "sgd", "lr": 0.1, "momentum": 0.5 } },
        "statistics": {
            "space": "macro", "architectures": 9, "top": 5, "rows": [], "matches": [],
            "truth": { "steps": 8, "seconds": 1.0, "failed": 0, "mean": 0.5, "std": 0.1, "min": 0.2, "max": 0.9 },
        },
        "architectures": [],
    });
    let mut results = Results::default();
    results.0.insert("sample".into(), sample);
    for kind in Kind::all() {
        let found = [1, 2].map(|seed| {
            let good = seed == 1 || kind.evaluator == EvaluatorName::Gtn;
            let winner = if good { "good" } else { "bad" };
            json!({ "seed": seed, "trials": 6, "steps": 12, "seconds": 0.5, "winner": winner, "score": 0.3 })
        });
        results.0.insert(kind.part(), json!(found));
    }
    results.0.insert("winners".into(), judged(&[("bad", 0.7), ("good", 0.95)], 8));
    results.0.insert("long-plain".into(), judged(&[("bad", 0.8), ("good", 0.96)], 20));
    results
}

#[test]
fn every_strategy_is_measured_by_the_best_of_the_sample() {
    let report = NasSearch.report(SETTINGS, &results()).unwrap();
    let table = report.summary.markdown();
    let lines: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(lines.len(), 12);
    assert_eq!(
        lines[0],
        "| random, GTN | -5.00 | 0.00 | 5.00 % | 6 | 12 | 0.5 | 4.00 % | 0.00 | 3.84 % | – | – | 2.92 % |"
    );
    assert_eq!(
        lines[1],
        "| random, real data | 7.50 | 17.68 | 17.50 % | 6 | 12 | 0.5 | 12.00 % | 11.31 | 3.88 % | – | – | 3.02 % |"
    );
    assert!(lines[2].starts_with("| evolution, GTN | -5.00 |"), "{table}");
    assert!(lines[2].ends_with("| – | – | – | – | – | – |"), "{table}");
    assert!(report.remarks[0] == "Digits stand in." && report.remarks[1].contains("90.00 %"));
    let (_, csv) = &report.csv[0];
    assert_eq!(csv.lines().count(), 1 + 24);
    assert!(csv.contains("\nrandom,real,2,6,12,0.5,\"bad\",0.3,0.7,"), "{csv}");
}

#[test]
fn what_was_found_must_have_been_trained() {
    let mut results = results();
    results.0.insert("winners".into(), judged(&[("bad", 0.7)], 8));
    let message = NasSearch.report(SETTINGS, &results).unwrap_err().to_string();
    assert!(message.contains("good was not trained for long"), "{message}");
    let message = Settings::read(&SETTINGS.replace("plain", "plane")).unwrap_err().to_string();
    assert!(message.contains("no column for [long.plane]"), "{message}");
}

#[test]
fn searches_spend_alike_and_trainings_do_nothing_else() {
    let parts = NasSearch.parts(NasSearch.settings(Profile::Cpu), "digits").unwrap();
    let ids: Vec<&str> = parts.iter().map(|part| part.id()).collect();
    assert_eq!(ids[..4], ["teacher", "sample", "random-gtn", "random-real"]);
    assert_eq!(ids[14..], ["winners", "long-cutout", "long-plain"]);
    let config = |id: &str| {
        let part = parts.iter().find(|part| part.id() == id);
        part.unwrap().config().unwrap()
    };
    let alike = |text: String| {
        let text = text.replace("\"gtn\"", "\"real\"");
        text.replace("\"hyperband\"", "\"random\"")
    };
    assert_eq!(alike(config("hyperband-gtn")), config("random-real"));
    for id in ["winners", "long-plain"] {
        assert!(config(id).contains("\ngtn_steps = []\nreal_steps = []\nproxies = []\n"), "{id}");
    }
}
