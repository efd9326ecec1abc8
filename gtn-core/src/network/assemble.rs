//! From a list of layers to a graph of operations.

use super::builder::{NetworkBuilder, OUTPUT_GAIN, rectifier_gain};
use super::layers::Layer;
use crate::graph::Value;
use crate::ops::{
    AvgPool, Concat, Conv2d, DepthwiseConv, GlobalAvgPool, MaxPool, Op, PooledConv2d, Reshape, Sum,
    Zeroize,
};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Lays `layers` over `x`; the result is the logits `(batch, classes)`.
pub(super) fn assemble(
    net: &mut NetworkBuilder,
    layers: &[Layer],
    mut x: Value,
    classes: usize,
) -> Result<Value> {
    match layers.split_last() {
        Some((Layer::Classifier { .. }, before))
            if !before.iter().any(|l| matches!(l, Layer::Classifier { .. })) => {}
        _ => {
            return Err(Error::spec(
                "a learner's last layer, and no other, must be a `classifier`",
            ));
        }
    }
    let mut named = Named::default();
    let mut left = layers;
    while let [layer, after @ ..] = left {
        let number = layers.len() - after.len();
        let built = match (layer, after, pooled(net, x, left)) {
            // Two layers, one operation.
            (Layer::MeanNorm { name }, [Layer::LeakyRelu { slope }, after @ ..], _) => {
                left = after;
                let slope = valid_slope(*slope).map_err(|error| of_layer(number + 1, &error))?;
                net.mean_norm(name, x, slope)
            }
            (Layer::Conv { name, channels, kernel, .. }, [_, after @ ..], Some(op)) => {
                left = after;
                net.conv(name, x, *channels, kernel.axes(), op, gain_before(after))
            }
            _ => {
                left = after;
                one(net, &mut named, layer, x, classes, gain_before(after))
            }
        };
        x = built.map_err(|error| of_layer(number, &error))?;
    }
    Ok(x)
}

fn of_layer(number: usize, error: &Error) -> Error {
    Error::spec(format!("layer {number} of the learner: {error}"))
}

/// The next two layers as one operation, if they are a convolution and a pooling that it is for.
fn pooled(net: &NetworkBuilder, x: Value, layers: &[Layer]) -> Option<PooledConv2d> {
    let [conv, pool, ..] = layers else { return None };
    let &Layer::Conv { channels, kernel, stride: 1, padding, .. } = conv else { return None };
    let &Layer::MaxPool { kernel: side, stride, padding: around } = pool else { return None };
    let pool = MaxPool { kernel: side, stride, padding: around };
    let op = PooledConv2d { padding: padding.axes(), pool };
    let images = [&[1], net.sample(x)].concat();
    let inputs = images.get(1).copied().unwrap_or(0);
    let [down, across] = kernel.axes();
    // What does not fit is for the layer to say that does not.
    let fits = channels > 0 && op.shape(&[&images, &[channels, inputs, down, across]]).is_ok();
    fits.then_some(op)
}

/// How long the rows of a weight before these layers are at the start.
fn gain_before(after: &[Layer]) -> f64 {
    use Layer::{AvgPool, LeakyRelu, MaxPool, MeanNorm};
    match after.iter().find(|l| !matches!(l, MaxPool { .. } | AvgPool { .. } | MeanNorm { .. })) {
        Some(LeakyRelu { slope }) => rectifier_gain(*slope),
        // Rectified is what it takes, if at all: a sum of two such branches is as large as what they took.
        _ => 1.0,
    }
}

/// The value after one layer, where `x` is the one before. Weights start with rows of length `gain`.
fn one(
    net: &mut NetworkBuilder,
    named: &mut Named,
    layer: &Layer,
    x: Value,
    classes: usize,
    gain: f64,
) -> Result<Value> {
    match *layer {
        Layer::Conv { ref name, channels, kernel, stride, padding } => {
            positive("channels", channels)?;
            let op = Conv2d { stride, padding: padding.axes() };
            net.conv(name, x, channels, kernel.axes(), op, gain)
        }
        Layer::DepthwiseConv { ref name, kernel, stride, padding } => {
            let op = DepthwiseConv { stride, padding: padding.axes() };
            net.depthwise_conv(name, x, kernel.axes(), op, gain)
        }
        Layer::MaxPool { kernel, stride, padding } => {
            net.apply(MaxPool { kernel, stride, padding }, &[x])
        }
        Layer::AvgPool { kernel, stride, padding } => {
            net.apply(AvgPool { kernel, stride, padding }, &[x])
        }
        Layer::Zeroize { stride } => net.apply(Zeroize { stride }, &[x]),
        Layer::MeanNorm { ref name } => net.mean_norm(name, x, 1.0),
        Layer::LeakyRelu { slope } => net.leaky_relu(x, valid_slope(slope)?),
        Layer::GlobalAvgPool {} => net.apply(GlobalAvgPool, &[x]),
        Layer::Linear { ref name, features } => {
            positive("features", features)?;
            let x = flatten(net, x)?;
            net.linear(name, x, features, gain)
        }
        Layer::Classifier { ref name } => {
            let x = flatten(net, x)?;
            let x = net.linear(name, x, classes, OUTPUT_GAIN)?;
            net.bias(name, x)
        }
        Layer::Mark { ref value } => named.mark(value, x),
        Layer::Take { ref value } => named.get(value),
        Layer::Sum { ref of } => named.join(net, Sum, of),
        Layer::Concat { ref of } => named.join(net, Concat, of),
    }
}

