//! The micro space of ENAS and NAO: two small graphs, stacked to a network.
//!
//! A cell takes the outputs of the two cells before it (inputs 0 and 1). Each of its nodes adds up two
//! operations on earlier values: an input, or a node (2 and up). What no node takes is
//! concatenated to the cell's output (Pham et al., arXiv 1802.03268; the 11 operations are those of Luo et al., arXiv
//! 1808.07233). An architecture is a normal cell and a reduction cell, which halves the image.
//! Its text has a node as `conv3~0+max3~1`, commas between nodes, a bar between the cells.
//!
//! A network is a stem, and `repeats` normal cells three times, with a
//! reduction cell of twice the channels between (`lower`).

use super::choice::{any, either, one_hot, other};
use super::text::serde_as_text;
use super::{NetworkSpace, Space};
use crate::{Error, Result};
use gtn_core::network::Layer;
use gtn_core::seed::Rng;
use rand::RngExt;
use std::fmt;
use std::str::FromStr;

mod lower;

/// The space of [`CellArch`]s with a given number of nodes, and how networks are made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellSpace {
    /// Nodes of each cell, at least 1.
    pub nodes: usize,
    /// Channels of a node before the first reduction, at least 1; twice as many after each.
    pub channels: usize,
    /// Normal cells in a row, at least 1.
    pub repeats: usize,
}

impl Default for CellSpace {
    /// Five nodes, as in the papers, in a network small enough for a CPU.
    fn default() -> Self {
        Self { nodes: 5, channels: 8, repeats: 1 }
    }
}

/// A normal and a reduction cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellArch {
    normal: Cell,
    reduction: Cell,
}

/// At least one node; node `i` takes values below `i + 2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cell(Vec<Node>);

