//! Plain convolutional networks, small enough for a CPU: one to four blocks and a head.
//!
//! A block is a convolution, perhaps a pooling or a stride, perhaps a norm, and a rectifier. Its text is
//! `16k3-max3-norm`: 16 channels, 3×3, max-pooling 3/2, mean-only batch norm, and always a leaky ReLU. What is not
//! there is left out: `48k1`. The head is `gap` (global average pooling) or `flat`, with a
//! fully connected layer before the classifier or without: `flat-64`. All joined by commas:
//! `16k3-max3-norm,32k3-stride-norm,gap`.
//!
//! Some of these networks are good and some are bad: norms can be left out, kernels can be of one pixel, and a width
//! of 4 is among the choices. That is what makes them worth ranking.

use super::choice::{any, either, one_hot, other, place};
use super::lowering::Lowering;
use super::text::serde_as_text;
use super::{NetworkSpace, Space};
use crate::{Error, Result};
use gtn_core::network::Layer;
use gtn_core::seed::Rng;
use rand::RngExt;
use std::fmt;
use std::str::FromStr;

/// The most blocks.
const DEPTH: usize = 4;
/// Channels of a block.
const WIDTHS: [usize; 6] = [4, 8, 16, 24, 32, 48];
/// Sides of its kernel.
const KERNELS: [usize; 3] = [1, 3, 5];
const REDUCTIONS: [Reduction; 5] =
    [Reduction::Nothing, Reduction::Stride, Reduction::Max2, Reduction::Max3, Reduction::Avg2];
/// Outputs of the fully connected layer; 0 for none.
const HIDDEN: [usize; 4] = [0, 16, 64, 128];

/// The space of [`MacroArch`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MacroSpace;

/// A network of a few convolutions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MacroArch {
    /// 1 to [`DEPTH`]. The first halves the image: at full size, wide layers would cost a CPU too much.
    blocks: Vec<Block>,
    head: Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Block {
    width: usize,
    kernel: usize,
    reduction: Reduction,
    norm: bool,
}

/// How a block halves the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reduction {
    Nothing,
    Stride,
    Max2,
    Max3,
    Avg2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Head {
    pooled: bool,
    hidden: usize,
}

serde_as_text!(MacroArch);

impl Block {
    /// What the block at this place of a network may halve the image by.
    fn reductions(place: usize) -> &'static [Reduction] {
        if place == 0 { &REDUCTIONS[1..] } else { &REDUCTIONS }
    }

    fn sample(place: usize, rng: &mut Rng) -> Self {
        Self {
            width: any(&WIDTHS, rng),
            kernel: any(&KERNELS, rng),
            reduction: any(Self::reductions(place), rng),
            norm: rng.random_bool(0.5),
        }
    }

    fn mutate(&mut self, place: usize, rng: &mut Rng) {
        match rng.random_range(0..4) {
            0 => self.width = other(&WIDTHS, self.width, rng),
            1 => self.kernel = other(&KERNELS, self.kernel, rng),
            2 => self.reduction = other(Self::reductions(place), self.reduction, rng),
            _ => self.norm = !self.norm,
        }
    }

    fn encode(&self) -> impl Iterator<Item = f64> + use<> {
        [1.0, place(&WIDTHS, self.width), place(&KERNELS, self.kernel)]
            .into_iter()
            .chain(one_hot(&REDUCTIONS, self.reduction))
            .chain([f64::from(u8::from(self.norm))])
    }
}

/// Numbers of a block's encoding.
const BLOCK_CODE: usize = 3 + REDUCTIONS.len() + 1;

impl Head {
    fn sample(rng: &mut Rng) -> Self {
        Self { pooled: rng.random_bool(0.5), hidden: any(&HIDDEN, rng) }
    }
}

impl Space for MacroSpace {
    type Arch = MacroArch;

    fn sample(&self, rng: &mut Rng) -> MacroArch {
        let depth = rng.random_range(1..=DEPTH);
        let blocks = (0..depth).map(|place| Block::sample(place, rng)).collect();
        MacroArch { blocks, head: Head::sample(rng) }
    }

    fn mutate(&self, parent: &MacroArch, rng: &mut Rng) -> MacroArch {
        let mut child = parent.clone();
        let depth = child.blocks.len();
        // A block more or less, the head, or one of the blocks: a choice each.
        match rng.random_range(0..depth + 3) {
            0 if depth < DEPTH => child.blocks.push(Block::sample(depth, rng)),
            0 | 1 if depth > 1 => drop(child.blocks.pop()),
            0 | 1 => child.blocks.push(Block::sample(depth, rng)),
            2 if rng.random_bool(0.5) => child.head.pooled = !child.head.pooled,
            2 => child.head.hidden = other(&HIDDEN, child.head.hidden, rng),
            block => child.blocks[block - 3].mutate(block - 3, rng),
        }
        child
    }

    fn crossover(&self, a: &MacroArch, b: &MacroArch, rng: &mut Rng) -> MacroArch {
        let depth = either(a, b, rng).blocks.len();
        let block = |place: usize, rng: &mut Rng| match (a.blocks.get(place), b.blocks.get(place)) {
            (Some(a), Some(b)) => either(a, b, rng),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => unreachable!("one of the parents is as deep as the child"),
        };
        let blocks = (0..depth).map(|place| block(place, rng)).collect();
        MacroArch { blocks, head: either(&a.head, &b.head, rng) }
    }