/// The values that have a name.
#[derive(Default)]
struct Named(BTreeMap<String, Value>);

impl Named {
    fn mark(&mut self, name: &str, x: Value) -> Result<Value> {
        match self.0.insert(name.to_owned(), x) {
            None => Ok(x),
            Some(_) => Err(Error::spec(format!(
                "a value before is marked `{name}` already; give each value a name of its own"
            ))),
        }
    }

    fn get(&self, name: &str) -> Result<Value> {
        self.0.get(name).copied().ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let known = match known[..] {
                [] => "none is".to_owned(),
                _ => format!("marked are {}", quoted(&known)),
            };
            Error::spec(format!("no value before is marked `{name}`; {known}"))
        })
    }

    /// An operation on named values. Its error tells which.
    fn join(
        &self,
        net: &mut NetworkBuilder,
        op: impl Op + 'static,
        names: &[String],
    ) -> Result<Value> {
        if names.is_empty() {
            return Err(Error::spec(format!("{}: `of` must name at least one value", op.name())));
        }
        let values = names.iter().map(|name| self.get(name)).collect::<Result<Vec<_>>>()?;
        net.apply(op, &values)
            .map_err(|error| Error::spec(format!("{error} (of {})", quoted(names))))
    }
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

fn valid_slope(slope: f64) -> Result<f64> {
    if slope > 0.0 && slope.is_finite() {
        return Ok(slope);
    }
    Err(Error::spec(format!("the slope of a leaky ReLU must be above 0, found {slope}")))
}

fn positive(what: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::spec(format!("{what} must be at least 1"))) } else { Ok(()) }
}

