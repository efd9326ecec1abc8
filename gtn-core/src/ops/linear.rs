//! Fully connected layer, without bias (see [`super::Bias`]).

use super::conv2d::product_rule;
use super::{Forward, Keep, Kept, Op, arity};
use crate::cpu::{
    self, Lanes, Rows, Segment, Strides, View, by_dtype, inner_products, parallel, product, view,
};
#[cfg(feature = "cuda")]
use crate::cuda::{self, Factor};
use crate::device::on_cuda;
use crate::{Error, Result};
use candle_core::Tensor;

/// `x·wᵀ` for rows `x (batch, in)` and weights `w (out, in)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear;

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        match arity("linear", args)? {
            [[batch, features], [out, inputs]] if features == inputs => Ok(vec![*batch, *out]),
            [x, w] => Err(Error::shape(
                "linear",
                format!("expected rows (batch, in) and weights (out, in), found {x:?} and {w:?}"),
            )),
        }
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, w) = (args[0], args[1]);
        Ok(Forward::plain(by_dtype!(x, T => outputs::<T>(&[(x, w)]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        by_dtype!(x, T => Ok(vec![
            wants[0].then(|| input_gradient::<T>(&[(gy, w)])).transpose()?,
            wants[1].then(|| weight_gradient::<T>(&[(x, gy)])).transpose()?,
        ]))
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        let terms = product_rule((x, w), (dargs[0], dargs[1]));
        if terms.is_empty() {
            return Ok(None);
        }
        by_dtype!(x, T => outputs::<T>(&terms)).map(Some)
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        let input = product_rule((gy, w), (dgy, dargs[1]));
        let weight = product_rule((x, gy), (dargs[0], dgy));
        by_dtype!(x, T => Ok(vec![
            (wants[0] && !input.is_empty()).then(|| input_gradient::<T>(&input)).transpose()?,
            (wants[1] && !weight.is_empty()).then(|| weight_gradient::<T>(&weight)).transpose()?,
        ]))
    }

    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        self.shape(args).map_or(0, |y| y.iter().chain(&args[1][1..]).product::<usize>() as u64)
    }
}

/// Rows of the result that one task computes.
const ROWS: usize = 32;

/// Elements of the inner index that [`outputs`] works on at a time, so that
/// the weights' share stays in the second-level cache.
const INNER: usize = 1024;

/// A matrix `(rows, columns)` filled [`ROWS`] rows at a time by `fill(first row, rows)`.
fn by_rows<T: Lanes>(
    (rows, columns): (usize, usize),
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<Tensor> {
    let out = parallel::filled(rows * columns, ROWS * columns, &|task, out| fill(task * ROWS, out));
    cpu::tensor(out, &[rows, columns])
}

/// Both operands of each term.
fn views<'a, T: Lanes>(terms: &[(&'a Tensor, &'a Tensor)]) -> Result<Vec<[View<'a, T>; 2]>> {
    terms.iter().map(|(a, b)| Ok([view(a)?, view(b)?])).collect()
}

/// `Σ x·wᵀ` over pairs `(x, w)`.
fn outputs<T: Lanes>(terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (batch, inner) = terms[0].0.dims2()?;
    let columns = terms[0].1.dim(0)?;
    on_cuda!(terms[0].0 => multiplied([batch, columns, inner], terms, |x, w| {
        (Factor::rows(x), Factor::columns(w))
    }));
    let views = views::<T>(terms)?;
    by_rows((batch, columns), |first, out| {
        let rows = out.len() / columns;
        for k in (0..inner).step_by(INNER) {
            let size = (rows, columns, INNER.min(inner - k));
            for (i, [x, w]) in views.iter().enumerate() {
                let x = Rows { data: &x[first * inner + k..], row: inner };
                let w = Rows { data: &w[k..], row: inner };
                inner_products(size, x, w, out, k > 0 || i > 0);
            }
        }
    })
}

/// `Σ gy·w` over pairs `(gy, w)`: the adjoint of the rows.
fn input_gradient<T: Lanes>(terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (batch, inner) = terms[0].0.dims2()?;
    let columns = terms[0].1.dim(1)?;
    on_cuda!(terms[0].0 => multiplied([batch, columns, inner], terms, |gy, w| {
        (Factor::rows(gy), Factor::rows(w))
    }));
    let views = views::<T>(terms)?;
    let strides = Strides { a_row: inner, a_inner: 1, b_inner: columns, out_row: columns };
    by_rows((batch, columns), |first, out| {
        let segments: Vec<Segment<'_, T>> = views
            .iter()
            .map(|[gy, w]| Segment { a: &gy[first * inner..], b: w, count: inner })
            .collect();
        let size = (out.len() / columns, columns);
        product(size, strides, &segments, out, false);
    })
}

/// `Σ gyᵀ·x` over pairs `(x, gy)`: the adjoint of the weights.
fn weight_gradient<T: Lanes>(terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (batch, columns) = terms[0].0.dims2()?;
    let rows = terms[0].1.dim(1)?;
    on_cuda!(terms[0].0 => multiplied([rows, columns, batch], terms, |x, gy| {
        (Factor::columns(gy), Factor::rows(x))
    }));
    let views = views::<T>(terms)?;
    let strides = Strides { a_row: 1, a_inner: rows, b_inner: columns, out_row: columns };
    by_rows((rows, columns), |first, out| {
        let segments: Vec<Segment<'_, T>> =
            views.iter().map(|[x, gy]| Segment { a: &gy[first..], b: x, count: batch }).collect();
        let size = (out.len() / columns, columns);
        product(size, strides, &segments, out, false);
    })
}

/// The product of this size (rows, columns, inner index), summed over the pairs' factors.
#[cfg(feature = "cuda")]
fn multiplied(
    size: [usize; 3],
    terms: &[(&Tensor, &Tensor)],
    factors: for<'a> fn(&'a Tensor, &'a Tensor) -> (Factor<'a>, Factor<'a>),
) -> Result<Tensor> {
    let out = cuda::empty(terms[0].0, &size[..2])?;
    let factors: Vec<_> = terms.iter().map(|(a, b)| factors(a, b)).collect();
    cuda::product(size, &factors, &out)?;
    Ok(out)
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
            batch in 1usize..6, inputs in 1usize..70, out in 1usize..9, seed: u64,
        ) {
            let args = vec![uniform(&[batch, inputs], seed), uniform(&[out, inputs], seed ^ 1)];
            check(&Linear, Case::smooth(args, seed))?;
        }
    }
}
