//! Batch normalization with the statistics of the batch (Ioffe & Szegedy, arXiv 1502.03167).

use super::{Forward, Keep, Kept, Op, arity, channels};
use crate::cpu::{self, Float, by_dtype, channels_last, column_sums, from_rows, view};
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
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        by_dtype!(args[0], T => forward::<T>(self.epsilon, args))
    }

    /// With `m₁` and `m₂` the means of `ȳ` and `ȳ·x̂`: `x̄ = scale/σ·(ȳ − m₁ − x̂·m₂)`.
    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        by_dtype!(gy, T => {
            let n = Normalized::<T>::new(kept)?;
            let gy = channels_last(gy)?;
            let gy = view::<T>(&gy)?;
            let gy = &*gy;
            let [m1, m2] = n.moments(gy);
            let scale = view::<T>(kept.arg(1))?;
            let a: Vec<T> = (0..n.channels).map(|c| scale[c] / n.sigma[c]).collect();
            let x = wants[0].then(|| n.rows(kept, #[inline(always)] |at, c| a[c] * (gy[at] - m1[c] - n.hat[at] * m2[c])));
            n.finish(kept, wants, x, &m2, &m1)
        })
    }

    /// `x̂˙ = (ẋ − μ̇ − x̂·σ̇)/σ` with `μ̇` the mean of `ẋ` and `σ̇` that of `ẋ·x̂`.
    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        if dargs.iter().all(Option::is_none) {
            return Ok(None);
        }
        by_dtype!(kept.arg(0), T => {
            let n = Normalized::<T>::new(kept)?;
            let [dx, dscale, dshift] = tangents(kept, dargs)?;
            let (dx, dscale, dshift) = (view::<T>(&dx)?, view::<T>(&dscale)?, view::<T>(&dshift)?);
            let (dx, dscale, dshift) = (&*dx, &*dscale, &*dshift);
            let [dmean, dsigma] = n.moments(dx);
            let scale = view::<T>(kept.arg(1))?;
            let scale = &*scale;
            n.rows(kept, #[inline(always)] |at, c| {
                let hat = n.hat[at];
                let dhat = n.hat_tangent((dx, &dmean, &dsigma), at, c);
                dscale[c] * hat + scale[c] * dhat + dshift[c]
            }).map(Some)
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
        by_dtype!(gy, T => {
            let n = Normalized::<T>::new(kept)?;
            let [dx, dscale, _] = tangents(kept, dargs)?;
            let (dx, dscale) = (view::<T>(&dx)?, view::<T>(&dscale)?);
            let (dx, dscale) = (&*dx, &*dscale);
            let (gy, dgy) = (channels_last(gy)?, channels_last(&or_zero(dgy, gy, gy.dims())?)?);
            let (gy, dgy) = (view::<T>(&gy)?, view::<T>(&dgy)?);
            let (gy, dgy) = (&*gy, &*dgy);
            let [dmean, dsigma] = n.moments(dx);
            let [m1, m2] = n.moments(gy);
            let [dm1, mut dm2] = n.moments(dgy);
            let along = (dx, &dmean[..], &dsigma[..]);
            let [cross] = column_sums::<T, 1>(gy, n.channels, #[inline(always)] |row, gy, [sums]| {
                for (c, (sum, &gy)) in sums.iter_mut().zip(gy).enumerate() {
                    *sum += gy * n.hat_tangent(along, row * n.channels + c, c);
                }
            });
            for (dm2, cross) in dm2.iter_mut().zip(cross) {
                *dm2 += cross / n.count();
            }
            let scale = view::<T>(kept.arg(1))?;
            let a: Vec<T> = (0..n.channels).map(|c| scale[c] / n.sigma[c]).collect();
            let da: Vec<T> = (0..n.channels)
                .map(|c| (dscale[c] - a[c] * dsigma[c]) / n.sigma[c])
                .collect();
            let x = wants[0].then(|| n.rows(kept, #[inline(always)] |at, c| {
                let hat = n.hat[at];
                let r = gy[at] - m1[c] - hat * m2[c];
                let dr = dgy[at] - dm1[c] - n.hat_tangent(along, at, c) * m2[c] - hat * dm2[c];
                da[c] * r + a[c] * dr
            }));
            n.finish(kept, wants, x, &dm2, &dm1)
        })
    }
}

