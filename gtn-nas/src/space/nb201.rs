//! The space of NAS-Bench-201 (Dong & Yang, arXiv 2001.00326): a cell of four nodes, each joined to every earlier
//! one by one of five operations.
//!
//! The text is the benchmark's own, for example
//! `|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|`.
//! A network is a stem, and three times `cells` cells with a residual block of stride 2 and twice the channels
//! between (16 channels and 5 cells in the benchmark). Rectifiers are leaky and norms subtract means alone, as in all networks
//! here.

use super::choice::{any, either, one_hot, other};
use super::lowering::{Lowering, Value};
use super::text::serde_as_text;
use super::{NetworkSpace, Space};
use crate::{Error, Result};
use gtn_core::network::Layer;
use gtn_core::seed::Rng;
use rand::RngExt;
use std::fmt;
use std::str::FromStr;

/// The space of [`Nb201Arch`]s, and how networks are made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nb201Space {
    /// Channels before the first residual block, at least 1; twice as many after each.
    pub channels: usize,
    /// Cells in a row, at least 1.
    pub cells: usize,
}

impl Default for Nb201Space {
    /// Half the benchmark's channels and a fifth of its cells: small enough for a CPU.
    fn default() -> Self {
        Self { channels: 8, cells: 1 }
    }
}

/// A cell: the operation of each edge, 0→1, 0→2, 1→2, 0→3, 1→3, 2→3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nb201Arch([Op; EDGES.len()]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    Zeroize,
    Skip,
    Conv1,
    Conv3,
    AvgPool,
}

const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];
const OPS: [Op; 5] = [Op::Zeroize, Op::Skip, Op::Conv1, Op::Conv3, Op::AvgPool];

serde_as_text!(Nb201Arch);

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Zeroize => "none",
            Self::Skip => "skip_connect",
            Self::Conv1 => "nor_conv_1x1",
            Self::Conv3 => "nor_conv_3x3",
            Self::AvgPool => "avg_pool_3x3",
        }
    }
}

impl Nb201Arch {
    /// The edges into a node: where from, and by what.
    fn edges_to(&self, node: usize) -> impl Iterator<Item = (usize, Op)> {
        EDGES
            .iter()
            .zip(self.0)
            .filter(move |((_, to), _)| *to == node)
            .map(|((f, _), op)| (*f, op))
    }
}

impl Space for Nb201Space {
    type Arch = Nb201Arch;

    fn sample(&self, rng: &mut Rng) -> Nb201Arch {
        Nb201Arch(EDGES.map(|_| any(&OPS, rng)))
    }

    fn mutate(&self, parent: &Nb201Arch, rng: &mut Rng) -> Nb201Arch {
        let mut child = *parent;
        let op = &mut child.0[rng.random_range(0..EDGES.len())];
        *op = other(&OPS, *op, rng);
        child
    }

    fn crossover(&self, a: &Nb201Arch, b: &Nb201Arch, rng: &mut Rng) -> Nb201Arch {
        Nb201Arch(std::array::from_fn(|edge| either(&a.0[edge], &b.0[edge], rng)))
    }

    fn encode(&self, arch: &Nb201Arch) -> Vec<f64> {
        arch.0.iter().flat_map(|&op| one_hot(&OPS, op)).collect()
    }

    /// The last node as a sum of terms of the input, without what is zero. A convolution of nothing is a term, too, for
    /// the learned shift of its norm. Two convolutions of the same are not told from one that is counted twice.
    fn key(&self, arch: &Nb201Arch) -> String {
        let mut nodes = vec![vec!["x".to_owned()]];
        for node in 1..4 {
            let mut terms = Vec::new();
            for (from, op) in arch.edges_to(node) {
                match op {
                    Op::Skip => terms.extend(nodes[from].iter().cloned()),
                    Op::Zeroize => {}
                    Op::AvgPool if nodes[from].is_empty() => {}
                    op => terms.push(format!("{}({})", op.name(), nodes[from].join("+"))),
                }
            }
            terms.sort();
            nodes.push(terms);
        }
        nodes[3].join("+")
    }
}

