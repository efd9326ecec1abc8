//! Where branches meet: their channels, side by side.

use super::{Forward, Keep, Kept, Op, linear_backward_tangent};
use crate::cpu::{Float, by_dtype, from_rows, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use crate::{Error, Result};
use candle_core::Tensor;

/// One or more arguments `(batch, channels, …)`, alike in all but their channels, as one value
/// with the channels of the first, then those of the second, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat;

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let refused = || {
            Error::shape(
                "concat",
                format!("takes values that differ in their channels only, found {args:?}"),
            )
        };
        let mut shape = args.first().ok_or_else(refused)?.to_vec();
        if shape.len() < 2 {
            return Err(refused());
        }
        shape[1] = 0;
        for arg in args {
            let alike = arg.len() == shape.len()
                && (0..shape.len()).all(|axis| axis == 1 || arg[axis] == shape[axis]);
            if !alike {
                return Err(refused());
            }
            shape[1] += arg[1];
        }
        Ok(shape)
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let dims: Vec<&[usize]> = args.iter().map(|arg| arg.dims()).collect();
        let parts: Vec<Option<&Tensor>> = args.iter().copied().map(Some).collect();
        let shape = self.shape(&dims)?;
        Ok(Forward::plain(by_dtype!(args[0], T => join::<T>(&parts, &dims, &shape))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let mut first = 0;
        let mut adjoints = Vec::with_capacity(wants.len());
        for (i, &wanted) in wants.iter().enumerate() {
            let dims = kept.dims(i);
            let share = || by_dtype!(gy, T => cut::<T>(gy, first, dims));
            adjoints.push(wanted.then(share).transpose()?);
            first += dims[1];
        }
        Ok(adjoints)
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let Some(some) = dargs.iter().flatten().next() else { return Ok(None) };
        let dims: Vec<&[usize]> = (0..dargs.len()).map(|i| kept.dims(i)).collect();
        let shape = self.shape(&dims)?;
        by_dtype!(some, T => join::<T>(dargs, &dims, &shape)).map(Some)
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

/// The parts, which have the shapes `dims`, side by side; `None` stands for zeros.
fn join<T: Float>(parts: &[Option<&Tensor>], dims: &[&[usize]], shape: &[usize]) -> Result<Tensor> {
    let last = parts.iter().map(|part| part.map(channels_last).transpose());
    let last = last.collect::<Result<Vec<_>>>()?;
    if let Some(some) = last.iter().flatten().next() {
        on_cuda!(some => join_on_cuda(some, &last, dims, shape));
    }
    let views = last.iter().map(|part| part.as_ref().map(view::<T>).transpose());
    let views = views.collect::<Result<Vec<_>>>()?;
    let parts: Vec<(Option<&[T]>, usize)> =
        views.iter().map(Option::as_deref).zip(dims.iter().map(|dims| dims[1])).collect();
    from_rows::<T>(shape, |pixel, row| {
        let mut first = 0;
        for &(part, channels) in &parts {
            if let Some(part) = part {
                row[first..first + channels].copy_from_slice(&part[pixel * channels..][..channels]);
            }
            first += channels;
        }
    })
}

/// The channels of `y` from `first` on, as many as `dims` has.
fn cut<T: Float>(y: &Tensor, first: usize, dims: &[usize]) -> Result<Tensor> {
    let all = y.dims()[1];
    let y = channels_last(y)?;
    on_cuda!(y => {
        let out = super::cuda::empty_map(&y, dims)?;
        copy_columns(&out, Some(&y), dims[1], [all, first], [dims[1], 0])?;
        crate::layout::channels_first(out)
    });
    let y = view::<T>(&y)?;
    let y = &*y;
    from_rows::<T>(dims, |pixel, row| {
        row.copy_from_slice(&y[pixel * all + first..][..row.len()]);
    })
}

/// [`join`], a launch for each part; `like` is one of them.
#[cfg(feature = "cuda")]
fn join_on_cuda(
    like: &Tensor,
    parts: &[Option<Tensor>],
    dims: &[&[usize]],
    shape: &[usize],
) -> Result<Tensor> {
    let out = super::cuda::empty_map(like, shape)?;
    let mut first = 0;
    for (part, dims) in parts.iter().zip(dims) {
        copy_columns(&out, part.as_ref(), dims[1], [dims[1], 0], [shape[1], first])?;
        first += dims[1];
    }
    crate::layout::channels_first(out)
}

/// Copies `width` channels of each pixel, or zeros from nowhere. Of both feature maps: how many
/// channels they have, and which is the first.
#[cfg(feature = "cuda")]
fn copy_columns(
    to: &Tensor,
    from: Option<&Tensor>,
    width: usize,
    [columns, first]: [usize; 2],
    [all, at]: [usize; 2],
) -> Result<()> {
    crate::cuda::Launch::each("copy_columns", to, to.elem_count() / all * width)?
        .optional([from])?
        .tensors([to])?
        .ints([width, columns, first, all, at])?
        .run()
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
            channels in prop::collection::vec(1usize..5, 1..5), batch in 1usize..3,
            (height, width) in (1usize..5, 1usize..5), flat: bool, seed: u64,
        ) {
            let args = channels.iter().zip(seed..=u64::MAX).map(|(&channels, seed)| {
                let map = [batch, channels, height, width];
                uniform(if flat { &map[..2] } else { &map }, seed)
            });
            check(&Concat, Case::smooth(args.collect(), seed))?;
        }
    }

    #[test]
    fn forward_agrees_with_candle() {
        let args =
            [uniform(&[2, 3, 4, 5], 1), uniform(&[2, 1, 4, 5], 2), uniform(&[2, 2, 4, 5], 3)];
        let ours = Concat.forward(&args.each_ref()).unwrap().y;
        let theirs = Tensor::cat(&args, 1).unwrap();
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(flat(ours), flat(theirs));
    }

    #[test]
    fn other_sizes_and_nothing_are_refused() {
        let all: [&[&[usize]]; 4] =
            [&[], &[&[3]], &[&[1, 2, 4, 4], &[1, 2, 4, 5]], &[&[1, 2, 4, 4], &[1, 2]]];
        for args in all {
            let message = Concat.shape(args).unwrap_err().to_string();
            let expected = "concat: takes values that differ in their channels only, found";
            assert_eq!(message, format!("{expected} {args:?}"));
        }
    }
}
