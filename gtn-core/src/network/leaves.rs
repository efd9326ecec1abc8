//! What a network's graph starts from, and where the adjoints of that go.
//!
//! Normalized weights are leaves: they depend on parameters alone, so those of all layers are made
//! before a pass over the graph, and their adjoints become a gradient after it. On a CUDA device
//! that is one launch each.

use super::params::{Layout, Params};
use crate::device::on_cuda;
use crate::graph::span;
#[cfg(feature = "cuda")]
use crate::ops::weight_norm::cuda::{self, Parameter};
use crate::ops::{Kept, Op, WeightNorm};
use crate::tensors::zeros_like;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// What a leaf of a network's graph stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The network's `i`-th input.
    Input(usize),
    /// The `i`-th parameter.
    Param(usize),
    /// The weight whose directions are the `i`-th parameter, and whose lengths the one after it.
    Weight(usize),
    /// The `i`-th running mean.
    Running(usize),
}

impl Leaf {
    /// Whether it is made of parameters.
    pub(crate) fn learned(&self) -> bool {
        matches!(self, Self::Param(_) | Self::Weight(_))
    }
}

/// What a network takes: a batch of samples of this shape.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) sample: Vec<usize>,
}

/// The leaves of a network's graph, in order.
#[derive(Debug, Clone)]
pub(crate) struct Leaves {
    pub(super) all: Vec<Leaf>,
    pub(super) inputs: Vec<Input>,
    pub(super) params: Arc<Layout>,
    pub(super) running: Arc<Layout>,
}

impl Leaves {
    pub(crate) fn params(&self) -> &Arc<Layout> {
        &self.params
    }

    pub(crate) fn running(&self) -> &Arc<Layout> {
        &self.running
    }

    /// Names and shapes of the leaves that are made of parameters, with channels last as their adjoints lie in memory.
    pub(crate) fn learned(&self) -> Result<Layout> {
        let mut learned = Layout::default();
        for leaf in &self.all {
            if let Leaf::Param(i) | Leaf::Weight(i) = *leaf {
                let slot = &self.params.slots()[i];
                let shape = match slot.shape[..] {
                    [out, channels, height, width] => vec![out, height, width, channels],
                    _ => slot.shape.clone(),
                };
                learned.push(slot.name.as_str(), &shape, slot.init)?;
            }
        }
        Ok(learned)
    }

    /// For each leaf, whether it is wanted.
    pub(crate) fn mask(&self, wanted: impl Fn(&Leaf) -> bool) -> Vec<bool> {
        self.all.iter().map(wanted).collect()
    }

    /// Where an input stands among the leaves.
    pub(crate) fn input(&self, i: usize) -> usize {
        let at = self.all.iter().position(|leaf| *leaf == Leaf::Input(i));
        at.expect("every input is a leaf")
    }

    /// The tensor of each leaf: see [`Leaves::with_inputs`].
    ///
    /// # Errors
    /// [`Error::Spec`] when the parameters or running means are another network's; [`Error::Shape`] when the inputs are.
    pub(crate) fn values(
        &self,
        inputs: &[&Tensor],
        params: &Params,
        running: Option<&Params>,
    ) -> Result<Vec<Tensor>> {
        self.with_inputs(&self.without_inputs(params, running)?, inputs)
    }

    /// The tensor of each leaf but the inputs.
    pub(crate) fn without_inputs(
        &self,
        params: &Params,
        running: Option<&Params>,
    ) -> Result<Vec<Option<Tensor>>> {
        same("parameters", &self.params, params)?;
        running.map_or(Ok(()), |running| self.own_running(running))?;
        let mut weights = self.weights(params)?.into_iter();
        let params = params.tensors()?;
        let running = running.map(Params::tensors).transpose()?.unwrap_or_default();
        let value = |leaf: &Leaf| match *leaf {
            Leaf::Input(_) => None,
            Leaf::Param(i) => Some(params[i].clone()),
            Leaf::Weight(_) => weights.next(),
            Leaf::Running(i) => Some(running[i].clone()),
        };
        Ok(self.all.iter().map(value).collect())
    }

