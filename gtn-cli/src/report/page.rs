//! The page of a run, section by section.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};

use super::shell::{complete_config, missing, paper, paper_list, shell};
use super::words::{count, percent, points, short, word};
use super::{ReportData, figures};
use crate::records::Eval;

pub(super) fn page(data: &ReportData) -> Markup {
    shell(
        &data.run,
        html! {
            (result(data))
            (training(data))
            (rates(data))
            (sheets(data))
            (complete_config("config.toml", &data.config_toml))
            (repeat(data))
            (papers())
        },
    )
}

fn result(data: &ReportData) -> Markup {
    let again = format!("gtn eval {}", word(&data.run));
    let Some(eval) = &data.eval else {
        return html! {
            h2 { "Result" }
            @if data.without_validation {
                p.missing { "There is no evaluation: nothing is held out by which real data could be tuned (data.validation = 0)." }
            } @else {
                (missing("There is no evaluation yet:", &again))
            }
        };
    };
    html! {
        p.lead {
            "A fresh learner reaches " b { (percent(eval.synthetic.mean)) }
            " test accuracy after " (count(eval.steps, "step")) " on synthetic data, and "
            b { (percent(eval.real.mean)) } " after as many on real data."
        }
        h2 { "Result" }
        @if let Some(then) = outdated(data, eval) {
            (missing(
                &format!("This is of meta-iteration {then}, and there is no evaluation of the latest teacher yet:"),
                &again,
            ))
        }
        (table(eval))
        p.missing {
            "Mean and standard deviation over learners that start from different random weights. "
            "Learning rate and momentum for real data are those that did best on the validation split."
        }
        @if eval.curve.is_empty() {
            (missing("There is no accuracy by step yet:", &again))
        } @else {
            figure.wide {
                (PreEscaped(figures::accuracy_by_step(eval).svg(760, 380)))
                figcaption {
                    "Lines are means over learners, bands one standard deviation to each side."
                }
            }
        }
    }
}

/// The meta-iteration that was evaluated, if the training has gone on since.
fn outdated(data: &ReportData, eval: &Eval) -> Option<usize> {
    eval.iteration.filter(|&then| then < data.iteration)
}

fn table(eval: &Eval) -> Markup {
    let Eval { synthetic, real, .. } = eval;
    let row = |series: usize, name: &str, mean, std, n: usize, lr: &str, momentum: &str| {
        html! {
            tr {
                th scope="row" {
                    span.swatch style={ "background: var(--series-" (series) ")" } {}
                    (name)
                }
                td.accuracy { (percent(mean)) small { " ± " (points(std)) } }
                td.number { (eval.steps) }
                td.number { (n) }
                td { (lr) }
                td { (momentum) }
            }
        }
    };
    let (lr, momentum) = (short(real.lr), short(real.momentum));
    let learned = "learned by step";
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th scope="col" { "Taught by" }
                        th scope="col" { "Test accuracy" }
                        th.number scope="col" { "Steps" }
                        th.number scope="col" { "Learners" }
                        th scope="col" { "Learning rate" }
                        th scope="col" { "Momentum" }
                    }
                }
                tbody {
                    (row(0, "synthetic data", synthetic.mean, synthetic.std, synthetic.n, learned, learned))
                    (row(1, "real data, tuned", real.mean, real.std, real.n, &lr, &momentum))
                }
            }
        }
    }
}

fn training(data: &ReportData) -> Markup {
    let resume = format!("gtn train --resume --out {}", word(&data.run));
    let validated = (data.metrics.iter()).any(|line| line.validation_accuracy.is_some());
    let grouped = data.metrics.len() > figures::GROUPS;
    html! {
        h2 { "Training" }
        @if data.metrics.is_empty() {
            (missing("No meta-iteration has been recorded yet:", &resume))
        } @else {
            div.pair {
                figure { (PreEscaped(figures::meta_loss(&data.metrics).svg(500, 300))) }
                @if validated {
                    figure { (PreEscaped(figures::validation_accuracy(&data.metrics).svg(500, 300))) }
                }
            }
            figcaption {
                "In each meta-iteration a fresh learner is taught, and the teacher corrected by the "
                "learner's loss on real data."
                @if grouped {
                    " Each point is the mean of "
                    (data.metrics.len().div_ceil(figures::GROUPS))
                    " meta-iterations, the band reaches from the lowest to the highest."
                }
            }
            @if !validated && !data.without_validation {
                (missing("No validation accuracy has been measured yet:", &resume))
            }
        }
    }
}

fn rates(data: &ReportData) -> Markup {
    let (rates, eval) = (&data.rates, data.eval.as_ref());
    html! {
        h2 { "Learned learning rate and momentum" }
        div.pair {
            figure { (PreEscaped(figures::learning_rate(rates, eval).svg(500, 280))) }
            figure { (PreEscaped(figures::momentum(rates, eval).svg(500, 280))) }
        }
        figcaption { "One pair for each step of the learner, learned together with the data." }
    }
}

fn sheets(data: &ReportData) -> Markup {
    html! {
        h2 { "Synthetic data" }
        @if data.sheets.is_empty() {
            (missing(
                "There is no contact sheet yet:",
                &format!("gtn train --resume --out {}", word(&data.run)),
            ))
        }
        @for (caption, png) in &data.sheets {
            figure {
                img alt=(caption) src={ "data:image/png;base64," (STANDARD.encode(png)) };
                figcaption { (caption) }
            }
        }
    }
}

