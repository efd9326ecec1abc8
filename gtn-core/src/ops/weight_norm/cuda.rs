//! Weight normalization on a CUDA device: of all weights of a network in one launch, a block for
//! each row.
//!
//! Weights of convolutions come out with their inputs last, in which these read them; so do their
//! adjoints come in.

use crate::Result;
use crate::cuda::{DeviceRepr, Launch, empty};
use crate::layout::{channels_first, channels_last};
use crate::network::{Params, Slot};
use crate::ops::Kept;
use crate::tensors::joined;
use candle_core::Tensor;

/// Parameters that a launch works on at most, as in `weight_norm.cu`.
const PARAMETERS: usize = 64;

/// A parameter among those in a flat vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter<'a> {
    /// The first of its elements; of a normalized weight, of its directions.
    offset: usize,
    /// The first of a normalized weight's lengths.
    lengths: Option<usize>,
    shape: &'a [usize],
    adjoint: Option<&'a Tensor>,
    moves: Option<&'a Tensor>,
}

impl<'a> Parameter<'a> {
    /// A parameter that is used as it is.
    pub(crate) fn plain(slot: &'a Slot) -> Self {
        let (offset, shape) = (slot.offset(), &slot.shape[..]);
        Self { offset, lengths: None, shape, adjoint: None, moves: None }
    }

    /// A weight that is normalized, by its directions and lengths.
    pub(crate) fn normalized(directions: &'a Slot, lengths: &Slot) -> Self {
        Self { lengths: Some(lengths.offset()), ..Self::plain(directions) }
    }

    /// With the adjoint of what is made of it, and the tangent of that; zero where absent.
    pub(crate) fn with_adjoint(
        self,
        adjoint: Option<&'a Tensor>,
        moves: Option<&'a Tensor>,
    ) -> Self {
        Self { adjoint, moves, ..self }
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows, and inputs and taps of each. A vector is one row.
    fn size(&self) -> [usize; 3] {
        match *self.shape {
            [rows, inputs, height, width] => [rows, inputs, height * width],
            [rows, ref row @ ..] if !row.is_empty() => [rows, row.iter().product(), 1],
            _ => [1, self.len(), 1],
        }
    }
}

/// As in `weight_norm.cu`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Entry {
    adjoint: u64,
    moves: u64,
    directions: i32,
    lengths: i32,
    weight: i32,
    end: i32,
    row: i32,
    inputs: i32,
    taps: i32,
}

#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Entries([Entry; PARAMETERS]);

// SAFETY: plain numbers, laid out as the struct `Parameters` in weight_norm.cu.
unsafe impl DeviceRepr for Entries {}

/// Runs the kernel `name` over the parameters; `args` follow them, and are there or absent.
fn run(name: &'static str, all: &[Parameter<'_>], args: &[Option<&Tensor>]) -> Result<()> {
    let like = args.iter().flatten().next().expect("the parameters are there");
    let mut weight = 0;
    for all in all.chunks(PARAMETERS) {
        let mut entries = Entries([Entry::default(); PARAMETERS]);
        // They live until the kernel is launched.
        let mut adjoints = Vec::with_capacity(2 * all.len());
        let mut blocks = 0;
        for (entry, parameter) in entries.0.iter_mut().zip(all) {
            let mut address = |adjoint: Option<&Tensor>| match adjoint {
                Some(adjoint) => {
                    adjoints.push(channels_last(adjoint)?);
                    crate::cuda::address_of(&adjoints[adjoints.len() - 1], like)
                }
                None => Ok(0),
            };
            let [rows, inputs, taps] = parameter.size();
            blocks += rows;
            *entry = Entry {
                adjoint: address(parameter.adjoint)?,
                moves: address(parameter.moves)?,
                directions: crate::cuda::int(parameter.offset)?,
                lengths: parameter.lengths.map_or(Ok(-1), crate::cuda::int)?,
                weight: crate::cuda::int(weight)?,
                end: crate::cuda::int(blocks)?,
                row: crate::cuda::int(inputs * taps)?,
                inputs: crate::cuda::int(inputs)?,
                taps: crate::cuda::int(taps)?,
            };
            weight += parameter.len();
        }
        Launch::blocks(name, like, blocks, blocks)?
            .structure(entries)
            .optional(args.iter().copied())?
            .run()?;
    }
    Ok(())
}