impl NetworkSpace for Nb201Space {
    fn layers(&self, arch: &Nb201Arch) -> Vec<Layer> {
        let mut net = Lowering::default();
        net.conv(self.channels, [3; 2], 1);
        net.norm();
        for stage in 0..3 {
            let channels = self.channels << stage;
            if stage > 0 {
                residual(&mut net, channels);
            }
            (0..self.cells).for_each(|_| cell(&mut net, arch, channels));
        }
        net.norm();
        net.relu();
        net.global_avg_pool();
        net.classify()
    }
}

/// Half the size, twice the channels.
fn residual(net: &mut Lowering, channels: usize) {
    let x = net.mark();
    net.relu_conv_norm(channels, [3; 2], 2);
    net.relu_conv_norm(channels, [3; 2], 1);
    let long = net.mark();
    net.take(&x);
    net.avg_pool(2, 2);
    net.conv(channels, [1; 2], 1);
    let short = net.mark();
    net.sum(&[long, short]);
}

fn cell(net: &mut Lowering, arch: &Nb201Arch, channels: usize) {
    let mut nodes: Vec<Value> = vec![net.mark()];
    for node in 1..4 {
        let terms = arch.edges_to(node).map(|(from, op)| {
            net.take(&nodes[from]);
            match op {
                Op::Zeroize => net.zeroize(),
                Op::Skip => {}
                Op::Conv1 => net.relu_conv_norm(channels, [1; 2], 1),
                Op::Conv3 => net.relu_conv_norm(channels, [3; 2], 1),
                Op::AvgPool => net.avg_pool(3, 1),
            }
            net.mark()
        });
        let terms: Vec<Value> = terms.collect();
        net.sum(&terms);
        nodes.push(net.mark());
    }
}

impl fmt::Display for Nb201Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in 1..4 {
            f.write_str(if node == 1 { "|" } else { "+|" })?;
            for (from, op) in self.edges_to(node) {
                write!(f, "{}~{from}|", op.name())?;
            }
        }
        Ok(())
    }
}

impl FromStr for Nb201Arch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let edges = text.split(['|', '+']).filter(|part| !part.is_empty()).map(|part| {
            let (name, from) = part.split_once('~')?;
            Some((OPS.into_iter().find(|op| op.name() == name)?, from.parse().ok()?))
        });
        let edges: Option<Vec<(Op, usize)>> = edges.collect();
        let read = edges.and_then(|edges| {
            let from_right = edges.iter().zip(EDGES).all(|(edge, (from, _))| edge.1 == from);
            let ops: Vec<Op> = edges.iter().map(|edge| edge.0).collect();
            Some(Self(ops.try_into().ok()?)).filter(|arch| from_right && arch.to_string() == text)
        });
        read.ok_or_else(|| {
            let names = OPS.map(Op::name).join(", ");
            let expected =
                format!("expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, op being one of {names}");
            Error::parse("NAS-Bench-201 architecture", text, expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const TEXT: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";

    #[test]
    fn texts_are_read_and_refused() {
        assert_eq!(TEXT.parse::<Nb201Arch>().unwrap().to_string(), TEXT);
        for wrong in ["", "|none~0|", &TEXT.replace("skip", "hop"), &TEXT.replacen("~0", "~1", 1)] {
            let message = wrong.parse::<Nb201Arch>().unwrap_err().to_string();
            assert!(message.contains("avg_pool_3x3"), "{message}");
        }
    }

    #[test]
    fn keys_tell_apart_what_computes_something_else() {
        let mut keys = BTreeSet::new();
        for number in 0..5usize.pow(6) {
            let ops = std::array::from_fn(|edge| OPS[number / 5usize.pow(edge as u32) % 5]);
            keys.insert(Nb201Space::default().key(&Nb201Arch(ops)));
        }
        assert_eq!(keys.len(), 5545);
        let key = |text: &str| Nb201Space::default().key(&text.parse().unwrap());
        let by_way_of_1 = "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|";
        let directly = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|";
        assert_eq!(key(by_way_of_1), key(directly));
    }
}
