//! What most targets measure: how well learners do that were taught by a teacher, or by real data.

mod accuracy;
mod learned;
mod plan;
mod real;
mod taught;

pub(super) use accuracy::{AGAIN, report};
pub(super) use learned::Learned;
pub(super) use plan::{Row, parts, run_config};
pub(super) use taught::Taught;

use gtn_cli::config::{Config, RunConfig};

/// The steps after which learners are judged: powers of two, the middles between them, and the last.
fn marks(config: &RunConfig) -> Vec<usize> {
    let last = config.recipe.inner.steps;
    let powers = (0..usize::BITS - 1).map(|exponent| 1usize << exponent);
    let marks = powers.flat_map(|power| [power, power / 2 * 3]).filter(|&step| step > 0);
    marks.take_while(|&step| step < last).chain([last]).collect()
}

/// A configuration with what else a result depends on, as a comment: `gtn train --config` takes it.
fn commented(
    config: &RunConfig,
    learners: usize,
    marks: &[usize],
    what: &str,
) -> anyhow::Result<String> {
    let marks = marks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    Ok(format!(
        "# {what}; {learners} fresh learners, judged on the test split after {marks} steps.\n{}",
        config.to_toml()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_rise_to_the_last_step() {
        let of = |steps| {
            let mut config = RunConfig::default();
            config.recipe.inner.steps = steps;
            marks(&config)
        };
        assert_eq!(of(1), [1]);
        assert_eq!(of(3), [1, 2, 3]);
        assert_eq!(of(32), [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]);
        assert_eq!(of(40), [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40]);
    }
}
