//! Where branches meet: their sum.

use super::{Forward, Keep, Kept, Op, linear_backward_tangent};
use crate::tensors::add;
use crate::{Error, Result};
use candle_core::Tensor;

/// The sum of one or more arguments of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum;

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        match args {
            [first, others @ ..] if others.iter().all(|other| other == first) => Ok(first.to_vec()),
            _ => Err(Error::shape("sum", format!("takes values of one shape, found {args:?}"))),
        }
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let sum = total(args.iter().copied())?;
        let nothing = || Error::shape("sum", "takes at least one value");
        Ok(Forward::plain(sum.ok_or_else(nothing)?))
    }

    fn backward(&self, _kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(wants.iter().map(|&wanted| wanted.then(|| gy.clone())).collect())
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        total(dargs.iter().copied().flatten())
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        _dargs: &[Option<&Tensor>],
        _gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        linear_backward_tangent(self, kept, dgy, wants)
    }
}

/// The sum in order; `None` of nothing.
fn total<'a>(mut terms: impl Iterator<Item = &'a Tensor>) -> Result<Option<Tensor>> {
    let Some(first) = terms.next() else { return Ok(None) };
    terms.try_fold(first.clone(), |sum, term| add(&sum, term)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn matches_central_differences(
            n in 1u64..5, batch in 1usize..3, channels in 1usize..4,
            (height, width) in (1usize..5, 1usize..5), flat: bool, seed: u64,
        ) {
            let map = [batch, channels, height, width];
            let shape = if flat { &map[..2] } else { &map };
            let args = (0..n).map(|i| uniform(shape, seed.wrapping_add(i))).collect();
            check(&Sum, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn other_shapes_and_nothing_are_refused() {
        let message = |args: &[&[usize]]| Sum.shape(args).unwrap_err().to_string();
        assert_eq!(
            message(&[&[1, 2, 4, 4], &[1, 2, 4, 5]]),
            "sum: takes values of one shape, found [[1, 2, 4, 4], [1, 2, 4, 5]]"
        );
        assert_eq!(message(&[]), "sum: takes values of one shape, found []");
    }
}
