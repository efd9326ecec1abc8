//! The learners that a run can be about.

use gtn_core::data::ImageShape;
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::network::{Network, Normalization};
use gtn_core::seed::Seed;
use gtn_nas::space::{SpaceLearners, SpaceSpec};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use toml::{Table, Value};

/// What `[learner]` in a configuration describes: the family from which fresh learners are drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Learner {
    /// A preset, or layers: `preset = "conv2_fc"`.
    Described(LearnerSpec),
    /// The networks of a search space: `space = "macro"`.
    Space(SpaceLearners),
}

impl Default for Learner {
    fn default() -> Self {
        Self::Described(LearnerSpec::default())
    }
}

impl<'de> Deserialize<'de> for Learner {
    /// By whether there is a key `space`: trying one kind after the other would lose the reason why a table is neither.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let read = if table.contains_key("space") {
            Value::Table(table).try_into().map(Self::Space)
        } else {
            Value::Table(table).try_into().map(Self::Described)
        };
        read.map_err(|error: toml::de::Error| D::Error::custom(error.message()))
    }
}

impl Learner {
    /// How their layers are normalized.
    #[must_use]
    pub fn normalization(&self) -> Normalization {
        match self {
            Self::Described(spec) => spec.normalization,
            Self::Space(learners) => learners.normalization,
        }
    }

    /// The same, normalized so.
    #[must_use]
    pub fn normalized(mut self, normalization: Normalization) -> Self {
        match &mut self {
            Self::Described(spec) => spec.normalization = normalization,
            Self::Space(learners) => learners.normalization = normalization,
        }
        self
    }
}

impl LearnerFamily for Learner {
    fn network(&self, seed: Seed, image: ImageShape, classes: usize) -> gtn_core::Result<Network> {
        match self {
            Self::Described(spec) => spec.network(seed, image, classes),
            Self::Space(space) => space.network(seed, image, classes),
        }
    }

    fn varies(&self) -> bool {
        match self {
            Self::Described(spec) => spec.varies(),
            Self::Space(space) => space.varies(),
        }
    }
}

impl fmt::Display for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described(spec) => spec.fmt(f),
            Self::Space(learners) => learners.space.fmt(f),
        }
    }
}

impl FromStr for Learner {
    type Err = anyhow::Error;

    /// A preset with its widths, like `conv2_fc:16,32,64`, or a space, like `macro`.
    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let name = text.split_once(':').map_or(text, |(name, _)| name);
        if name.parse::<SpaceSpec>().is_ok() {
            let space = text.parse()?;
            return Ok(Self::Space(SpaceLearners { space, ..SpaceLearners::default() }));
        }
        Ok(Self::Described(text.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_survive_writing() {
        for text in ["conv2_fc:16,32-48,64", "macro", "cell:nodes=2,channels=4,repeats=1"] {
            let learner: Learner = text.parse().unwrap();
            assert_eq!(learner.to_string(), text);
            let toml = toml::to_string(&learner).unwrap();
            assert_eq!(toml::from_str::<Learner>(&toml).unwrap(), learner);
            // As checkpoints hold it.
            let json = serde_json::to_string(&learner).unwrap();
            assert_eq!(serde_json::from_str::<Learner>(&json).unwrap(), learner);
        }
        assert!("micro".parse::<Learner>().is_err());
        let wrong = "cell:rows=3".parse::<Learner>().unwrap_err().to_string();
        assert!(wrong.contains("nodes"), "{wrong}");
    }
}
