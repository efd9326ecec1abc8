//! Batch normalization with the statistics of the batch (Ioffe & Szegedy, arXiv 1502.03167).

#[cfg(feature = "cuda")]
mod cuda;

use super::{Forward, Keep, Kept, Op, arity, channels, or_zero};
use crate::cpu::{self, Float, by_dtype, channel_sums, channelwise, sums_by_channel, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use crate::{Error, Result};
use candle_core::Tensor;

/// `(x − μ)/√(σ² + ε)·scale + shift` a channel, for `x (batch, channels, …)`,
/// `scale (channels)` and `shift (channels)`; mean and biased variance over
/// the batch and all positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance; above zero.
    pub epsilon: f64,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, scale, shift] = arity("batch_norm", args)?;
        let [_, c, _] = channels("batch_norm", x)?;
        if scale != [c] || shift != [c] {
            return Err(Error::shape(
                "batch_norm",
                format!("expected scale and shift of {c} channels, found {scale:?} and {shift:?}"),
            ));
        }
        Ok(x.to_vec())
    }

    fn keep(&self) -> Keep {
        // What is made of the arguments is enough: see [`forward`].
        Keep { args: false, output: false, adjoint: true }
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        on_cuda!(args[0] => cuda::forward(self.epsilon, args));
        by_dtype!(args[0], T => forward::<T>(self.epsilon, args))
    }

    /// With `m₁` and `m₂` the means of `ȳ` and `ȳ·x̂`: `x̄ = scale/σ·(ȳ − m₁ − x̂·m₂)`.
    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        on_cuda!(gy => cuda::adjoint(kept, gy, wants));
        by_dtype!(gy, T => {
            let views = normalized::<T>(kept)?;
            let n = Normalized::new(&views);
            let gy = channels_last(gy)?;
            let gy = view::<T>(&gy)?;
            let gy = &*gy;
            let [m1, m2] = n.moments(gy);
            let a: Vec<T> = (0..n.channels).map(|c| n.scale[c] / n.sigma[c]).collect();
            let x = wants[0].then(|| channelwise::<T, 2, 3>(
                kept.dims(0),
                [gy, n.hat],
                [&a, &m1, &m2],
                #[inline(always)]
                |[gy, hat], [a, m1, m2]| a * (gy - m1 - hat * m2),
            ));
            n.finish(kept, wants, x, &m2, &m1)
        })
    }

    /// `x̂˙ = (ẋ − μ̇ − x̂·σ̇)/σ` with `μ̇` the mean of `ẋ` and `σ̇` that of `ẋ·x̂`.
    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        if dargs.iter().all(Option::is_none) {
            return Ok(None);
        }
        on_cuda!(&kept.aux()[0] => cuda::tangent(kept, dargs).map(Some));
        by_dtype!(kept.aux()[0], T => {
            let views = normalized::<T>(kept)?;
            let n = Normalized::new(&views);
            let [dx, dscale, dshift] = tangents(kept, dargs)?;
            let (dx, dscale, dshift) = (view::<T>(&dx)?, view::<T>(&dscale)?, view::<T>(&dshift)?);
            let (dx, dscale, dshift) = (&*dx, &*dscale, &*dshift);
            let [dmean, dsigma] = n.moments(dx);
            channelwise::<T, 2, 6>(
                kept.dims(0),
                [dx, n.hat],
                [&dmean, &dsigma, n.sigma, n.scale, dscale, dshift],
                #[inline(always)]
                |[dx, hat], [dmean, dsigma, sigma, scale, dscale, dshift]| {
                    dscale * hat + scale * hat_tangent(dx, dmean, hat, dsigma, sigma) + dshift
                },
            )
            .map(Some)
        })
    }

    /// The derivative of [`BatchNorm::backward`] by the product rule.
    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        on_cuda!(gy => cuda::adjoint_tangent(kept, dargs, (gy, dgy), wants));
        by_dtype!(gy, T => {
            let views = normalized::<T>(kept)?;
            let n = Normalized::new(&views);
            let [dx, dscale, _] = tangents(kept, dargs)?;
            let (dx, dscale) = (view::<T>(&dx)?, view::<T>(&dscale)?);
            let (dx, dscale) = (&*dx, &*dscale);
            let (gy, dgy) = (channels_last(gy)?, channels_last(&or_zero(dgy, gy, gy.dims())?)?);
            let (gy, dgy) = (view::<T>(&gy)?, view::<T>(&dgy)?);
            let (gy, dgy) = (&*gy, &*dgy);
            let [dmean, dsigma] = n.moments(dx);
            let [m1, m2] = n.moments(gy);
            let [dm1, mut dm2] = n.moments(dgy);
            let [cross] = sums_by_channel::<T, 3, 3, 1>(
                n.channels,
                [gy, dx, n.hat],
                [&dmean, &dsigma, n.sigma],
                #[inline(always)]
                |[gy, dx, hat], [dmean, dsigma, sigma]| {
                    [gy * hat_tangent(dx, dmean, hat, dsigma, sigma)]
                },
            );
            for (dm2, cross) in dm2.iter_mut().zip(cross) {
                *dm2 += cross / n.count();
            }
            let a: Vec<T> = (0..n.channels).map(|c| n.scale[c] / n.sigma[c]).collect();
            let da: Vec<T> = (0..n.channels)
                .map(|c| (dscale[c] - a[c] * dsigma[c]) / n.sigma[c])
                .collect();
            let x = wants[0].then(|| channelwise::<T, 4, 9>(
                kept.dims(0),
                [gy, dgy, dx, n.hat],
                [&a, &da, &m1, &m2, &dm1, &dm2, &dmean, &dsigma, n.sigma],
                #[inline(always)]
                |[gy, dgy, dx, hat], [a, da, m1, m2, dm1, dm2, dmean, dsigma, sigma]| {
                    let dhat = hat_tangent(dx, dmean, hat, dsigma, sigma);
                    let r = gy - m1 - hat * m2;
                    let dr = dgy - dm1 - dhat * m2 - hat * dm2;
                    da * r + a * dr
                },
            ));
            n.finish(kept, wants, x, &dm2, &dm1)
        })
    }
}

