//! What can be measured again: a folder a target.

mod cifar_128;
mod comparison;
mod curriculum;
mod mnist_32;
mod nas_correlation;
mod nas_search;
mod weight_norm;

use super::part::{Part, Results};
use super::profile::Profile;
use super::report::Report;
use super::source::Source;
use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Deserialize;
use std::fmt::Write;

/// A published result that can be measured again.
///
/// How large everything is stands in a TOML file for each profile, which is handed to
/// [`Target::parts`] and [`Target::report`]. Its key `cost` says how long it takes.
pub(crate) trait Target: Sync {
    /// The name on the command line, and of the folder.
    fn name(&self) -> &'static str;

    /// What it measures: the rest of a sentence.
    fn measures(&self) -> &'static str;

    /// What was published: the rest of a sentence.
    fn published(&self) -> &'static str;

    /// The data set that it is about, or that stands in for it in a smaller profile.
    fn source(&self, profile: Profile) -> Source;

    /// How large everything is, as TOML.
    fn settings(&self, profile: Profile) -> &'static str;

    /// What is to be measured, of a data set that configurations call `data`.
    ///
    /// # Errors
    /// When the settings cannot be.
    fn parts(&self, settings: &str, data: &str) -> Result<Vec<Box<dyn Part>>>;

    /// Whether there is something to tell before all parts are done.
    fn tells_early(&self) -> bool {
        false
    }

    /// What the parts that are done tell: all, unless it [tells early](Self::tells_early).
    ///
    /// # Errors
    /// When results are of another form.
    fn report(&self, settings: &str, results: &Results) -> Result<Report>;
}

/// All targets.
pub(super) const TARGETS: [&dyn Target; 6] = [
    &mnist_32::MNIST_32,
    &curriculum::CURRICULUM,
    &weight_norm::WeightNorm,
    &cifar_128::CIFAR_128,
    &nas_correlation::NasCorrelation,
    &nas_search::NasSearch,
];

/// Reads a target's name.
pub(super) fn parser() -> impl TypedValueParser<Value = &'static dyn Target> {
    PossibleValuesParser::new(TARGETS.map(Target::name)).map(|name| {
        let named = TARGETS.into_iter().find(|target| target.name() == name);
        named.expect("clap lets only these names pass")
    })
}

/// The text of `--list`.
///
/// # Errors
/// When a target's settings do not say what it costs; the tests see to it that they do.
pub(super) fn list(targets: &[&'static dyn Target]) -> Result<String> {
    let mut text = String::new();
    for &target in targets {
        let _ = writeln!(text, "{}: {}", target.name(), target.measures());
        let _ = writeln!(text, "  published  {}", target.published());
        for profile in Profile::ALL {
            let _ = writeln!(text, "  {:<9}  {}", profile.name(), cost(target, profile)?);
        }
    }
    Ok(text)
}

fn cost(target: &dyn Target, profile: Profile) -> Result<String> {
    #[derive(Deserialize)]
    struct Head {
        cost: String,
    }
    let head: Head = toml::from_str(target.settings(profile))
        .with_context(|| format!("the settings of {}, {}", target.name(), profile.name()))?;
    Ok(head.cost)
}

/// The settings of a target, one file a profile, which lie in its folder.
macro_rules! settings {
    ($profile:expr) => {
        match $profile {
            crate::reproduce::profile::Profile::Smoke => include_str!("smoke.toml"),
            crate::reproduce::profile::Profile::Cpu => include_str!("cpu.toml"),
            crate::reproduce::profile::Profile::Cuda => include_str!("cuda.toml"),
        }
    };
}
use settings;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_profile_of_every_target_is_sound() {
        for target in TARGETS {
            for profile in Profile::ALL {
                let settings = target.settings(profile);
                let parts = target.parts(settings, "digits").unwrap();
                let ids: BTreeSet<_> = parts.iter().map(|part| part.id().to_owned()).collect();
                assert_eq!(ids.len(), parts.len(), "{}, {}", target.name(), profile.name());
                for part in &parts {
                    assert!(part.work() > 0.0);
                    assert!(part.config().unwrap().contains(" = \"digits\""));
                }
            }
        }
    }

    #[test]
    fn the_list_tells_figures_and_costs() {
        let text = list(&TARGETS).unwrap();
        assert!(text.starts_with("mnist-32: "), "{text}");
        assert_eq!(text.matches("published").count(), TARGETS.len());
        assert_eq!(text.lines().count(), 5 * TARGETS.len());
    }
}
