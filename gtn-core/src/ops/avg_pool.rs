//! Mean over a sliding window.

use super::window::{Axis, Padding, Window, seen_by};
use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent, nchw};
use crate::Result;
use crate::cpu::{Float, by_dtype, from_rows, view};
use crate::device::on_cuda;
use crate::layout::channels_last;
use candle_core::Tensor;

/// Average-pooling of `(batch, channels, height, width)`: the mean of those pixels of each window
/// that are inside the image. Padding does not count (elsewhere: `count_include_pad = False`),
/// so that a constant image stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool {
    /// Side of the square window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels around the image.
    pub padding: Padding,
}

impl AvgPool {
    fn window(&self) -> Window {
        let Self { kernel, stride, padding } = *self;
        Window { op: "avg_pool", kernel, stride, padding }
    }

    /// What each output sees, downward and across.
    fn axes(&self, height: usize, width: usize) -> Result<[Axis; 2]> {
        Ok([self.window().sees(height)?, self.window().sees(width)?])
    }
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("avg_pool", args)?;
        let [batch, channels, height, width] = nchw("avg_pool", x)?;
        Ok(vec![batch, channels, self.window().outputs(height)?, self.window().outputs(width)?])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn restores_adjoint(&self) -> bool {
        self.stride > 1
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        Ok(Forward::plain(by_dtype!(args[0], T => mean::<T>(self, args[0]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        Ok(vec![Some(by_dtype!(gy, T => spread::<T>(self, gy, kept.dims(0)))?)])
    }

    fn tangent(&self, _kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| by_dtype!(dx, T => mean::<T>(self, dx))).transpose()
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

fn mean<T: Float>(pool: &AvgPool, x: &Tensor) -> Result<Tensor> {
    let [batch, c, height, width] = nchw("avg_pool", x.dims())?;
    on_cuda!(x => {
        let sizes = pool.window().sizes([batch, c, height, width])?;
        let [_, _, _, out_h, out_w, ..] = sizes;
        let x = channels_last(x)?;
        super::cuda::feature_map("avg_pool", [Some(&x)], &[batch, c, out_h, out_w], sizes)
    });
    let [down, across] = pool.axes(height, width)?;
    let (down, across) = (&down[..], &across[..]);
    let (out_h, out_w) = (down.len(), across.len());
    let x = channels_last(x)?;
    let x = view::<T>(&x)?;
    let x = &*x;
    from_rows::<T>(
        &[batch, c, out_h, out_w],
        #[inline(always)]
        move |output, row| {
            let (line, column) = (output / out_w, output % out_w);
            let (image, rows, columns) = (line / out_h, &down[line % out_h], &across[column]);
            for &(_, y) in rows {
                for &(_, at) in columns {
                    let pixel = &x[((image * height + y) * width + at) * c..][..c];
                    for (sum, &v) in row.iter_mut().zip(pixel) {
                        *sum += v;
                    }
                }
            }
            let scale = T::one() / T::from_f64((rows.len() * columns.len()) as f64);
            row.iter_mut().for_each(|v| *v *= scale);
        },
    )
}

/// The transpose of [`mean`].
fn spread<T: Float>(pool: &AvgPool, gy: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let [_, c, height, width] = nchw("avg_pool", dims)?;
    on_cuda!(gy => {
        let sizes = pool.window().sizes(nchw("avg_pool", dims)?)?;
        super::cuda::feature_map("avg_pool_adjoint", [Some(&channels_last(gy)?)], dims, sizes)
    });
    let [down, across] = pool.axes(height, width)?;
    let (out_h, out_w) = (down.len(), across.len());
    let [rows, columns] = [seen_by(&down, height), seen_by(&across, width)];
    let (down, across, rows, columns) = (&down[..], &across[..], &rows[..], &columns[..]);
    let gy = channels_last(gy)?;
    let gy = view::<T>(&gy)?;
    let gy = &*gy;
    from_rows::<T>(
        dims,
        #[inline(always)]
        move |pixel, row| {
            let (line, column) = (pixel / width, pixel % width);
            for &(_, y) in &rows[line % height] {
                for &(_, x) in &columns[column] {
                    let scale = T::one() / T::from_f64((down[y].len() * across[x].len()) as f64);
                    let output = &gy[((line / height * out_h + y) * out_w + x) * c..][..c];
                    for (sum, &v) in row.iter_mut().zip(output) {
                        *sum += v * scale;
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, uniform};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    fn paddings() -> impl Strategy<Value = Padding> {
        prop_oneof![Just(Padding::Same), (0usize..3).prop_map(Padding::Each)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..3, channels in 1usize..4,
            (height, width) in (1usize..9, 1usize..9),
            kernel in 1usize..6, stride in 1usize..4, padding in paddings(), seed: u64,
        ) {
            let pool = AvgPool { kernel, stride, padding };
            let args = vec![uniform(&[batch, channels, height, width], seed)];
            prop_assume!(pool.shape(&[args[0].dims()]).is_ok());
            check(&pool, Case::smooth(args, seed))?;
        }

        #[test]
        fn a_constant_image_stays_as_it_is(
            (height, width) in (1usize..9, 1usize..9),
            kernel in 1usize..6, stride in 1usize..4, padding in paddings(),
        ) {
            let pool = AvgPool { kernel, stride, padding };
            let x = Tensor::ones((2, 3, height, width), DType::F64, &Device::Cpu).unwrap();
            prop_assume!(pool.shape(&[x.dims()]).is_ok());
            let y = pool.forward(&[&x]).unwrap().y.flatten_all().unwrap();
            for v in y.to_vec1::<f64>().unwrap() {
                prop_assert!((v - 1.0).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn forward_agrees_with_candle_where_nothing_is_padded() {
        let x = uniform(&[2, 3, 7, 9], 4);
        let pool = AvgPool { kernel: 3, stride: 2, padding: Padding::Each(0) };
        let gap =
            (pool.forward(&[&x]).unwrap().y - x.avg_pool2d_with_stride(3, 2).unwrap()).unwrap();
        assert!(gap.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-14);
    }
}
