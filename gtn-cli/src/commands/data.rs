//! `gtn data`: what a data set holds.

use crate::args::{Data, DataInfo};
use crate::{data, output};
use anyhow::Result;
use gtn_data::Summary;

/// Looks at a data set.
///
/// # Errors
/// When it cannot be opened.
pub fn run(command: &Data) -> Result<()> {
    let Data::Info(DataInfo { data, json }) = command;
    let summary = data::open(data, None)?.summary();
    if *json {
        return output::print(&(serde_json::to_string(&summary)? + "\n"));
    }
    output::print(&describe(&summary))
}

fn describe(summary: &Summary) -> String {
    let numbers = |values: &[f64]| {
        let texts: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
        texts.join(", ")
    };
    let mut rows = vec![["class", "train", "validation", "test"].map(str::to_owned)];
    let counts = [&summary.train, &summary.validation, &summary.test];
    for (class, name) in summary.classes.iter().enumerate() {
        let [train, validation, test] = counts.map(|split| split.per_class[class].to_string());
        rows.push([name.clone(), train, validation, test]);
    }
    let [train, validation, test] = counts.map(|split| split.images.to_string());
    rows.push(["all".to_owned(), train, validation, test]);
    format!(
        "{} ({})\nimages {}, mean {}, standard deviation {} (on 0 to 1)\n\n{}",
        summary.name,
        summary.format,
        summary.image,
        numbers(&summary.mean),
        numbers(&summary.std),
        output::table(&rows),
    )
}
