//! Another shape for the same elements.

use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent};
use crate::layout::contiguous;
use crate::{Error, Result};
use candle_core::Tensor;

/// Gives each sample of `x (batch, …)` the shape `sample`; elements keep their
/// order, so that a feature map is read as channels, rows, columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// Dimensions of a sample, without the batch.
    pub sample: Vec<usize>,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("reshape", args)?;
        let elements: usize = self.sample.iter().product();
        match x {
            [batch, rest @ ..] if rest.iter().product::<usize>() == elements => {
                Ok([&[*batch], &self.sample[..]].concat())
            }
            _ => Err(Error::shape(
                "reshape",
                format!("cannot give {x:?} samples of the shape {:?}", self.sample),
            )),
        }
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let shape = self.shape(&[args[0].dims()])?;
        Ok(Forward::plain(contiguous(args[0])?.reshape(shape)?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![
            wants[0].then(|| Ok::<_, Error>(contiguous(gy)?.reshape(kept.dims(0))?)).transpose()?,
        ])
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| Ok(self.forward(&[dx])?.y)).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};

    #[test]
    fn matches_central_differences() {
        let case = Case::smooth(vec![uniform(&[2, 12], 1)], 2);
        check(&Reshape { sample: vec![3, 2, 2] }, case).unwrap();
    }
}