    /// The tensor of each leaf, where `others` are all but the inputs. Inputs that are not given are nothing: what is
    /// asked for must not need them.
    pub(crate) fn with_inputs(
        &self,
        others: &[Option<Tensor>],
        inputs: &[&Tensor],
    ) -> Result<Vec<Tensor>> {
        let batch = inputs[0].dims().first().copied().unwrap_or(0);
        for (Input { name, sample }, found) in self.inputs.iter().zip(inputs) {
            match found.dims() {
                [count, of_each @ ..] if of_each == sample && *count == batch && batch > 0 => {}
                found => {
                    let rows = if batch > 0 { batch.to_string() } else { "batch".into() };
                    let sides = sample.iter().map(usize::to_string);
                    let shape: Vec<String> = std::iter::once(rows).chain(sides).collect();
                    let message = format!("expected ({}), found {found:?}", shape.join(", "));
                    return Err(Error::shape(name, message));
                }
            }
        }
        let value = |(leaf, other): (&Leaf, &Option<Tensor>)| match (leaf, other) {
            (_, Some(other)) => Ok(other.clone()),
            (Leaf::Input(i), None) if *i < inputs.len() => Ok(inputs[*i].clone()),
            (_, None) => zeros_like(inputs[0], &[0]),
        };
        self.all.iter().zip(others).map(value).collect()
    }

    /// Refuses running means of another network.
    pub(crate) fn own_running(&self, running: &Params) -> Result<()> {
        same("running means", &self.running, running)
    }

    /// The tangent of each leaf where the parameters move along `direction`, and nothing else moves.
    pub(crate) fn tangents(
        &self,
        params: &Params,
        direction: &Params,
    ) -> Result<Vec<Option<Tensor>>> {
        same("directions", &self.params, direction)?;
        let mut weights = self.weight_tangents(params, direction)?.into_iter();
        let directions = direction.tensors()?;
        let tangent = |leaf: &Leaf| match *leaf {
            Leaf::Param(i) => Some(directions[i].clone()),
            Leaf::Weight(_) => weights.next(),
            Leaf::Input(_) | Leaf::Running(_) => None,
        };
        Ok(self.all.iter().map(tangent).collect())
    }

    /// The gradient by the parameters, from the adjoints of the leaves; added to `onto`.
    pub(crate) fn gradient(
        &self,
        params: &Params,
        adjoints: &[Option<Tensor>],
        onto: Option<&Params>,
    ) -> Result<Params> {
        onto.map_or(Ok(()), |onto| same("parameters", &self.params, onto))?;
        on_cuda!(params.flat() => {
            let flat = cuda::gradient(&self.places(adjoints, None), params.flat(), onto)?;
            Ok(params.with_flat(flat))
        });
        let tensors = params.tensors()?;
        self.gathered(params, adjoints, onto, |i, at| match &adjoints[at] {
            Some(gw) => weight_norm("backward", &tensors[i..i + 2], |op, kept| {
                op.backward(kept, gw, &[true; 2])
            }),
            None => Ok(vec![None; 2]),
        })
    }

    /// The gradient by the running means, likewise.
    pub(crate) fn running_gradient(
        &self,
        running: &Params,
        adjoints: &[Option<Tensor>],
        onto: Option<&Params>,
    ) -> Result<Params> {
        let mut parts = vec![None; running.layout().slots().len()];
        for (leaf, adjoint) in self.all.iter().zip(adjoints) {
            if let Leaf::Running(i) = *leaf {
                parts[i] = adjoint.clone();
            }
        }
        let flat = running.flat();
        match onto {
            Some(onto) => onto.combined_with(1.0, 1.0, &parts),
            None => Params::gather(running.layout(), &parts, flat.dtype(), flat.device()),
        }
    }

