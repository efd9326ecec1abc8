//! The index of all results in a folder.

use super::page::{GENERATED, PAGE, command, origin, remarks};
use super::study::Study;
use anyhow::Result;
use gtn_cli::run_dir::write_whole;
use std::fmt::Write;
use std::path::Path;

/// Writes the index of all that lies in `out`: every target of every profile that was begun there.
///
/// # Errors
/// When results are damaged, or the folder cannot be written.
pub(super) fn write(out: &Path, studies: &[Study]) -> Result<()> {
    let mut text = format!("# Published results, measured again\n\n{GENERATED}\n");
    text += "\nBy Such et al., [Generative Teaching Networks](https://arxiv.org/abs/1912.07768).\n";
    for study in studies.iter().filter(|study| study.has_begun()) {
        let (name, profile) = (study.target.name(), study.profile.name());
        // Who measures it at this moment, and was killed, may have left no page yet.
        let found = study.findings()?.filter(|_| study.folder.file(PAGE).exists());
        let title = match found {
            Some(_) => format!("[{name}, {profile}]({name}/{profile}/{PAGE})"),
            None => format!("{name}, {profile}"),
        };
        let _ = writeln!(
            text,
            "\n## {title}\n\n{}. Published: {}.\n",
            capitalized(study.target.measures()),
            study.target.published()
        );
        let Some(found) = found else {
            let _ = writeln!(text, "{} of {} parts are done.", study.done()?, study.parts.len());
            continue;
        };
        let _ = writeln!(text, "{}", found.report.summary.markdown());
        for plot in &found.report.plots {
            let _ = writeln!(text, "![{}]({name}/{profile}/{})\n", plot.caption, plot.file);
        }
        for remark in remarks(study, &found) {
            let _ = writeln!(text, "- {remark}");
        }
        let _ = writeln!(text, "- {}\n- Again: `{}`", origin(&found), command(study));
    }
    write_whole(&out.join("README.md"), text.as_bytes())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