/// Runs the kernel `name`, which makes weights of vectors: for each of `all` its weight.
fn weights_by(
    name: &'static str,
    all: &[Parameter<'_>],
    vectors: &[&Tensor],
) -> Result<Vec<Tensor>> {
    let len = all.iter().map(Parameter::len).sum();
    let flat = empty(vectors[0], &[len])?;
    let args: Vec<_> = vectors.iter().copied().chain([&flat]).map(Some).collect();
    run(name, all, &args)?;
    let mut start = 0;
    let weights = all.iter().map(|parameter| {
        let weight = flat.narrow(0, start, parameter.len())?;
        start += parameter.len();
        match *parameter.shape {
            [rows, inputs, height, width] => {
                channels_first(weight.reshape((rows, height, width, inputs))?)
            }
            _ => Ok(weight.reshape(parameter.shape)?),
        }
    });
    weights.collect()
}

/// The normalized weights of parameters that lie in a flat vector.
pub(crate) fn weights(all: &[Parameter<'_>], params: &Tensor) -> Result<Vec<Tensor>> {
    weights_by("weight_norm", all, &[params])
}

/// Their tangents, where the parameters move along a direction.
pub(crate) fn tangents(
    all: &[Parameter<'_>],
    [params, direction]: [&Tensor; 2],
) -> Result<Vec<Tensor>> {
    weights_by("weight_norm_tangent", all, &[params, direction])
}

/// The gradient by the flat vector, whose elements are all in one of the parameters, from their adjoints; added to `onto`.
pub(crate) fn gradient(
    all: &[Parameter<'_>],
    params: &Tensor,
    onto: Option<&Params>,
) -> Result<Tensor> {
    let gradient = empty(params, params.dims())?;
    let args = [Some(params), onto.map(Params::flat), Some(&gradient)];
    run("weight_norm_adjoint", all, &args)?;
    Ok(gradient)
}

/// The tangent of [`gradient`], where the parameters move along a direction; added to `onto`.
pub(crate) fn gradient_tangent(
    all: &[Parameter<'_>],
    [params, direction]: [&Tensor; 2],
    onto: Option<&Params>,
) -> Result<Tensor> {
    let gradient = empty(params, params.dims())?;
    let args = [Some(params), Some(direction), onto.map(Params::flat), Some(&gradient)];
    run("weight_norm_adjoint_tangent", all, &args)?;
    Ok(gradient)
}

/// For the operation by itself: directions and lengths in one vector.
fn flat(args: [Option<&Tensor>; 2], like: &Kept) -> Result<Tensor> {
    let parts = (0..2).map(|i| {
        let part = args[i].map(Tensor::flatten_all).transpose()?;
        Ok((part, like.arg(i).elem_count()))
    });
    let first = like.arg(0);
    joined(&parts.collect::<Result<Vec<_>>>()?, first.dtype(), first.device())
}

fn alone(kept: &Kept) -> Parameter<'_> {
    let v = kept.arg(0);
    let lengths = Some(v.elem_count());
    Parameter { offset: 0, lengths, shape: v.dims(), adjoint: None, moves: None }
}

pub(super) fn forward(kept: &Kept) -> Result<Tensor> {
    let params = flat([Some(kept.arg(0)), Some(kept.arg(1))], kept)?;
    Ok(weights(&[alone(kept)], &params)?.remove(0))
}

pub(super) fn tangent(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Tensor> {
    let params = flat([Some(kept.arg(0)), Some(kept.arg(1))], kept)?;
    let direction = flat([dargs[0], dargs[1]], kept)?;
    Ok(tangents(&[alone(kept)], [&params, &direction])?.remove(0))
}

pub(super) fn adjoint(kept: &Kept, gw: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let params = flat([Some(kept.arg(0)), Some(kept.arg(1))], kept)?;
    let all = [alone(kept).with_adjoint(Some(gw), None)];
    parted(kept, &gradient(&all, &params, None)?, wants)
}

pub(super) fn adjoint_tangent(
    kept: &Kept,
    dargs: &[Option<&Tensor>],
    (gw, dgw): (&Tensor, Option<&Tensor>),
    wants: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    let params = flat([Some(kept.arg(0)), Some(kept.arg(1))], kept)?;
    let direction = flat([dargs[0], dargs[1]], kept)?;
    let all = [alone(kept).with_adjoint(Some(gw), dgw)];
    parted(kept, &gradient_tangent(&all, [&params, &direction], None)?, wants)
}

/// The adjoints of directions and lengths in one vector, as far as they are wanted.
fn parted(kept: &Kept, gradient: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let mut start = 0;
    let parts = kept.args.iter().zip(wants).map(|(arg, wanted)| {
        let part = gradient.narrow(0, start, arg.elem_count())?.reshape(arg.dims())?;
        start += arg.elem_count();
        Ok(wanted.then_some(part))
    });
    parts.collect()
}