    /// The tangent of [`Leaves::gradient`] along `direction`, where the adjoints of the leaves move along `moves`;
    /// added to `onto`.
    pub(crate) fn gradient_tangent(
        &self,
        [params, direction]: [&Params; 2],
        adjoints: &[Option<Tensor>],
        moves: &[Option<Tensor>],
        onto: Option<&Params>,
    ) -> Result<Params> {
        onto.map_or(Ok(()), |onto| same("parameters", &self.params, onto))?;
        on_cuda!(params.flat() => {
            let places = self.places(adjoints, Some(moves));
            let flats = [params.flat(), direction.flat()];
            Ok(params.with_flat(cuda::gradient_tangent(&places, flats, onto)?))
        });
        let (tensors, directions) = (params.tensors()?, direction.tensors()?);
        self.gathered(params, moves, onto, |i, at| {
            let (gw, dgw) = match (&adjoints[at], &moves[at]) {
                (Some(gw), dgw) => (gw.clone(), dgw.as_ref()),
                (None, Some(dgw)) => (dgw.zeros_like()?, Some(dgw)),
                (None, None) => return Ok(vec![None; 2]),
            };
            let along = [Some(&directions[i]), Some(&directions[i + 1])];
            weight_norm("backward_tangent", &tensors[i..i + 2], |op, kept| {
                op.backward_tangent(kept, &along, &gw, dgw, &[true; 2])
            })
        })
    }

    /// The normalized weights, in order.
    fn weights(&self, params: &Params) -> Result<Vec<Tensor>> {
        on_cuda!(params.flat() => cuda::weights(&self.weight_places(), params.flat()));
        let tensors = params.tensors()?;
        let weights = self.weight_slots().map(|i| {
            let args = &tensors[i..i + 2];
            weight_norm("forward", args, |op, _| Ok(op.forward(&[&args[0], &args[1]])?.y))
        });
        weights.collect()
    }

    /// Their tangents.
    fn weight_tangents(&self, params: &Params, direction: &Params) -> Result<Vec<Tensor>> {
        on_cuda!(params.flat() => {
            cuda::tangents(&self.weight_places(), [params.flat(), direction.flat()])
        });
        let (tensors, directions) = (params.tensors()?, direction.tensors()?);
        let tangents = self.weight_slots().map(|i| {
            let along = [Some(&directions[i]), Some(&directions[i + 1])];
            weight_norm("tangent", &tensors[i..i + 2], |op, kept| {
                Ok(op.tangent(kept, &along)?.expect("both arguments move"))
            })
        });
        tangents.collect()
    }

    fn weight_slots(&self) -> impl Iterator<Item = usize> {
        self.all.iter().filter_map(|leaf| match *leaf {
            Leaf::Weight(i) => Some(i),
            _ => None,
        })
    }

    /// The adjoints of parameters end to end, where `of_weight` makes two of a weight, given by the number of its
    /// directions and that of its leaf.
    fn gathered(
        &self,
        like: &Params,
        adjoints: &[Option<Tensor>],
        onto: Option<&Params>,
        of_weight: impl Fn(usize, usize) -> Result<Vec<Option<Tensor>>>,
    ) -> Result<Params> {
        let mut parts = vec![None; self.params.slots().len()];
        for (at, leaf) in self.all.iter().enumerate() {
            match *leaf {
                Leaf::Param(i) => parts[i] = adjoints[at].clone(),
                Leaf::Weight(i) => parts.splice(i..i + 2, of_weight(i, at)?).for_each(drop),
                Leaf::Input(_) | Leaf::Running(_) => {}
            }
        }
        let flat = like.flat();
        match onto {
            Some(onto) => onto.combined_with(1.0, 1.0, &parts),
            None => Params::gather(&self.params, &parts, flat.dtype(), flat.device()),
        }
    }

    /// The weights among the parameters.
    #[cfg(feature = "cuda")]
    fn weight_places(&self) -> Vec<Parameter<'_>> {
        let slots = self.params.slots();
        self.weight_slots().map(|i| Parameter::normalized(&slots[i], &slots[i + 1])).collect()
    }

    /// All parameters, with the adjoints of their leaves and the tangents of these.
    #[cfg(feature = "cuda")]
    fn places<'a>(
        &'a self,
        adjoints: &'a [Option<Tensor>],
        moves: Option<&'a [Option<Tensor>]>,
    ) -> Vec<Parameter<'a>> {
        let slots = self.params.slots();
        let mut all = Vec::with_capacity(slots.len());
        for (at, leaf) in self.all.iter().enumerate() {
            let parameter = match *leaf {
                Leaf::Param(i) => Parameter::plain(&slots[i]),
                Leaf::Weight(i) => Parameter::normalized(&slots[i], &slots[i + 1]),
                Leaf::Input(_) | Leaf::Running(_) => continue,
            };
            let moves = moves.and_then(|moves| moves[at].as_ref());
            all.push(parameter.with_adjoint(adjoints[at].as_ref(), moves));
        }
        all
    }
}

