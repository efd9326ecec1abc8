//! The page of a search.

use maud::{Markup, PreEscaped, html};

use super::figures;
use super::shell::{complete_config, missing, paper, paper_list, shell, table};
use super::words::{count, percent, points, short, word};
use crate::nas::judging::EvaluatorName;
use crate::nas::rank::Ranking;
use crate::nas::search::SearchConfig;
use gtn_nas::trial::{Trial, ranked};
use std::collections::BTreeMap;

/// Candidates that are shown.
const SHOWN: usize = 10;

/// What a search left behind.
#[derive(Clone, Debug)]
pub struct SearchReport {
    /// The folder, as commands on the page name it.
    pub folder: String,
    /// The configuration.
    pub config: SearchConfig,
    /// The same as TOML.
    pub config_toml: String,
    /// What was tried.
    pub trials: Vec<Trial<String>>,
    /// What `gtn search rank` found, once it has run.
    pub ranking: Option<Ranking>,
}

impl SearchReport {
    /// A score in words: those of trained networks are accuracies.
    fn score(&self, score: f64) -> String {
        if self.is_accuracy() { percent(score) } else { short(score) }
    }

    fn is_accuracy(&self) -> bool {
        !matches!(self.config.evaluator, EvaluatorName::Proxy(_))
    }
}

pub(super) fn page(data: &SearchReport) -> Markup {
    shell(
        &data.folder,
        html! {
            (result(data))
            (progress(data))
            (ranking(data))
            (failures(data))
            (complete_config("search.toml", &data.config_toml))
            (repeat(data))
            (paper_list(&[
                paper::GTN,
                ("1802.01548", "Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search (2019)"),
                ("1910.11858", "White, Neiswanger, Savani: BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search (2021)"),
            ]))
        },
    )
}

fn result(data: &SearchReport) -> Markup {
    let resume = format!("gtn search --resume --out {}", word(&data.folder));
    let ranked = ranked(&data.trials);
    let Some(best) = ranked.first() else {
        return html! {
            h2 { "Result" }
            (missing("No candidate has a score yet:", &resume))
        };
    };
    let heading = ["Architecture", "Score", "Steps", "Trial"].map(str::to_owned);
    let row = |trial: &&Trial<String>| {
        [
            trial.arch.clone(),
            trial.score().map_or("–".into(), |score| data.score(score)),
            trial.measured.steps.to_string(),
            trial.trial.to_string(),
        ]
    };
    let rows: Vec<[String; 4]> =
        std::iter::once(heading).chain(ranked.iter().take(SHOWN).map(row)).collect();
    let after = match best.measured.steps {
        0 => String::new(),
        steps => format!(" after {}", count(steps, "training step")),
    };
    html! {
        p.lead {
            "The best of " (count(data.trials.len(), "candidate")) " is " code { (best.arch) }
            ": the evaluator " code { (data.config.evaluator) } " gives it "
            b { (best.score().map_or("nothing".into(), |score| data.score(score))) } (after) "."
        }
        h2 { "Result" }
        (table(&rows))
    }
}

fn progress(data: &SearchReport) -> Markup {
    if data.trials.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Search" }
        figure.wide {
            (PreEscaped(figures::search(&data.trials, data.is_accuracy()).svg(760, 380)))
            figcaption {
                "Each dot is a candidate; the line is the best so far, of those judged after the most steps."
            }
        }
    }
}

fn ranking(data: &SearchReport) -> Markup {
    let command = format!("gtn search rank {}", word(&data.folder));
    let Some(ranking) = &data.ranking else {
        return html! {
            h2 { "Long trainings" }
            (missing("The best have not been trained for long yet:", &command))
        };
    };
    let heading = ["Architecture", "Validation accuracy", "Score in the search"].map(str::to_owned);
    let rows = ranking.candidates.iter().map(|candidate| {
        [
            candidate.arch.clone(),
            candidate.validation.map_or("failed".into(), percent),
            data.score(candidate.searched),
        ]
    });
    let rows: Vec<[String; 3]> = std::iter::once(heading).chain(rows).collect();
    let best = ranked(&data.trials).first().map(|trial| trial.arch.as_str());
    let newer = best.filter(|&best| ranking.candidates.iter().all(|ranked| ranked.arch != best));
    html! {
        h2 { "Long trainings" }
        @if newer.is_some() {
            p.missing {
                "The search has found a better candidate since; to train it, too: " code { (command) }
            }
        }
        p {
            "After " (count(ranking.steps, "step")) " on real data, fresh networks of the winner reach "
            b { (percent(ranking.test.mean)) } " ± " (points(ranking.test.std)) " on the test images ("
            (count(ranking.test.n, "network")) ")."
        }
        (table(&rows))
    }
}

fn failures(data: &SearchReport) -> Markup {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in data.trials.iter().filter_map(|trial| trial.measured.failure()) {
        *reasons.entry(reason).or_default() += 1;
    }
    html! {
        @if !reasons.is_empty() {
            h2 { "Candidates that failed" }
            ul {
                @for (reason, times) in reasons {
                    li { (reason) " (" (count(times, "candidate")) ")" }
                }
            }
        }
    }
}

fn repeat(data: &SearchReport) -> Markup {
    let config = word(format!("{}/search.toml", data.folder));
    let again = word(format!("{}-again", data.folder));
    html! {
        h2 { "How to repeat" }
        p { "The same configuration tries the same candidates, unless its budget is one of seconds." }
        pre {
            "gtn search --config " (config) " --out " (again) "\n"
            "gtn search rank " (again) "\n"
            "gtn report " (again)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nas::rank::Ranked;
    use crate::records::Accuracy;
    use gtn_nas::trial::{Measurement, Outcome};

    fn trial(trial: usize, outcome: Outcome) -> Trial<String> {
        let measured = Measurement { steps: 16, outcome, seconds: 1.0, seed: 1 };
        Trial { trial, arch: format!("<arch {trial}>"), measured, elapsed: 1.0 }
    }

    fn report() -> SearchReport {
        SearchReport {
            folder: "runs/a".into(),
            config: SearchConfig::default(),
            config_toml: "seed = 1".into(),
            trials: vec![
                trial(0, Outcome::Score(0.5)),
                trial(1, Outcome::Failed("diverged".into())),
                trial(2, Outcome::Score(0.75)),
            ],
            ranking: None,
        }
    }

    #[test]
    fn a_search_is_told() {
        let mut data = report();
        let text = page(&data).into_string();
        for part in [
            "best of 3 candidates",
            "&lt;arch 2&gt;",
            "75.0 %",
            "diverged (1 candidate)",
            "gtn search rank runs/a</code> makes it",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("<arch"));
        data.ranking = Some(Ranking {
            steps: 600,
            candidates: vec![Ranked { arch: "x".into(), searched: 0.5, validation: Some(0.98) }],
            test: Accuracy { mean: 0.97, std: 0.01, n: 3 },
        });
        let text = page(&data).into_string();
        assert!(text.contains("97.0 %") && text.contains("98.0 %") && text.contains("600 steps"));
    }

    #[test]
    fn an_empty_search_names_the_command() {
        let data = SearchReport { trials: Vec::new(), ..report() };
        let text = page(&data).into_string();
        assert!(text.contains("gtn search --resume --out runs/a</code> makes it"), "{text}");
    }
}