/// Output, and the normalized input (channels last) and standard deviation
/// that all else is made of.
fn forward<T: Float>(epsilon: f64, args: &[&Tensor]) -> Result<Forward> {
    let [batch, c, area] = channels("batch_norm", args[0].dims())?;
    let x = channels_last(args[0])?;
    let (x, scale, shift) = (view::<T>(&x)?, view::<T>(args[1])?, view::<T>(args[2])?);
    let (x, scale, shift) = (&*x, &*scale, &*shift);
    let count = T::from_f64((batch * area) as f64);
    let [mut mean] = column_sums::<T, 1>(
        x,
        c,
        #[inline(always)]
        |_, row, [sums]| {
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += v;
            }
        },
    );
    mean.iter_mut().for_each(|v| *v /= count);
    let [mut sigma] = column_sums::<T, 1>(
        x,
        c,
        #[inline(always)]
        |_, row, [sums]| {
            for ((sum, &v), &mean) in sums.iter_mut().zip(row).zip(&mean) {
                *sum += (v - mean) * (v - mean);
            }
        },
    );
    sigma.iter_mut().for_each(|v| *v = (*v / count + T::from_f64(epsilon)).sqrt());
    let hat = from_rows::<T>(
        args[0].dims(),
        #[inline(always)]
        |row, out| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = (x[row * c + i] - mean[i]) / sigma[i];
            }
        },
    )?;
    let hat_last = channels_last(&hat)?;
    let h = view::<T>(&hat_last)?;
    let h = &*h;
    let y = from_rows::<T>(
        args[0].dims(),
        #[inline(always)]
        |row, out| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = h[row * c + i] * scale[i] + shift[i];
            }
        },
    )?;
    Ok(Forward { y, aux: vec![hat_last.clone(), cpu::tensor::<T>(sigma, &[c])?] })
}

/// What [`forward`] left, a row for each pixel.
struct Normalized<'a, T> {
    hat: cpu::View<'a, T>,
    sigma: cpu::View<'a, T>,
    channels: usize,
}

impl<'a, T: Float> Normalized<'a, T> {
    fn new(kept: &'a Kept) -> Result<Self> {
        let [_, channels, _] = channels("batch_norm", kept.dims(0))?;
        Ok(Self { hat: view(&kept.aux()[0])?, sigma: view(&kept.aux()[1])?, channels })
    }

    fn count(&self) -> T {
        T::from_f64((self.hat.len() / self.channels) as f64)
    }

    /// The means of `v` and of `v` times the normalized input, by channel.
    fn moments(&self, v: &[T]) -> [Vec<T>; 2] {
        let hat = &*self.hat;
        let mut sums = column_sums::<T, 2>(
            v,
            self.channels,
            #[inline(always)]
            |row, v, [plain, crossed]| {
                for (c, &v) in v.iter().enumerate() {
                    plain[c] += v;
                    crossed[c] += v * hat[row * self.channels + c];
                }
            },
        );
        for mean in sums.iter_mut().flatten() {
            *mean /= self.count();
        }
        sums
    }

    /// The tangent of an element of the normalized input, from the input's
    /// tangent and that one's [`Self::moments`].
    #[inline(always)]
    fn hat_tangent(&self, (dx, dmean, dsigma): (&[T], &[T], &[T]), at: usize, c: usize) -> T {
        (dx[at] - dmean[c] - self.hat[at] * dsigma[c]) / self.sigma[c]
    }

    /// A tensor of the input's shape from `f(index, channel)`.
    fn rows(&self, kept: &Kept, f: impl Fn(usize, usize) -> T + Sync) -> Result<Tensor> {
        from_rows(
            kept.dims(0),
            #[inline(always)]
            |row, out| {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = f(row * self.channels + c, c);
                }
            },
        )
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

fn tangents(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<[Tensor; 3]> {
    let one = |i: usize| channels_last(&or_zero(dargs[i], kept.arg(i), kept.dims(i))?);
    Ok([one(0)?, one(1)?, one(2)?])
}

fn or_zero(tangent: Option<&Tensor>, like: &Tensor, dims: &[usize]) -> Result<Tensor> {
    tangent.map_or_else(|| cpu::zeros_like(like, dims), |t| Ok(t.clone()))
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