/// Refuses values that were laid out for another network.
fn same(what: &str, expected: &Arc<Layout>, found: &Params) -> Result<()> {
    let layout = found.layout();
    if Arc::ptr_eq(expected, layout) {
        return Ok(());
    }
    let most = expected.slots().len().max(layout.slots().len());
    let at = |layout: &Layout, i: usize| layout.slots().get(i).map(|slot| slot.shape.clone());
    match (0..most).find(|&i| at(expected, i) != at(layout, i)) {
        None => Ok(()),
        Some(i) => {
            let show = |layout: &Layout| match layout.slots().get(i) {
                Some(slot) => format!("`{}` of shape {:?}", slot.name, slot.shape),
                None => "nothing".into(),
            };
            let (expected, found) = (show(expected), show(layout));
            Err(Error::spec(format!(
                "these are another network's {what}: expected {expected}, found {found}"
            )))
        }
    }
}

/// What one of weight norm's functions makes of directions and lengths, in its span.
fn weight_norm<R>(
    pass: &'static str,
    args: &[Tensor],
    f: impl FnOnce(&WeightNorm, &Kept) -> Result<R>,
) -> Result<R> {
    let span = span(pass, &WeightNorm, args.iter().map(Tensor::dims), 0);
    span.in_scope(|| f(&WeightNorm, &Kept::of(&[&args[0], &args[1]])))
}

#[cfg(test)]
mod tests {
    use crate::data::{Batch, ImageShape, one_hot};
    use crate::device::cuda_or_skip;
    use crate::network::{Layer, Network, Normalization, Params};
    use crate::ops::check::uniform;
    use crate::seed::Seed;
    use candle_core::{DType, Device, Tensor};

    /// Gradient and curvature of a learner with more parameters than a launch takes.
    fn found(device: &Device, normalization: Normalization) -> [Tensor; 2] {
        let conv = |i: usize| Layer::Conv {
            name: format!("conv{i}"),
            channels: 2 + i % 3,
            kernel: 3.into(),
            stride: 1,
            padding: 1.into(),
        };
        let norm = |i: usize| Layer::MeanNorm { name: format!("norm{i}") };
        let mut layers: Vec<_> = (0..35).flat_map(|i| [conv(i), norm(i)]).collect();
        layers.push(Layer::Classifier { name: "fc".into() });
        let image = ImageShape { channels: 2, height: 3, width: 4 };
        let network = Network::new(&layers, image, 3, normalization).unwrap();
        let place = |t: Tensor| t.to_device(device).unwrap();
        let mut rng = Seed(1).rng();
        let params = Params::init(network.params(), DType::F64, &Device::Cpu, &mut rng).unwrap();
        let params = params.with_flat(place(params.flat().clone()));
        let batch = Batch {
            images: place(uniform(&[4, 2, 3, 4], 2)),
            targets: one_hot(&[0, 1, 2, 1], 3, DType::F64, device).unwrap(),
        };
        let lesson = network.learn(&params, &batch, true).unwrap();
        let direction = params.with_flat(place(uniform(&[params.layout().len()], 3)));
        let means = network.fresh_running(DType::F64, device).unwrap();
        let onto = params.with_flat(place(uniform(&[params.layout().len()], 4)));
        let curvature =
            network.curvature(&lesson.trace, &direction, &means, false, Some(&onto)).unwrap();
        [lesson.gradient, curvature.params].map(|all| all.flat().to_device(&Device::Cpu).unwrap())
    }

    #[test]
    fn a_cuda_device_takes_any_number_of_parameters() {
        let Some(device) = cuda_or_skip() else { return };
        for weight_norm in [true, false] {
            let normalization = Normalization { weight_norm, ..Normalization::default() };
            let (ours, expected) =
                (found(device, normalization), found(&Device::Cpu, normalization));
            for (ours, expected) in ours.iter().zip(&expected) {
                let most =
                    |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                let (gap, size) = (most((ours - expected).unwrap()), most(expected.clone()));
                assert!(gap <= 1e-9 * size, "{gap:e} of {size:e}");
            }
        }
    }
}
