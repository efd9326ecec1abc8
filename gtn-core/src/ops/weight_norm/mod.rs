//! Weight normalization (Salimans & Kingma, arXiv 1602.07868).

#[cfg(feature = "cuda")]
pub(crate) mod cuda;

use super::{Forward, Keep, Kept, Op, arity, or_zero};
use crate::cpu::{self, Float, by_dtype, dot, parallel, vectorize, view};
use crate::device::on_cuda;
use crate::{Error, Result};
use candle_core::Tensor;

/// `w = g·v/‖v‖` for directions `v (out, …)` and lengths `g (out)`, the norm
/// taken over all axes but the first.
///
/// A direction of zeros has none: its weights, and all that depends on them, become not-a-number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightNorm;

impl Op for WeightNorm {
    fn name(&self) -> &'static str {
        "weight_norm"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        match arity("weight_norm", args)? {
            [v, [rows]] if v.first() == Some(rows) => Ok(v.to_vec()),
            [v, g] => Err(Error::shape(
                "weight_norm",
                format!("expected directions (out, …) and lengths (out), found {v:?} and {g:?}"),
            )),
        }
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        Ok(Forward::plain(by_dtype!(args[0], T => forward::<T>(args[0], args[1]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        by_dtype!(gy, T => adjoint::<T>(kept, gy, wants))
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        if dargs.iter().all(Option::is_none) {
            return Ok(None);
        }
        by_dtype!(kept.arg(0), T => tangent::<T>(kept, dargs)).map(Some)
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        by_dtype!(gy, T => adjoint_tangent::<T>(kept, dargs, gy, dgy, wants))
    }
}

/// Elements a row; at least 1, so that it can be a chunk's size.
fn row(dims: &[usize]) -> usize {
    dims[1..].iter().product::<usize>().max(1)
}

/// Rows that one task works on.
const ROWS: usize = 8;

fn forward<T: Float>(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    on_cuda!(v => cuda::forward(&Kept::of(&[v, g])));
    let row = row(v.dims());
    let dims = v.dims();
    let (v, g) = (view::<T>(v)?, view::<T>(g)?);
    let (v, g) = (&*v, &*g);
    let w = parallel::filled(v.len(), ROWS * row, &|part, w| {
        vectorize(
            #[inline(always)]
            || {
                for (i, w) in w.chunks_exact_mut(row).enumerate() {
                    let i = part * ROWS + i;
                    let v = &v[i * row..][..row];
                    let a = g[i] / dot(v, v).sqrt();
                    for (w, &v) in w.iter_mut().zip(v) {
                        *w = a * v;
                    }
                }
            },
        );
    });
    cpu::tensor(w, dims)
}

/// With `n = ‖v‖` and `s = ⟨w̄,v⟩`: `ḡ = s/n`, `v̄ = g/n·(w̄ − s/n²·v)`.
fn adjoint<T: Float>(kept: &Kept, gw: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
    on_cuda!(gw => cuda::adjoint(kept, gw, wants));
    let row = row(kept.dims(0));
    let (v, g, gw) = (view::<T>(kept.arg(0))?, view::<T>(kept.arg(1))?, view::<T>(gw)?);
    let (v, g, gw) = (&*v, &*g, &*gw);
    let (lens, sizes) = ((v.len(), g.len()), (ROWS * row, ROWS));
    let (gv, gg) = parallel::filled_two(lens, sizes, &|part, gv: &mut [T], gg: &mut [T]| {
        vectorize(
            #[inline(always)]
            || {
                for (i, (gv, gg)) in gv.chunks_exact_mut(row).zip(gg).enumerate() {
                    let i = part * ROWS + i;
                    let (v, gw) = (&v[i * row..][..row], &gw[i * row..][..row]);
                    let n2 = dot(v, v);
                    let n = n2.sqrt();
                    let s = dot(gw, v);
                    *gg = s / n;
                    let (a, c) = (g[i] / n, s / n2);
                    for (gv, (&gw, &v)) in gv.iter_mut().zip(gw.iter().zip(v)) {
                        *gv = a * (gw - c * v);
                    }
                }
            },
        );
    });
    Ok(vec![
        wants[0].then(|| cpu::tensor(gv, kept.dims(0))).transpose()?,
        wants[1].then(|| cpu::tensor(gg, kept.dims(1))).transpose()?,
    ])
}

/// `ẇ = (ġ/n − g·ṅ/n²)·v + g/n·v̇` with `ṅ = ⟨v,v̇⟩/n`.
fn tangent<T: Float>(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Tensor> {
    on_cuda!(kept.arg(0) => cuda::tangent(kept, dargs));
    let row = row(kept.dims(0));
    let (v, g) = (view::<T>(kept.arg(0))?, view::<T>(kept.arg(1))?);
    let (dv, dg) = tangents::<T>(kept, dargs)?;
    let (dv, dg) = (view::<T>(&dv)?, view::<T>(&dg)?);
    let (v, g, dv, dg) = (&*v, &*g, &*dv, &*dg);
    let dw = parallel::filled(v.len(), ROWS * row, &|part, dw| {
        vectorize(
            #[inline(always)]
            || {
                for (i, dw) in dw.chunks_exact_mut(row).enumerate() {
                    let i = part * ROWS + i;
                    let (v, dv) = (&v[i * row..][..row], &dv[i * row..][..row]);
                    let n = dot(v, v).sqrt();
                    let dn = dot(v, dv) / n;
                    let (a, da) = (g[i] / n, dg[i] / n - g[i] * dn / (n * n));
                    for (dw, (&v, &dv)) in dw.iter_mut().zip(v.iter().zip(dv)) {
                        *dw = da * v + a * dv;
                    }
                }
            },
        );
    });
    cpu::tensor(dw, kept.dims(0))
}

/// The derivative of [`adjoint`] by the product rule.
fn adjoint_tangent<T: Float>(
    kept: &Kept,
    dargs: &[Option<&Tensor>],
    gw: &Tensor,
    dgw: Option<&Tensor>,
    wants: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    on_cuda!(gw => cuda::adjoint_tangent(kept, dargs, (gw, dgw), wants));
    let row = row(kept.dims(0));
    let (v, g) = (view::<T>(kept.arg(0))?, view::<T>(kept.arg(1))?);
    let (dv, dg) = tangents::<T>(kept, dargs)?;
    let (dv, dg) = (view::<T>(&dv)?, view::<T>(&dg)?);
    let dgw = or_zero(dgw, gw, kept.dims(0))?;
    let (gw, dgw) = (view::<T>(gw)?, view::<T>(&dgw)?);
    let (v, g, dv, dg, gw, dgw) = (&*v, &*g, &*dv, &*dg, &*gw, &*dgw);
    let (lens, sizes) = ((v.len(), g.len()), (ROWS * row, ROWS));
    let (dgv, dgg) = parallel::filled_two(lens, sizes, &|part, dgv: &mut [T], dgg: &mut [T]| {
        vectorize(
            #[inline(always)]
            || {
                for (i, (dgv, dgg)) in dgv.chunks_exact_mut(row).zip(dgg).enumerate() {
                    let i = part * ROWS + i;
                    let [v, dv, gw, dgw] = [v, dv, gw, dgw].map(|m| &m[i * row..][..row]);
                    let (g, dg) = (g[i], dg[i]);
                    let n2 = dot(v, v);
                    let n = n2.sqrt();
                    let dn = dot(v, dv) / n;
                    let s = dot(gw, v);
                    let ds = dot(dgw, v) + dot(gw, dv);
                    *dgg = ds / n - s * dn / n2;
                    let (a, da) = (g / n, dg / n - g * dn / n2);
                    let two = T::one() + T::one();
                    let (c, dc) = (s / n2, ds / n2 - two * s * dn / (n2 * n));
                    for i in 0..row {
                        dgv[i] = da * (gw[i] - c * v[i]) + a * (dgw[i] - dc * v[i] - c * dv[i]);
                    }
                }
            },
        );
    });
    Ok(vec![
        wants[0].then(|| cpu::tensor(dgv, kept.dims(0))).transpose()?,
        wants[1].then(|| cpu::tensor(dgg, kept.dims(1))).transpose()?,
    ])
}

fn tangents<T: Float>(kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<(Tensor, Tensor)> {
    Ok((
        or_zero(dargs[0], kept.arg(0), kept.dims(0))?,
        or_zero(dargs[1], kept.arg(1), kept.dims(1))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, distinct, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn matches_central_differences(
            rows in 1usize..6, columns in 2usize..40, seed: u64,
        ) {
            // `distinct` keeps ‖v‖ away from zero, where the norm has its kink.
            let v = (distinct(&[rows, columns], seed) * 30.0).unwrap();
            check(&WeightNorm, Case::smooth(vec![v, uniform(&[rows], seed ^ 1)], seed))?;
        }
    }
}