fn repeat(data: &ReportData) -> Markup {
    let config = word(format!("{}/config.toml", data.run));
    let again = word(format!("{}-again", data.run));
    let synthetic = word(format!("{}-synthetic", data.run));
    html! {
        h2 { "How to repeat" }
        p { "The same configuration gives the same run, byte for byte." }
        pre {
            "gtn train --config " (config) " --out " (again) "\n"
            "gtn eval " (again) "\n"
            "gtn report " (again) "\n"
            "gtn export " (again) " --format npz --out " (synthetic)
        }
    }
}

fn papers() -> Markup {
    paper_list(&[
        paper::GTN,
        paper::MIXED_MODE,
        (
            "1602.07868",
            "Salimans, Kingma: Weight Normalization: A Simple Reparameterization to Accelerate \
             Training of Deep Neural Networks (2016)",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::colors;
    use super::*;
    use crate::records::{Accuracy, CurvePoint, MetricsLine, Spread, Tuned};

    const PNG: &[u8] = b"\x89PNG and so on";

    fn full() -> ReportData {
        let accuracy = |mean| Spread { mean, std: 0.01 };
        let line = |iteration| MetricsLine {
            diverged: 0,
            iteration,
            meta_loss: 2.0 / iteration as f64,
            inner_loss: 1.0,
            gradient_norm: 1.0,
            outer_lr: 0.02,
            validation_accuracy: (iteration % 5 == 0).then_some(0.9),
        };
        ReportData {
            run: "runs/it's <b>here</b> & \"quoted\"".into(),
            iteration: 20,
            without_validation: false,
            config_toml: "name = \"</pre><script>\"".into(),
            metrics: (1..=20).map(line).collect(),
            eval: Some(Eval {
                steps: 16,
                synthetic: Accuracy { mean: 0.974, std: 0.0061, n: 5 },
                real: Tuned { mean: 0.8612, std: 0.022, n: 4, lr: 0.1 + 0.2, momentum: 0.9 },
                iteration: Some(20),
                curve: [1, 16]
                    .map(|step| CurvePoint { step, synthetic: accuracy(0.9), real: accuracy(0.8) })
                    .into(),
            }),
            rates: vec![(0.02, 0.5); 16],
            sheets: vec![("first & \"last\"".into(), PNG.to_vec())],
        }
    }

    fn text(data: &ReportData) -> String {
        page(data).into_string()
    }

    #[test]
    fn a_full_report_has_every_part() {
        let page = text(&full());
        for part in
            ["97.4 %", "± 0.6", "86.1 %", "± 2.2", "0.3<", "learned by step", "after 16 steps"]
        {
            assert!(page.contains(part), "{part}");
        }
        for title in
            ["Accuracy by step", "Meta-loss", "Validation accuracy", "Learning rate", "Momentum"]
        {
            assert!(page.contains(&format!("aria-label=\"{title}\"")), "{title}");
        }
        assert!(page.contains(&format!("data:image/png;base64,{}", STANDARD.encode(PNG))));
        assert!(!page.contains("makes it"));
    }

    #[test]
    fn whatever_is_missing_names_its_command() {
        let mut data = full();
        data.run = "runs/a".into();
        data.eval = None;
        data.metrics.clear();
        data.sheets.clear();
        let page = text(&data);
        assert_eq!(page.matches("gtn eval runs/a</code> makes it").count(), 1);
        assert_eq!(page.matches("gtn train --resume --out runs/a</code> makes it").count(), 2);
        assert_eq!(page.matches("<svg").count(), 2, "learning rate and momentum");
        assert!(!page.contains("<img"));

        let mut data = full();
        data.metrics.truncate(4);
        data.eval.iter_mut().for_each(|eval| eval.curve.clear());
        let page = text(&data);
        assert!(page.contains("No validation accuracy") && page.contains("no accuracy by step"));
    }

    #[test]
    fn an_evaluation_of_an_earlier_teacher_is_said_to_be_one() {
        let mut data = full();
        data.eval.iter_mut().for_each(|eval| eval.iteration = Some(12));
        assert!(text(&data).contains("This is of meta-iteration 12,"));
        // What was done after the last checkpoint no evaluation can see.
        data.iteration = 12;
        assert!(!text(&data).contains("This is of meta-iteration"));
    }

    #[test]
    fn without_validation_no_command_is_named_that_needs_it() {
        let mut data = full();
        data.without_validation = true;
        data.eval = None;
        data.metrics.truncate(4);
        let page = text(&data);
        assert!(page.contains("data.validation = 0") && !page.contains("makes it"));
    }

    #[test]
    fn everything_is_escaped() {
        let page = text(&full());
        for raw in ["<b>here", "</pre><script>", "\"last\""] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(page.contains("&lt;b&gt;here&lt;/b&gt; &amp; &quot;quoted&quot;</title>"));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = text(&full());
        for outside in ["src=\"http", "<link", "<script", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn every_color_of_a_plot_has_a_dark_one() {
        let (page, dark) = (text(&full()), colors::dark_plots());
        let colors = page.split("=\"#").skip(1).filter_map(|rest| rest.get(..6));
        let colors: std::collections::BTreeSet<_> = colors.collect();
        assert!(colors.len() >= 4, "{colors:?}");
        for color in colors {
            assert!(dark.contains(&format!("#{color}\"]")), "{color}");
        }
    }
}
