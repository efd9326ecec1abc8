//! What the derivatives of a product `x·w` are sums of: lists of pairs of operands.
//!
//! Operations add up the products of such a list as they compute them, so that a tangent costs one pass over memory.

use super::Kept;
use candle_core::Tensor;

/// Pairs of operands.
pub(super) type Pairs<'a> = Vec<(&'a Tensor, &'a Tensor)>;

/// The terms of `d(a·b) = da·b + a·db`, without those that are zero.
pub(super) fn product_rule<'a>(
    (a, b): (&'a Tensor, &'a Tensor),
    (da, db): (Option<&'a Tensor>, Option<&'a Tensor>),
) -> Pairs<'a> {
    da.map(|da| (da, b)).into_iter().chain(db.map(|db| (a, db))).collect()
}

/// The terms of both adjoints of a product `x·w`, for the output's adjoint `gy`: pairs of that and `w`, and of `x`
/// and that. None for an adjoint that is not wanted.
pub(super) fn adjoint_terms<'a>(kept: &'a Kept, gy: &'a Tensor, wants: &[bool]) -> [Pairs<'a>; 2] {
    wanted([vec![(gy, kept.arg(1))], vec![(kept.arg(0), gy)]], wants)
}

/// The terms of the tangents of [`adjoint_terms`], where the arguments move along `dargs` and `gy` along `dgy`.
pub(super) fn adjoint_tangent_terms<'a>(
    kept: &'a Kept,
    dargs: &[Option<&'a Tensor>],
    (gy, dgy): (&'a Tensor, Option<&'a Tensor>),
    wants: &[bool],
) -> [Pairs<'a>; 2] {
    let input = product_rule((gy, kept.arg(1)), (dgy, dargs[1]));
    let weight = product_rule((kept.arg(0), gy), (dargs[0], dgy));
    wanted([input, weight], wants)
}

fn wanted<'a>(mut terms: [Pairs<'a>; 2], wants: &[bool]) -> [Pairs<'a>; 2] {
    for (terms, wanted) in terms.iter_mut().zip(wants) {
        terms.retain(|_| *wanted);
    }
    terms
}
