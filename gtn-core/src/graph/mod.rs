//! A network as a graph of operations, and the four passes over it.
//!
//! | pass | computes |
//! | --- | --- |
//! | [`Graph::forward`] | every value; the [`Trace`] keeps what is needed later |
//! | [`Graph::backward`] | adjoints of the leaves (`backward_keeping`: before a tangent pass) |
//! | [`Graph::tangent`] | tangents of every value, given tangents of leaves |
//! | [`Graph::backward_tangent`] | tangents of the adjoints of the leaves |
//!
//! The last two give, at the cost of one step's memory, what second-order
//! differentiation is needed for: see [`crate::meta`].

mod passes;

pub(crate) use passes::span;
pub use passes::{Tangents, Trace};

use crate::Result;
use crate::ops::Op;
use std::sync::Arc;

/// A value in a [`Graph`]: a leaf or the output of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Leaf(usize),
    Node(usize),
}

#[derive(Debug, Clone)]
struct Node {
    op: Arc<dyn Op>,
    args: Vec<Value>,
    multiply_adds: u64,
}

/// An acyclic graph of operations, in an order in which they can run.
///
/// Leaves are the images, the targets, the parameters, …: the graph does not
/// tell them apart.
///
/// ```
/// use gtn_core::graph::GraphBuilder;
/// use gtn_core::ops::{Linear, Tanh};
///
/// let mut builder = GraphBuilder::new();
/// let x = builder.leaf(&[1, 3]);
/// let w = builder.leaf(&[2, 3]);
/// let y = builder.apply(Linear, &[x, w])?;
/// let y = builder.apply(Tanh { scale: 1.0 }, &[y])?;
/// assert_eq!(builder.shape(y), [1, 2]);
/// let graph = builder.finish(y);
/// assert_eq!(graph.leaves(), 2);
/// # Ok::<(), gtn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Graph {
    leaves: usize,
    nodes: Vec<Node>,
    output: Value,
}

impl Graph {
    /// The number of leaves.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// The value that the graph is for.
    pub fn output(&self) -> Value {
        self.output
    }

    /// Multiply-adds of a forward pass for a batch of one (see [`Op::multiply_adds`]).
    pub fn multiply_adds(&self) -> u64 {
        self.nodes.iter().map(|node| node.multiply_adds).sum()
    }

    /// The same graph for another of its values; what only the old one needed is left out.
    pub fn with_output(&self, output: Value) -> Self {
        let nodes = match output.0 {
            Place::Leaf(_) => 0,
            Place::Node(node) => node + 1,
        };
        Self { leaves: self.leaves, nodes: self.nodes[..nodes].to_vec(), output }
    }

    /// The number of leaves and nodes together.
    fn len(&self) -> usize {
        self.leaves + self.nodes.len()
    }

    /// Where a value stands in a list of all leaves and then all nodes.
    fn index(&self, value: Value) -> usize {
        match value.0 {
            Place::Leaf(leaf) => leaf,
            Place::Node(node) => self.leaves + node,
        }
    }

    /// For each value, whether another depends on it.
    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.len()];
        let args = self.nodes.iter().flat_map(|node| &node.args);
        args.for_each(|arg| used[self.index(*arg)] = true);
        used
    }

    /// For each value, whether it depends on one of these leaves.
    fn reach(&self, leaves: &[bool]) -> Vec<bool> {
        assert_eq!(leaves.len(), self.leaves, "one wish for each leaf");
        let mut reach = leaves.to_vec();
        for node in &self.nodes {
            reach.push(node.args.iter().any(|&a| reach[self.index(a)]));
        }
        reach
    }
}

/// Builds a [`Graph`].
///
/// Shapes are those of a batch of one: the batch's size is chosen when the graph runs.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    leaves: Vec<Vec<usize>>,
    nodes: Vec<Node>,
    shapes: Vec<Vec<usize>>,
}

impl GraphBuilder {
    /// A graph without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf of this shape.
    pub fn leaf(&mut self, shape: &[usize]) -> Value {
        self.leaves.push(shape.to_vec());
        Value(Place::Leaf(self.leaves.len() - 1))
    }

    /// Adds `op` of `args`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when the operation does not take arguments of these shapes.
    pub fn apply(&mut self, op: impl Op + 'static, args: &[Value]) -> Result<Value> {
        let shapes: Vec<&[usize]> = args.iter().map(|&a| self.shape(a)).collect();
        let shape = op.shape(&shapes)?;
        let multiply_adds = op.multiply_adds(&shapes);
        self.shapes.push(shape);
        self.nodes.push(Node { op: Arc::new(op), args: args.to_vec(), multiply_adds });
        Ok(Value(Place::Node(self.nodes.len() - 1)))
    }

    /// The shape of a value, for a batch of one.
    pub fn shape(&self, value: Value) -> &[usize] {
        match value.0 {
            Place::Leaf(leaf) => &self.leaves[leaf],
            Place::Node(node) => &self.shapes[node],
        }
    }

    /// The graph for `output`.
    pub fn finish(self, output: Value) -> Graph {
        Graph { leaves: self.leaves.len(), nodes: self.nodes, output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::uniform;
    use crate::ops::{CrossEntropy, Linear};

    #[test]
    fn tensors_of_other_shapes_are_refused() {
        let mut builder = GraphBuilder::new();
        let leaves = [&[1, 3][..], &[2, 3], &[1, 2]].map(|shape| builder.leaf(shape));
        let y = builder.apply(Linear, &leaves[..2]).unwrap();
        let loss = builder.apply(CrossEntropy, &[y, leaves[2]]).unwrap();
        let graph = builder.finish(loss);
        let run = |shapes: [[usize; 2]; 3]| graph.infer(&shapes.map(|shape| uniform(&shape, 1)));
        assert!(run([[5, 3], [2, 3], [5, 2]]).is_ok());
        for (shapes, expected) in [
            (
                [[5, 4], [2, 3], [5, 2]],
                "linear: expected rows (batch, in) and weights (out, in), found [5, 4] and [2, 3]",
            ),
            (
                [[5, 3], [2, 3], [4, 2]],
                "cross_entropy: expected (batch, classes) twice, found [5, 2] and [4, 2]",
            ),
            (
                [[5, 3], [2, 3], [5, 3]],
                "cross_entropy: expected (batch, classes) twice, found [5, 2] and [5, 3]",
            ),
        ] {
            assert_eq!(run(shapes).unwrap_err().to_string(), expected);
        }
    }
}