    fn encode(&self, arch: &MacroArch) -> Vec<f64> {
        let mut code: Vec<f64> = arch.blocks.iter().flat_map(Block::encode).collect();
        code.resize(DEPTH * BLOCK_CODE, 0.0);
        code.extend([f64::from(u8::from(arch.head.pooled)), place(&HIDDEN, arch.head.hidden)]);
        code
    }
}

impl NetworkSpace for MacroSpace {
    fn layers(&self, arch: &MacroArch) -> Vec<Layer> {
        let mut net = Lowering::default();
        for block in &arch.blocks {
            let stride = if block.reduction == Reduction::Stride { 2 } else { 1 };
            net.conv(block.width, [block.kernel; 2], stride);
            match block.reduction {
                Reduction::Nothing | Reduction::Stride => {}
                Reduction::Max2 => net.max_pool(2, 2),
                Reduction::Max3 => net.max_pool(3, 2),
                Reduction::Avg2 => net.avg_pool(2, 2),
            }
            if block.norm {
                net.norm();
            }
            net.relu();
        }
        if arch.head.pooled {
            net.global_avg_pool();
        }
        if arch.head.hidden > 0 {
            net.linear(arch.head.hidden);
            net.norm();
            net.relu();
        }
        net.classify()
    }
}

impl Reduction {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Stride => "stride",
            Self::Max2 => "max2",
            Self::Max3 => "max3",
            Self::Avg2 => "avg2",
        }
    }
}

impl fmt::Display for MacroArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for block in &self.blocks {
            write!(f, "{}k{}", block.width, block.kernel)?;
            if block.reduction != Reduction::Nothing {
                write!(f, "-{}", block.reduction.name())?;
            }
            f.write_str(if block.norm { "-norm," } else { "," })?;
        }
        f.write_str(if self.head.pooled { "gap" } else { "flat" })?;
        match self.head.hidden {
            0 => Ok(()),
            hidden => write!(f, "-{hidden}"),
        }
    }
}

impl FromStr for MacroArch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: String| Error::parse("macro architecture", text, message);
        let mut parts: Vec<&str> = text.split(',').collect();
        let head = parts.pop().and_then(parse_head).ok_or_else(|| {
            wrong("expected a head at the end, like gap, flat or flat-64".to_owned())
        })?;
        if !(1..=DEPTH).contains(&parts.len()) {
            return Err(wrong(format!("expected 1 to {DEPTH} blocks, found {}", parts.len())));
        }
        let blocks = parts.iter().enumerate().map(|(place, part)| {
            parse_block(place, part).ok_or_else(|| {
                let halving = if place == 0 { " that halves the image" } else { "" };
                wrong(format!("expected a block{halving} like 16k3-max3-norm, found `{part}`"))
            })
        });
        Ok(Self { blocks: blocks.collect::<Result<_>>()?, head })
    }
}

/// The option with exactly this text, so that no architecture has two.
fn one_of<T: Copy + fmt::Display>(options: &[T], text: &str) -> Option<T> {
    options.iter().copied().find(|option| option.to_string() == text)
}

fn parse_block(place: usize, text: &str) -> Option<Block> {
    let mut words = text.split('-').peekable();
    let (width, kernel) = words.next()?.split_once('k')?;
    let named = |word: &str| REDUCTIONS[1..].iter().copied().find(|r| r.name() == word);
    let reduction = words.peek().and_then(|word| named(word));
    if reduction.is_some() {
        words.next();
    }
    let block = Block {
        width: one_of(&WIDTHS, width)?,
        kernel: one_of(&KERNELS, kernel)?,
        reduction: reduction.unwrap_or(Reduction::Nothing),
        norm: words.next_if_eq(&"norm").is_some(),
    };
    let fits = Block::reductions(place).contains(&block.reduction) && words.next().is_none();
    fits.then_some(block)
}

fn parse_head(text: &str) -> Option<Head> {
    let (pooling, hidden) = text.split_once('-').unwrap_or((text, "0"));
    let pooled = match pooling {
        "gap" => true,
        "flat" => false,
        _ => return None,
    };
    let head = Head { pooled, hidden: one_of(&HIDDEN, hidden)? };
    // `flat-0` would be a second text of the same head.
    (head.hidden > 0 || !text.contains('-')).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_refused() {
        for text in ["16k3-max3-norm,48k1,gap", "4k5-stride,flat-64"] {
            assert_eq!(text.parse::<MacroArch>().unwrap().to_string(), text);
        }
        for (text, why) in [
            ("", "a head"),
            ("gap", "1 to 4 blocks, found 0"),
            ("16k3,gap", "that halves the image"),
            ("16k3-norm-max3,gap", "16k3-norm-max3"),
            ("17k3-max3,gap", "17k3"),
            ("+16k3-max3,gap", "+16k3"),
            ("016k3-max3,gap", "016k3"),
            ("16k3-max3,flat-0", "a head"),
            ("16k3-max3,16k3,16k3,16k3,16k3,gap", "found 5"),
        ] {
            let message = text.parse::<MacroArch>().unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }
}
