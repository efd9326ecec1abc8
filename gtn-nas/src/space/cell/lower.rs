//! From two cells to a network.

use super::{Cell, CellArch, CellSpace, Edge, Op};
use crate::space::lowering::{Lowering, Value};
use gtn_core::network::Layer;

/// A cell's output, and how often the image was halved until there.
#[derive(Clone)]
struct Output {
    value: Value,
    halvings: usize,
}

/// Stem, cells, global average pooling, classifier.
pub(super) fn layers(space: &CellSpace, arch: &CellArch) -> Vec<Layer> {
    let mut net = Lowering::default();
    net.conv(space.channels, [3; 2], 1);
    net.norm();
    let stem = Output { value: net.mark(), halvings: 0 };
    let mut last_two = [stem.clone(), stem];
    for stage in 0..3 {
        let channels = space.channels << stage;
        if stage > 0 {
            last_two = stack(&mut net, &arch.reduction, last_two, channels, 2);
        }
        for _ in 0..space.repeats {
            last_two = stack(&mut net, &arch.normal, last_two, channels, 1);
        }
    }
    net.take(&last_two[1].value);
    net.relu();
    net.global_avg_pool();
    net.classify()
}

/// One more cell on top of the last two outputs. Returns the outputs that are the last two then.
fn stack(
    net: &mut Lowering,
    cell: &Cell,
    [before, last]: [Output; 2],
    channels: usize,
    stride: usize,
) -> [Output; 2] {
    // Both inputs with the cell's channels, at the size of the last.
    let mut input = |from: &Output| {
        net.take(&from.value);
        let stride = 1 << (last.halvings - from.halvings);
        net.relu_conv_norm(channels, [1; 2], stride);
        net.mark()
    };
    let mut values = vec![input(&before), input(&last)];
    for node in &cell.0 {
        let terms = node.map(|edge| {
            net.take(&values[edge.from]);
            // Inputs are halved by what takes them.
            let stride = if edge.from < 2 { stride } else { 1 };
            operate(net, edge, channels, stride);
            net.mark()
        });
        net.sum(&terms);
        values.push(net.mark());
    }
    let ends: Vec<Value> = cell.loose_ends().map(|value| values[value].clone()).collect();
    net.concat(&ends);
    let halvings = last.halvings + usize::from(stride == 2);
    let output = Output { value: net.mark(), halvings };
    [last, output]
}

fn operate(net: &mut Lowering, edge: Edge, channels: usize, stride: usize) {
    match edge.op {
        Op::Identity if stride == 1 => {}
        Op::Identity | Op::Conv1 => net.relu_conv_norm(channels, [1; 2], stride),
        Op::Conv3 => net.relu_conv_norm(channels, [3; 2], stride),
        Op::Conv1x3 => {
            net.relu_conv_norm(channels, [1, 3], 1);
            net.relu_conv_norm(channels, [3, 1], stride);
        }
        Op::Conv1x7 => {
            net.relu_conv_norm(channels, [1, 7], 1);
            net.relu_conv_norm(channels, [7, 1], stride);
        }
        Op::Max2 => net.max_pool(2, stride),
        Op::Max3 => net.max_pool(3, stride),
        Op::Max5 => net.max_pool(5, stride),
        Op::Avg2 => net.avg_pool(2, stride),
        Op::Avg3 => net.avg_pool(3, stride),
        Op::Avg5 => net.avg_pool(5, stride),
    }
}