/// Two operations whose outputs are added: the smaller first, since their order makes no difference.
type Node = [Edge; 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Edge {
    /// 0 and 1: the outputs of the cell before the last, and of the last.
    from: usize,
    op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Op {
    Identity,
    Conv1,
    Conv3,
    /// 1×3, then 3×1.
    Conv1x3,
    /// 1×7, then 7×1.
    Conv1x7,
    Max2,
    Max3,
    Max5,
    Avg2,
    Avg3,
    Avg5,
}

const OPS: [(Op, &str); 11] = [
    (Op::Identity, "id"),
    (Op::Conv1, "conv1"),
    (Op::Conv3, "conv3"),
    (Op::Conv1x3, "conv1x3"),
    (Op::Conv1x7, "conv1x7"),
    (Op::Max2, "max2"),
    (Op::Max3, "max3"),
    (Op::Max5, "max5"),
    (Op::Avg2, "avg2"),
    (Op::Avg3, "avg3"),
    (Op::Avg5, "avg5"),
];

serde_as_text!(CellArch);

fn ops() -> [Op; 11] {
    OPS.map(|(op, _)| op)
}

/// The values that a node may take.
fn earlier(node: usize) -> Vec<usize> {
    (0..node + 2).collect()
}

fn sorted(mut node: Node) -> Node {
    node.sort();
    node
}

impl Cell {
    fn sample(nodes: usize, rng: &mut Rng) -> Self {
        let edge =
            |node, rng: &mut Rng| Edge { from: any(&earlier(node), rng), op: any(&ops(), rng) };
        Self((0..nodes.max(1)).map(|node| sorted([edge(node, rng), edge(node, rng)])).collect())
    }

    fn mutate(&mut self, rng: &mut Rng) {
        let number = rng.random_range(0..self.0.len());
        let node = &mut self.0[number];
        let edge = &mut node[rng.random_range(0..2)];
        if rng.random_bool(0.5) {
            edge.from = other(&earlier(number), edge.from, rng);
        } else {
            edge.op = other(&ops(), edge.op, rng);
        }
        *node = sorted(*node);
    }

    fn crossover(&self, with: &Self, rng: &mut Rng) -> Self {
        Self(self.0.iter().zip(&with.0).map(|(a, b)| either(a, b, rng)).collect())
    }

    /// The values that no node takes.
    fn loose_ends(&self) -> impl Iterator<Item = usize> {
        let values = 2..self.0.len() + 2;
        values.filter(|&value| !self.0.iter().flatten().any(|edge| edge.from == value))
    }
}

impl Space for CellSpace {
    type Arch = CellArch;

    fn sample(&self, rng: &mut Rng) -> CellArch {
        let normal = Cell::sample(self.nodes, rng);
        CellArch { normal, reduction: Cell::sample(self.nodes, rng) }
    }

    fn mutate(&self, parent: &CellArch, rng: &mut Rng) -> CellArch {
        let mut child = parent.clone();
        let cell = if rng.random_bool(0.5) { &mut child.normal } else { &mut child.reduction };
        cell.mutate(rng);
        child
    }

    fn crossover(&self, a: &CellArch, b: &CellArch, rng: &mut Rng) -> CellArch {
        CellArch {
            normal: a.normal.crossover(&b.normal, rng),
            reduction: a.reduction.crossover(&b.reduction, rng),
        }
    }

    fn encode(&self, arch: &CellArch) -> Vec<f64> {
        let count = self.nodes.max(1);
        let (values, ops) = (earlier(count - 1), ops());
        let edge = |edge: &Edge| -> Vec<f64> {
            one_hot(&values, edge.from).chain(one_hot(&ops, edge.op)).collect()
        };
        let cells = [&arch.normal, &arch.reduction];
        let nodes = cells.into_iter().flat_map(|cell| cell.0.iter().take(count));
        nodes.flatten().flat_map(edge).collect()
    }
}

impl NetworkSpace for CellSpace {
    fn layers(&self, arch: &CellArch) -> Vec<Layer> {
        lower::layers(self, arch)
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = OPS.iter().find(|(op, _)| *op == self.op).map_or("", |(_, name)| name);
        write!(f, "{name}~{}", self.from)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, [first, second]) in self.0.iter().enumerate() {
            write!(f, "{}{first}+{second}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for CellArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.normal, self.reduction)
    }
}

impl FromStr for CellArch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: String| Error::parse("cell architecture", text, message);
        let cell = |cell: &str| {
            let nodes = cell.split(',').enumerate().map(|(number, node)| {
                parse_node(number, node).ok_or_else(|| {
                    wrong(format!(
                        "expected a node of two operations on values below {}, like conv3~0+max3~1, found `{node}`",
                        number + 2
                    ))
                })
            });
            nodes.collect::<Result<_>>().map(Cell)
        };
        let Some((normal, reduction)) = text.split_once('|') else {
            return Err(wrong("expected a normal and a reduction cell with a bar between".into()));
        };
        let (normal, reduction) = (cell(normal)?, cell(reduction)?);
        if normal.0.len() != reduction.0.len() {
            return Err(wrong(format!(
                "expected two cells of as many nodes, found {} and {}",
                normal.0.len(),
                reduction.0.len()
            )));
        }
        Ok(Self { normal, reduction })
    }
}

fn parse_node(number: usize, text: &str) -> Option<Node> {
    let edge = |text: &str| {
        let (name, from) = text.split_once('~')?;
        let (op, _) = OPS.into_iter().find(|(_, known)| *known == name)?;
        Some(Edge { op, from: from.parse().ok().filter(|&from: &usize| from < number + 2)? })
    };
    let (first, second) = text.split_once('+')?;
    Some(sorted([edge(first)?, edge(second)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_refused() {
        let text = "conv3~0+max3~1,id~0+avg2~2|id~1+conv1x7~1,avg5~1+max2~2";
        let arch: CellArch = text.parse().unwrap();
        assert_eq!(arch.to_string(), text);
        let turned = text.replacen("conv3~0+max3~1", "max3~1+conv3~0", 1);
        assert_eq!(turned.parse::<CellArch>().unwrap(), arch, "sums have no order");
        for (wrong, why) in [
            ("conv3~0+max3~1", "a bar"),
            ("conv3~0+max3~2|id~0+id~1", "values below 2"),
            ("conv4~0+max3~1|id~0+id~1", "conv4~0+max3~1"),
            ("id~0+id~1,id~0+id~1|id~0+id~1", "2 and 1"),
        ] {
            let message = wrong.parse::<CellArch>().unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn what_no_node_takes_leaves_the_cell() {
        let arch: CellArch =
            "id~0+id~1,id~0+id~2,id~0+id~1|id~0+id~1,id~2+id~2,id~3+id~3".parse().unwrap();
        assert_eq!(arch.normal.loose_ends().collect::<Vec<_>>(), [3, 4]);
        assert_eq!(arch.reduction.loose_ends().collect::<Vec<_>>(), [4]);
    }
}
