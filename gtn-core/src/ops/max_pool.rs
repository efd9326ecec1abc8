//! Maximum over a sliding window.

use super::window::{Padding, Window};
use super::{Forward, Keep, Kept, Op, arity, linear_backward_tangent, nchw};
use crate::cpu::{self, Float, by_dtype, parallel, vectorize, view};
use crate::device::on_cuda;
use crate::layout::{channels_first, channels_last};
use crate::{Error, Result};
#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::Tensor;

/// Max-pooling of `(batch, channels, height, width)`. Windows may overlap;
/// what padding adds never wins. Of equal elements the first in reading order wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the square window, 1 to 16.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels around the image.
    pub padding: Padding,
}

/// Places of a window are counted in a byte.
const LARGEST: usize = 16;

impl MaxPool {
    pub(super) fn window(&self) -> Result<Window> {
        let Self { kernel, stride, padding } = *self;
        if kernel > LARGEST {
            return Err(Error::shape(
                "max_pool",
                format!("kernel must be at most {LARGEST}, found {kernel}"),
            ));
        }
        Ok(Window { op: "max_pool", kernel, stride, padding })
    }

    fn output(&self, size: usize) -> Result<usize> {
        self.window()?.outputs(size)
    }

    /// For each output of an image, in order: the places of its window that are inside the
    /// image, in reading order, by number and pixel.
    pub(super) fn windows(&self, (height, width): (usize, usize)) -> Result<Vec<Vec<(u8, usize)>>> {
        let (down, across) = (self.window()?.sees(height)?, self.window()?.sees(width)?);
        let places = |rows: &[(usize, usize)], columns: &[(usize, usize)]| {
            let mut places = Vec::with_capacity(rows.len() * columns.len());
            for &(row, y) in rows {
                for &(column, x) in columns {
                    places.push(((row * self.kernel + column) as u8, y * width + x));
                }
            }
            places
        };
        let outputs =
            down.iter().flat_map(|rows| across.iter().map(move |columns| (rows, columns)));
        Ok(outputs.map(|(rows, columns)| places(rows, columns)).collect())
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x] = arity("max_pool", args)?;
        let [batch, channels, height, width] = nchw("max_pool", x)?;
        Ok(vec![batch, channels, self.output(height)?, self.output(width)?])
    }

    fn keep(&self) -> Keep {
        Keep::NOTHING
    }

    fn restores_adjoint(&self) -> bool {
        self.stride > 1
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        by_dtype!(args[0], T => forward::<T>(self, args[0]))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !wants[0] {
            return Ok(vec![None]);
        }
        Ok(vec![Some(by_dtype!(gy, T => scatter::<T>(self, &kept.aux()[0], gy, kept.dims(0)))?)])
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        dargs[0].map(|dx| by_dtype!(dx, T => gather::<T>(self, &kept.aux()[0], dx))).transpose()
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

/// The maxima, and at which place of its window (in reading order) each was found.
fn forward<T: Float>(pool: &MaxPool, x: &Tensor) -> Result<Forward> {
    let [batch, c, height, width] = nchw("max_pool", x.dims())?;
    let (out_h, out_w) = (pool.output(height)?, pool.output(width)?);
    let x = channels_last(x)?;
    on_cuda!(x => {
        let shape = [batch, out_h, out_w, c];
        let y = crate::cuda::empty(&x, &shape)?;
        let winner = crate::cuda::empty_of(DType::U8, &x, &shape)?;
        crate::cuda::Launch::channels("max_pool", &x, y.elem_count(), c)?
            .tensors([&x, &y])?
            .tensor(&winner, DType::U8)?
            .ints(pool.window()?.sizes([batch, c, height, width])?)?
            .run()?;
        Ok(Forward { y: channels_first(y)?, aux: vec![winner] })
    });
    let x = view::<T>(&x)?;
    let windows = pool.windows((height, width))?;
    let x = &*x;
    let (image, pooled) = (height * width * c, out_h * out_w * c);
    let (lens, sizes) = ((batch * pooled, batch * pooled), (pooled, pooled));
    let (y, winner) = parallel::filled_two(lens, sizes, &|n, y: &mut [T], winner: &mut [u8]| {
        let x = &x[n * image..][..image];
        vectorize(
            #[inline(always)]
            || {
                let outputs = y.chunks_exact_mut(c).zip(winner.chunks_exact_mut(c));
                for ((best, winner), window) in outputs.zip(&windows) {
                    let (best, best_rest) = best.as_chunks_mut::<GROUP>();
                    let (winner, winner_rest) = winner.as_chunks_mut::<GROUP>();
                    let rest = best.len() * GROUP;
                    let window = || window.iter().copied();
                    for (i, (best, winner)) in best.iter_mut().zip(winner).enumerate() {
                        (*best, *winner) = largest(window(), channels_of(&x[i * GROUP..], c));
                    }
                    for (i, (best, winner)) in best_rest.iter_mut().zip(winner_rest).enumerate() {
                        ([*best], [*winner]) = largest(window(), channels_of(&x[rest + i..], c));
                    }
                }
            },
        );
    });
    let shape = [batch, out_h, out_w, c];
    let y = channels_first(cpu::tensor(y, &shape)?)?;
    Ok(Forward { y, aux: vec![cpu::tensor(winner, &shape)?] })
}

/// Channels that are compared at once.
pub(super) const GROUP: usize = 16;

/// The largest of what is `at` a window's pixels in each of `N` channels, and its place.
#[inline(always)]
pub(super) fn largest<T: Float, const N: usize>(
    mut window: impl Iterator<Item = (u8, usize)>,
    at: impl Fn(usize) -> [T; N],
) -> ([T; N], [u8; N]) {
    let (first, pixel) = window.next().expect("a window sees the image");
    let mut best = at(pixel);
    // As wide as f32 until the end: one comparison chooses both.
    let mut winner = [u32::from(first); N];
    for (place, pixel) in window {
        let (x, place) = (at(pixel), u32::from(place));
        for i in 0..N {
            // Not-a-number wins, so that it is not hidden.
            let wins = (x[i] > best[i]) | num_traits::Float::is_nan(x[i]);
            best[i] = if wins { x[i] } else { best[i] };
            winner[i] = if wins { place } else { winner[i] };
        }
    }
    (best, winner.map(|place| place as u8))
}

/// A pixel's first `N` channels of those that begin here, the pixels being `stride` apart.
#[inline(always)]
fn channels_of<T: Copy, const N: usize>(x: &[T], stride: usize) -> impl Fn(usize) -> [T; N] {
    #[inline(always)]
    move |pixel| *x[pixel * stride..].first_chunk().expect("a pixel's channels")
}

/// `sum += x` where `place` won.
#[inline(always)]
fn add_winners<T: Float>(sum: &mut [T], winner: &[u8], x: &[T], place: u8) {
    for ((sum, &winner), &x) in sum.iter_mut().zip(winner).zip(x) {
        // No condition on the store, so that it becomes vectors.
        *sum += if winner == place { x } else { T::zero() };
    }
}

/// Takes the elements of `x` that won.
fn gather<T: Float>(pool: &MaxPool, winner: &Tensor, x: &Tensor) -> Result<Tensor> {
    let [_, c, height, width] = nchw("max_pool", x.dims())?;
    let [_, out_h, out_w, _] = nchw("max_pool", winner.dims())?;
    on_cuda!(x => moved(pool, "max_pool_tangent", x, winner, x.dims(), winner.dims()));
    let windows = pool.windows((height, width))?;
    let x = channels_last(x)?;
    let (x, winner_view) = (view::<T>(&x)?, view::<u8>(winner)?);
    let (x, winners) = (&*x, &*winner_view);
    let (image, pooled) = (height * width * c, out_h * out_w * c);
    let y = parallel::filled(winners.len(), pooled, &|n, y| {
        let (x, winners) = (&x[n * image..][..image], &winners[n * pooled..][..pooled]);
        vectorize(
            #[inline(always)]
            || {
                let outputs = y.chunks_exact_mut(c).zip(winners.chunks_exact(c));
                for ((y, winner), window) in outputs.zip(&windows) {
                    for &(place, pixel) in window {
                        add_winners(y, winner, &x[pixel * c..][..c], place);
                    }
                }
            },
        );
    });
    channels_first(cpu::tensor(y, winner.dims())?)
}

/// The transpose of [`gather`].
fn scatter<T: Float>(
    pool: &MaxPool,
    winner: &Tensor,
    gy: &Tensor,
    dims: &[usize],
) -> Result<Tensor> {
    let [batch, c, height, width] = nchw("max_pool", dims)?;
    let [_, out_h, out_w, _] = nchw("max_pool", winner.dims())?;
    on_cuda!(gy => {
        let shape = [batch, height, width, c];
        moved(pool, "max_pool_adjoint", gy, winner, dims, &shape)
    });
    let windows = pool.windows((height, width))?;
    let gy = channels_last(gy)?;
    let (gy, winner) = (view::<T>(&gy)?, view::<u8>(winner)?);
    let (gy, winner) = (&*gy, &*winner);
    let (image, pooled) = (height * width * c, out_h * out_w * c);
    let gx = parallel::filled(batch * image, image, &|n, gx| {
        let (gy, winner) = (&gy[n * pooled..][..pooled], &winner[n * pooled..][..pooled]);
        vectorize(
            #[inline(always)]
            || {
                let outputs = gy.chunks_exact(c).zip(winner.chunks_exact(c));
                for ((gy, winner), window) in outputs.zip(&windows) {
                    for &(place, pixel) in window {
                        add_winners(&mut gx[pixel * c..][..c], winner, gy, place);
                    }
                }
            },
        );
    });
    channels_first(cpu::tensor(gx, &[batch, height, width, c])?)
}

/// What a kernel of a CUDA device makes of a feature map and the winners among images of shape `dims`: a
/// feature map of this shape, channels last.
#[cfg(feature = "cuda")]
fn moved(
    pool: &MaxPool,
    kernel: &'static str,
    map: &Tensor,
    winner: &Tensor,
    dims: &[usize],
    shape: &[usize],
) -> Result<Tensor> {
    let map = channels_last(map)?;
    let out = crate::cuda::empty(&map, shape)?;
    crate::cuda::Launch::channels(kernel, &map, out.elem_count(), dims[1])?
        .tensors([&map])?
        .tensor(winner, DType::U8)?
        .tensors([&out])?
        .ints(pool.window()?.sizes(nchw("max_pool", dims)?)?)?
        .run()?;
    channels_first(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Case, check, distinct};
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
            kernel in 1usize..5, stride in 1usize..4, padding in paddings(), seed: u64,
        ) {
            let pool = MaxPool { kernel, stride, padding };
            let args = vec![distinct(&[batch, channels, height, width], seed)];
            prop_assume!(pool.shape(&[args[0].dims()]).is_ok());
            check(&pool, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn the_first_of_equal_elements_wins() {
        let x =
            Tensor::ones((1, 1, 4, 4), candle_core::DType::F64, &candle_core::Device::Cpu).unwrap();
        let pool = MaxPool { kernel: 3, stride: 2, padding: Padding::Each(1) };
        let winner = &pool.forward(&[&x]).unwrap().aux[0];
        // Of each window, the first place inside the image.
        assert_eq!(winner.flatten_all().unwrap().to_vec1::<u8>().unwrap(), [4, 3, 1, 0]);
    }
}
