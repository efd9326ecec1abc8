//! Weight normalization on a CUDA device: a block for each row.
//!
//! Weights of convolutions come out with their inputs last, in which these read them; so do their
//! adjoints come in.

use crate::Result;
use crate::cuda::{Launch, empty};
use crate::layout::{channels_first, channels_last};
use crate::ops::Kept;
use crate::ops::cuda::empty_map;
use candle_core::Tensor;

/// The kernel `name` for directions `v`: a block for each row.
fn rows(name: &'static str, v: &Tensor) -> Result<Launch> {
    let rows = v.dims()[0];
    Launch::blocks(name, v, rows, v.elem_count() / rows.max(1))
}

/// Inputs and taps of a row.
fn sizes(v: &Tensor) -> [usize; 2] {
    match *v.dims() {
        [_, inputs, height, width] => [inputs, height * width],
        _ => [v.elem_count() / v.dims()[0].max(1), 1],
    }
}

pub(super) fn forward(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    let w = empty_map(v, v.dims())?;
    rows("weight_norm", v)?.tensors([v, g, &w])?.ints(sizes(v))?.run()?;
    channels_first(w)
}

pub(super) fn adjoint(kept: &Kept, gw: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let (v, g, gw) = (kept.arg(0), kept.arg(1), channels_last(gw)?);
    let (gv, gg) = (empty(v, v.dims())?, empty(g, g.dims())?);
    rows("weight_norm_adjoint", v)?.tensors([v, g, &gw, &gv, &gg])?.ints(sizes(v))?.run()?;
    Ok(vec![wants[0].then_some(gv), wants[1].then_some(gg)])
}

pub(super) fn tangent(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Tensor> {
    let (v, g) = (kept.arg(0), kept.arg(1));
    let dw = empty_map(v, v.dims())?;
    rows("weight_norm_tangent", v)?
        .tensors([v, g])?
        .optional(dargs.iter().copied())?
        .tensors([&dw])?
        .ints(sizes(v))?
        .run()?;
    channels_first(dw)
}

pub(super) fn adjoint_tangent(
    kept: &Kept,
    dargs: &[Option<&Tensor>],
    (gw, dgw): (&Tensor, Option<&Tensor>),
    wants: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    let (v, g) = (kept.arg(0), kept.arg(1));
    let (gw, dgw) = (channels_last(gw)?, dgw.map(channels_last).transpose()?);
    let (dgv, dgg) = (empty(v, v.dims())?, empty(g, g.dims())?);
    rows("weight_norm_adjoint_tangent", v)?
        .tensors([v, g])?
        .optional(dargs.iter().copied().chain([Some(&gw), dgw.as_ref()]))?
        .tensors([&dgv, &dgg])?
        .ints(sizes(v))?
        .run()?;
    Ok(vec![wants[0].then_some(dgv), wants[1].then_some(dgg)])
}
