//! Batch normalization on a CUDA device.

use crate::Result;
use crate::cuda::{Launch, Sums, channel_sums, empty};
use crate::layout::{channels_first, channels_last};
use crate::ops::{Forward, Kept};
use candle_core::Tensor;

/// Output, and the normalized input (channels last), standard deviation and scale that all else is made of.
pub(super) fn forward(epsilon: f64, args: &[&Tensor]) -> Result<Forward> {
    let (x, scale, shift) = (channels_last(args[0])?, args[1], args[2]);
    let [rows, channels] = size(&x);
    let mean = channel_sums(args[0], 1.0 / rows as f64)?;
    let squares = "batch_norm_squares";
    let squares = Sums::new(squares, &x, [rows, channels, 1, 1], |launch, partial, parts| {
        launch.tensors([&x, &mean, partial])?.ints([channels, parts])
    })?;
    let sigma = squares.finished("batch_norm_sigma", &[channels], rows, &[epsilon])?;
    let (hat, y) = (empty(&x, x.dims())?, empty(&x, x.dims())?);
    Launch::each("batch_norm", &x, x.elem_count())?
        .tensors([&x, &mean, &sigma, scale, shift, &hat, &y])?
        .int(channels)?
        .run()?;
    Ok(Forward { y: channels_first(y)?, aux: vec![hat, sigma, scale.clone()] })
}

/// Rows and channels of a feature map whose channels come last.
fn size(x: &Tensor) -> [usize; 2] {
    let channels = x.dims()[x.dims().len() - 1];
    [x.elem_count() / channels, channels]
}

/// The means of `v` and of `v` times the normalized input: `(2, channels)`.
fn moments(v: &Tensor, hat: &Tensor) -> Result<Tensor> {
    let [rows, channels] = size(hat);
    let sums = "batch_norm_moments";
    let sums = Sums::new(sums, hat, [rows, channels, 2, 1], |launch, partial, parts| {
        Ok(launch.tensors([v, hat, partial])?.ints([channels, parts])?.reals([1.0 / rows as f64]))
    })?;
    sums.total(&[2, channels])
}

pub(super) fn adjoint(kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let [hat, sigma, scale] = kept.aux() else { unreachable!("forward left three") };
    let [rows, channels] = size(hat);
    let gy = channels_last(gy)?;
    let moments = moments(&gy, hat)?;
    let (gx, gscale, gshift) =
        (empty(hat, hat.dims())?, empty(scale, &[channels])?, empty(scale, &[channels])?);
    Launch::each("batch_norm_adjoint", hat, hat.elem_count())?
        .tensors([&gy, hat, sigma, scale, &moments, &gx, &gscale, &gshift])?
        .ints([channels, rows])?
        .run()?;
    finish([channels_first(gx)?, gscale, gshift], wants)
}

pub(super) fn tangent(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Tensor> {
    let [hat, sigma, scale] = kept.aux() else { unreachable!("forward left three") };
    let dx = dargs[0].map(channels_last).transpose()?;
    let means = dx.as_ref().map(|dx| moments(dx, hat)).transpose()?;
    let dy = empty(hat, hat.dims())?;
    Launch::each("batch_norm_tangent", hat, hat.elem_count())?
        .optional([dx.as_ref()])?
        .tensors([hat, sigma, scale])?
        .optional([dargs[1], dargs[2], means.as_ref()])?
        .tensors([&dy])?
        .int(size(hat)[1])?
        .run()?;
    channels_first(dy)
}

pub(super) fn adjoint_tangent(
    kept: &Kept,
    dargs: &[Option<&Tensor>],
    (gy, dgy): (&Tensor, Option<&Tensor>),
    wants: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    let [hat, sigma, scale] = kept.aux() else { unreachable!("forward left three") };
    let [rows, channels] = size(hat);
    let dx = dargs[0].map(channels_last).transpose()?;
    let means = dx.as_ref().map(|dx| moments(dx, hat)).transpose()?;
    let (gy, dgy) = (channels_last(gy)?, dgy.map(channels_last).transpose()?);
    let sums = "batch_norm_moments_tangent";
    let sums = Sums::new(sums, hat, [rows, channels, 4, 1], |launch, partial, parts| {
        let launch = launch.tensors([&gy])?.optional([dgy.as_ref(), dx.as_ref()])?;
        let launch = launch.tensors([hat, sigma])?.optional([means.as_ref()])?;
        Ok(launch.tensors([partial])?.ints([channels, parts])?.reals([1.0 / rows as f64]))
    })?;
    let moments = sums.total(&[4, channels])?;
    let (gx, gscale, gshift) =
        (empty(hat, hat.dims())?, empty(scale, &[channels])?, empty(scale, &[channels])?);
    Launch::each("batch_norm_adjoint_tangent", hat, hat.elem_count())?
        .tensors([&gy])?
        .optional([dgy.as_ref(), dx.as_ref()])?
        .tensors([hat, sigma, scale])?
        .optional([dargs[1], means.as_ref()])?
        .tensors([&moments, &gx, &gscale, &gshift])?
        .ints([channels, rows])?
        .run()?;
    finish([channels_first(gx)?, gscale, gshift], wants)
}

fn finish(adjoints: [Tensor; 3], wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    Ok(adjoints.into_iter().zip(wants).map(|(adjoint, wanted)| wanted.then_some(adjoint)).collect())
}