fn flatten(net: &mut NetworkBuilder, x: Value) -> Result<Value> {
    let elements = net.sample(x).iter().product();
    if net.sample(x).len() == 1 {
        return Ok(x);
    }
    net.apply(Reshape { sample: vec![elements] }, &[x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::network::{Init, Network, Normalization};

    const IMAGE: ImageShape = ImageShape { channels: 2, height: 6, width: 5 };

    /// Layers as in a learner's TOML.
    fn layers(toml: &str) -> Vec<Layer> {
        #[derive(serde::Deserialize)]
        struct Table {
            layers: Vec<Layer>,
        }
        toml::from_str::<Table>(&format!("layers = [{toml}]")).unwrap().layers
    }

    fn build(toml: &str) -> Result<Network> {
        let layers = layers(&format!("{toml} {{ op = 'classifier', name = 'fc' }}"));
        Network::new(&layers, IMAGE, 3, Normalization::default())
    }

    const BRANCHES: &str = "
        { op = 'conv', name = 'a', channels = 4, kernel = [1, 7], padding = [0, 3] },
        { op = 'mark', value = 'a' },
        { op = 'depthwise_conv', name = 'b', kernel = 3, padding = 1 },
        { op = 'mark', value = 'b' },
        { op = 'take', value = 'a' },
        { op = 'max_pool', kernel = 2, stride = 1, padding = 'same' },
        { op = 'mark', value = 'c' },
        { op = 'avg_pool', kernel = 2, stride = 2 },
        { op = 'mark', value = 'half' },";

    #[test]
    fn branches_part_and_meet() {
        let network = build(&format!(
            "{BRANCHES}
            {{ op = 'sum', of = ['a', 'b', 'c', 'a'] }},
            {{ op = 'mark', value = 'sum' }},
            {{ op = 'concat', of = ['sum', 'c'] }},
            {{ op = 'conv', name = 'd', channels = 2, kernel = 1 }},"
        ))
        .unwrap();
        let shape = |name: &str| {
            let slots = network.params().slots();
            slots.iter().find(|slot| slot.name == name).unwrap().shape.clone()
        };
        assert_eq!(shape("a.weight"), [4, 2, 1, 7]);
        assert_eq!(shape("b.weight"), [4, 1, 3, 3]);
        assert_eq!(shape("b.g"), [4]);
        assert_eq!(shape("d.weight"), [2, 8, 1, 1]);
        assert_eq!(shape("fc.weight"), [3, 2 * 6 * 5]);
    }

    #[test]
    fn rows_start_as_long_as_what_follows_asks() {
        let network = build(
            "{ op = 'conv', name = 'rectified', channels = 4, kernel = 3, padding = 1 },
             { op = 'max_pool', kernel = 2, stride = 2 },
             { op = 'mean_norm', name = 'norm' },
             { op = 'leaky_relu', slope = 0.1 },
             { op = 'depthwise_conv', name = 'not', kernel = 3, padding = 1 },
             { op = 'conv', name = 'branch', channels = 2, kernel = 1 },
             { op = 'mean_norm', name = 'branch' },
             { op = 'mark', value = 'a' },
             { op = 'sum', of = ['a', 'a'] },
             { op = 'linear', name = 'linear', features = 5 },
             { op = 'leaky_relu', slope = 0.5 },",
        )
        .unwrap();
        let start = |name: &str| {
            let slots = network.params().slots();
            slots.iter().find(|slot| slot.name == name).unwrap().init
        };
        for (name, square) in [
            ("rectified", 2.0 / 1.01),
            ("not", 1.0),
            ("branch", 1.0),
            ("linear", 1.6),
            ("fc", 1.0 / 3.0),
        ] {
            let Init::Constant(length) = start(&format!("{name}.g")) else { panic!("{name}") };
            assert!((length * length - square).abs() < 1e-12, "{name}: {length}");
        }
    }

    #[test]
    fn errors_name_the_layer_and_the_values() {
        for (more, expected) in [
            (
                "{ op = 'take', value = 'd' },",
                "layer 10 of the learner: no value before is marked `d`; marked are `a`, `b`, `c`, `half`",
            ),
            (
                "{ op = 'mark', value = 'b' },",
                "layer 10 of the learner: a value before is marked `b` already; give each value a name of its own",
            ),
            (
                "{ op = 'sum', of = ['c', 'half'] },",
                "layer 10 of the learner: sum: takes values of one shape, found [[1, 4, 6, 5], [1, 4, 3, 2]] (of `c`, `half`)",
            ),
            (
                "{ op = 'concat', of = ['c', 'half'] },",
                "layer 10 of the learner: concat: takes values that differ in their channels only, found [[1, 4, 6, 5], [1, 4, 3, 2]] (of `c`, `half`)",
            ),
            (
                "{ op = 'sum', of = [] },",
                "layer 10 of the learner: sum: `of` must name at least one value",
            ),
            (
                "{ op = 'avg_pool', kernel = 3, stride = 1, padding = 2 },",
                "layer 10 of the learner: avg_pool: padding must be at most half of kernel 3, found 2",
            ),
        ] {
            let error = build(&format!("{BRANCHES} {more}")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for (layers, expected) in [
            (
                "{ op = 'mean_norm', name = 'n' }, { op = 'leaky_relu', slope = 0.0 },",
                "layer 2 of the learner: the slope of a leaky ReLU must be above 0, found 0",
            ),
            (
                "{ op = 'mean_norm', name = 'n' }, { op = 'mean_norm', name = 'n' }, { op = 'leaky_relu', slope = 0.1 },",
                "layer 2 of the learner: two layers share the parameter name `n.bias`; give each layer a name of its own",
            ),
            (
                "{ op = 'conv', name = 'c', channels = 2, kernel = 3, padding = 1 },
                 { op = 'conv', name = 'c', channels = 2, kernel = 3, padding = 1 },
                 { op = 'max_pool', kernel = 2, stride = 2 },",
                "layer 2 of the learner: two layers share the parameter name `c.weight`; give each layer a name of its own",
            ),
        ] {
            assert_eq!(build(layers).unwrap_err().to_string(), expected);
        }
        let error = build("{ op = 'take', value = 'a' },").unwrap_err().to_string();
        assert_eq!(error, "layer 1 of the learner: no value before is marked `a`; none is");
    }

    #[test]
    fn layers_survive_writing() {
        let all = layers(&format!("{BRANCHES} {{ op = 'zeroize', stride = 2 }},"));
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Layer>>(&text).unwrap(), all);
    }
}