/// Output, and the normalized input (channels last), standard deviation and scale that all else is made of.
fn forward<T: Float>(epsilon: f64, args: &[&Tensor]) -> Result<Forward> {
    let [batch, c, area] = channels("batch_norm", args[0].dims())?;
    let x = channels_last(args[0])?;
    let (x, scale, shift) = (view::<T>(&x)?, view::<T>(args[1])?, view::<T>(args[2])?);
    let (x, scale, shift) = (&*x, &*scale, &*shift);
    let count = T::from_f64((batch * area) as f64);
    let mut mean = channel_sums::<T>(args[0])?;
    mean.iter_mut().for_each(|v| *v /= count);
    let [mut sigma] = sums_by_channel::<T, 1, 1, 1>(
        c,
        [x],
        [&mean],
        #[inline(always)]
        |[x], [mean]| [(x - mean) * (x - mean)],
    );
    sigma.iter_mut().for_each(|v| *v = (*v / count + T::from_f64(epsilon)).sqrt());
    let hat = channelwise::<T, 1, 2>(
        args[0].dims(),
        [x],
        [&mean, &sigma],
        #[inline(always)]
        |[x], [mean, sigma]| (x - mean) / sigma,
    )?;
    let hat_last = channels_last(&hat)?;
    let y = channelwise::<T, 1, 2>(
        args[0].dims(),
        [&view(&hat_last)?],
        [scale, shift],
        #[inline(always)]
        |[hat], [scale, shift]| hat * scale + shift,
    )?;
    let sigma = cpu::tensor::<T>(sigma, &[c])?;
    Ok(Forward { y, aux: vec![hat_last.clone(), sigma, args[1].clone()] })
}

/// What [`forward`] left, a row for each pixel.
#[derive(Clone, Copy)]
struct Normalized<'a, T> {
    hat: &'a [T],
    sigma: &'a [T],
    scale: &'a [T],
    channels: usize,
}

fn normalized<T: Float>(kept: &Kept) -> Result<[cpu::View<'_, T>; 3]> {
    Ok([view(&kept.aux()[0])?, view(&kept.aux()[1])?, view(&kept.aux()[2])?])
}

impl<'a, T: Float> Normalized<'a, T> {
    fn new([hat, sigma, scale]: &'a [cpu::View<'_, T>; 3]) -> Self {
        Self { hat, sigma, scale, channels: sigma.len() }
    }

    fn count(&self) -> T {
        T::from_f64((self.hat.len() / self.channels) as f64)
    }

    /// The means of `v` and of `v` times the normalized input, by channel.
    fn moments(&self, v: &[T]) -> [Vec<T>; 2] {
        let mut sums = sums_by_channel::<T, 2, 0, 2>(
            self.channels,
            [v, self.hat],
            [],
            #[inline(always)]
            |[v, hat], []| [v, v * hat],
        );
        for mean in sums.iter_mut().flatten() {
            *mean /= self.count();
        }
        sums
    }

    /// The adjoints: of scale and shift, from the means of their summands.
    fn finish(
        &self,
        kept: &Kept,
        wants: &[bool],
        x: Option<Result<Tensor>>,
        scale: &[T],
        shift: &[T],
    ) -> Result<Vec<Option<Tensor>>> {
        let total = |i: usize, means: &[T]| {
            wants[i].then(|| {
                cpu::tensor(
                    means.iter().map(|&m| m * self.count()).collect::<Vec<T>>(),
                    kept.dims(i),
                )
            })
        };
        Ok(vec![x.transpose()?, total(1, scale).transpose()?, total(2, shift).transpose()?])
    }
}

/// The tangent of an element of the normalized input, from the input's tangent and that
/// one's [`Normalized::moments`].
#[inline(always)]
fn hat_tangent<T: Float>(dx: T, dmean: T, hat: T, dsigma: T, sigma: T) -> T {
    (dx - dmean - hat * dsigma) / sigma
}

fn tangents(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<[Tensor; 3]> {
    let one = |i: usize| channels_last(&or_zero(dargs[i], &kept.aux()[0], kept.dims(i))?);
    Ok([one(0)?, one(1)?, one(2)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..5, c in 1usize..4, area in proptest::option::of((1usize..4, 1usize..4)),
            seed: u64,
        ) {
            let mut shape = vec![batch, c];
            shape.extend(area.iter().flat_map(|&(h, w)| [h, w]));
            let args = vec![uniform(&shape, seed), uniform(&[c], seed ^ 1), uniform(&[c], seed ^ 2)];
            check(&BatchNorm { epsilon: 0.1 }, Case::smooth(args, seed))?;
        }
    }
}
