//! Spaces chosen by name.

use super::{CellSpace, MacroSpace, Nb201Space};
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A space of networks, described by data.
///
/// Its text is `macro`, `cell` or `nb201`; the latter two also with their sizes, as in
/// `cell:nodes=3,channels=4,repeats=1` and `nb201:channels=16,cells=5`.
///
/// ```
/// use gtn_nas::space::SpaceSpec;
///
/// let space: SpaceSpec = "cell:nodes=3".parse()?;
/// assert_eq!(space.to_string(), "cell:nodes=3,channels=8,repeats=1");
/// # Ok::<(), gtn_nas::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceSpec {
    /// [`MacroSpace`].
    Macro(MacroSpace),
    /// [`CellSpace`].
    Cell(CellSpace),
    /// [`Nb201Space`].
    Nb201(Nb201Space),
}

/// Calls a generic function of a space with the space that a [`SpaceSpec`] describes:
/// `with_space!(spec, space => search(&space))`.
#[macro_export]
macro_rules! with_space {
    ($spec:expr, $space:ident => $body:expr) => {
        match $spec {
            $crate::space::SpaceSpec::Macro($space) => $body,
            $crate::space::SpaceSpec::Cell($space) => $body,
            $crate::space::SpaceSpec::Nb201($space) => $body,
        }
    };
}

super::text::serde_as_text!(SpaceSpec);

impl fmt::Display for SpaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Macro(MacroSpace) => f.write_str("macro"),
            Self::Cell(CellSpace { nodes, channels, repeats }) => {
                write!(f, "cell:nodes={nodes},channels={channels},repeats={repeats}")
            }
            Self::Nb201(Nb201Space { channels, cells }) => {
                write!(f, "nb201:channels={channels},cells={cells}")
            }
        }
    }
}

impl FromStr for SpaceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, sizes) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "macro" => {
                set(text, sizes, &mut [])?;
                Ok(Self::Macro(MacroSpace))
            }
            "cell" => {
                let mut space = CellSpace::default();
                let CellSpace { nodes, channels, repeats } = &mut space;
                let known = &mut [("nodes", nodes), ("channels", channels), ("repeats", repeats)];
                set(text, sizes, known)?;
                Ok(Self::Cell(space))
            }
            "nb201" => {
                let mut space = Nb201Space::default();
                let Nb201Space { channels, cells } = &mut space;
                set(text, sizes, &mut [("channels", channels), ("cells", cells)])?;
                Ok(Self::Nb201(space))
            }
            _ => Err(Error::parse("search space", text, "expected macro, cell or nb201")),
        }
    }
}

/// Sets sizes as in `channels=4,repeats=1`.
fn set(text: &str, sizes: &str, known: &mut [(&str, &mut usize)]) -> Result<()> {
    let mut given = Vec::new();
    for pair in sizes.split(',').filter(|pair| !pair.is_empty()) {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("{name}=N")).collect();
        let size = pair.split_once('=').and_then(|(name, value)| {
            let value: usize = value.parse().ok().filter(|value| (1..=1024).contains(value))?;
            Some((known.iter_mut().find(|(known, _)| *known == name)?, value))
        });
        let Some(((name, size), value)) = size else {
            let expected = match names.as_slice() {
                [] => "it has no sizes to set".to_owned(),
                names => {
                    format!("expected {} with N from 1 to 1024, found `{pair}`", names.join(", "))
                }
            };
            return Err(Error::parse("search space", text, expected));
        };
        if given.contains(name) {
            return Err(Error::parse("search space", text, format!("{name} is given twice")));
        }
        given.push(*name);
        **size = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_refused() {
        for text in ["macro", "cell:nodes=2,channels=3,repeats=4", "nb201:channels=16,cells=5"] {
            assert_eq!(text.parse::<SpaceSpec>().unwrap().to_string(), text);
        }
        assert_eq!("cell".parse::<SpaceSpec>().unwrap(), SpaceSpec::Cell(CellSpace::default()));
        for (text, why) in [
            ("micro", "expected macro, cell or nb201"),
            ("macro:depth=3", "no sizes"),
            ("cell:node=3", "expected nodes=N"),
            ("cell:nodes=0", "found `nodes=0`"),
            ("nb201:cells", "found `cells`"),
            ("cell:nodes=2,channels=4,nodes=3", "nodes is given twice"),
        ] {
            let message = text.parse::<SpaceSpec>().unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }
}
