//! Fully connected layer, without bias (see [`super::Bias`]).

use super::product_rule::{Pairs, adjoint_tangent_terms, adjoint_terms, product_rule};
use super::{Forward, Keep, Kept, Op, arity, weight_multiply_adds};
use crate::cpu::{
    self, Lanes, Rows, Segment, Strides, View, by_dtype, inner_products, parallel, product_packed,
    view,
};
#[cfg(feature = "cuda")]
use crate::cuda::{self, Factor};
use crate::device::on_cuda;
use crate::layout::transposed;
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
        gradients(adjoint_terms(kept, gy, wants), gy)
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
        gradients(adjoint_tangent_terms(kept, dargs, (gy, dgy), wants), gy)
    }

    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        weight_multiply_adds(self, args)
    }
}

/// `a·b` for matrices `a (rows, inner)` and `b (inner, columns)`.
pub(crate) fn matrix_product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    by_dtype!(a, T => input_gradient::<T>(&[(a, b)]))
}

/// The sums of the terms of both adjoints, of the type of `like`; none without terms.
fn gradients([input, weight]: [Pairs<'_>; 2], like: &Tensor) -> Result<Vec<Option<Tensor>>> {
    by_dtype!(like, T => Ok(vec![
        (!input.is_empty()).then(|| input_gradient::<T>(&input)).transpose()?,
        (!weight.is_empty()).then(|| weight_gradient::<T>(&weight)).transpose()?,
    ]))
}

/// Rows of the outputs that one task computes.
const ROWS: usize = 32;

/// Columns of a result that one task computes.
const COLUMNS: usize = 64;

/// Elements of the inner index that [`outputs`] works on at a time, so that a block's share of both
/// operands stays in the second-level cache.
const INNER: usize = 512;

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
    let out =
        parallel::filled_by_blocks((batch, columns), (ROWS, COLUMNS), &|rows, columns, out| {
            for k in (0..inner).step_by(INNER) {
                let size = (rows.len(), columns.len(), INNER.min(inner - k));
                for (i, [x, w]) in views.iter().enumerate() {
                    let x = Rows { data: &x[rows.start * inner + k..], row: inner };
                    let w = Rows { data: &w[columns.start * inner + k..], row: inner };
                    inner_products(size, x, w, out, k > 0 || i > 0);
                }
            }
        });
    cpu::tensor(out, &[batch, columns])
}

/// `Σ gy·w` over pairs `(gy, w)`: the adjoint of the rows.
fn input_gradient<T: Lanes>(terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (batch, inner) = terms[0].0.dims2()?;
    let columns = terms[0].1.dim(1)?;
    on_cuda!(terms[0].0 => multiplied([batch, columns, inner], terms, |gy, w| {
        (Factor::rows(gy), Factor::rows(w))
    }));
    sums_of_rows([batch, columns, inner], &views::<T>(terms)?)
}

/// `Σ gyᵀ·x` over pairs `(x, gy)`: the adjoint of the weights.
fn weight_gradient<T: Lanes>(terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (batch, columns) = terms[0].0.dims2()?;
    let rows = terms[0].1.dim(1)?;
    on_cuda!(terms[0].0 => multiplied([rows, columns, batch], terms, |x, gy| {
        (Factor::columns(gy), Factor::rows(x))
    }));
    // A tile reads a few rows of gyᵀ along their length.
    let adjoints: Vec<Tensor> = terms
        .iter()
        .map(|(_, gy)| transposed::<T>(gy, batch, rows, &[rows, batch]))
        .collect::<Result<_>>()?;
    let terms: Vec<(&Tensor, &Tensor)> =
        adjoints.iter().zip(terms).map(|(gy, (x, _))| (gy, *x)).collect();
    sums_of_rows([rows, columns, batch], &views::<T>(&terms)?)
}

/// `Σ a·b` for matrices `a (rows, inner)` and `b (inner, columns)`: every row of the result is a sum of rows of `b`.
fn sums_of_rows<T: Lanes>(
    [rows, columns, inner]: [usize; 3],
    terms: &[[View<'_, T>; 2]],
) -> Result<Tensor> {
    // A task reads its columns of b once, for all rows.
    let out = parallel::filled_by_blocks((rows, columns), (rows, COLUMNS), &|_, block, out| {
        let segments: Vec<Segment<'_, T>> =
            terms.iter().map(|[a, b]| Segment { a, b: &b[block.start..], count: inner }).collect();
        let strides = Strides { a_row: inner, a_inner: 1, b_inner: columns, out_row: block.len() };
        product_packed((rows, block.len()), strides, &segments, out);
    });
    cpu::tensor(out, &[rows, columns])
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// Sizes of several blocks, which central differences would take too long for.
        #[test]
        fn large_products_match_candle(
            batch in 1usize..80, inputs in 1usize..1100, out in 1usize..140, seed: u64,
        ) {
            let draw = |shape: &[usize], n| uniform(shape, seed ^ n);
            let (x, dx) = (draw(&[batch, inputs], 1), draw(&[batch, inputs], 2));
            let (w, dw) = (draw(&[out, inputs], 3), draw(&[out, inputs], 4));
            let (gy, dgy) = (draw(&[batch, out], 5), draw(&[batch, out], 6));
            let product = |a: &Tensor, b: &Tensor| a.matmul(b).unwrap();
            let sum = |a: Tensor, b: Tensor| (a + b).unwrap();
            let t = |a: &Tensor| a.t().unwrap();
            let close = |a: &Tensor, b: &Tensor| {
                let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
                assert!(difference.max(0).unwrap().to_scalar::<f64>().unwrap() < 1e-11);
            };
            let forward = Linear.forward(&[&x, &w]).unwrap();
            let kept = Kept::new(&Linear, &[&x, &w], &forward);
            let tangents = [Some(&dx), Some(&dw)];
            close(&forward.y, &product(&x, &t(&w)));
            close(
                &Linear.tangent(&kept, &tangents).unwrap().unwrap(),
                &sum(product(&dx, &t(&w)), product(&x, &t(&dw))),
            );
            let adjoints = Linear.backward(&kept, &gy, &[true; 2]).unwrap();
            close(adjoints[0].as_ref().unwrap(), &product(&gy, &w));
            close(adjoints[1].as_ref().unwrap(), &product(&t(&gy), &x));
            let adjoints =
                Linear.backward_tangent(&kept, &tangents, &gy, Some(&dgy), &[true; 2]).unwrap();
            close(adjoints[0].as_ref().unwrap(), &sum(product(&dgy, &w), product(&gy, &dw)));
            close(adjoints[1].as_ref().unwrap(), &sum(product(&t(&dgy), &x), product(&t(&gy), &dx)));
        }
    }
}
