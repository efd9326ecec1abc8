//! A convolution and the max-pooling of what it gives, for images of one channel.
//!
//! There the map between the two is most of what the first layers' passes read and write, and takes few
//! multiplications: so it is never written as a whole, and what a window sees of it is computed when it is looked at.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use super::geometry::Geometry;
use super::{Conv2d, prepared, slices, views};
use crate::cpu::{by_dtype, tensor, view};
use crate::device::on_cuda;
use crate::layout::{channels_first, channels_last};
use crate::ops::product_rule::{adjoint_tangent_terms, adjoint_terms, product_rule};
use crate::ops::{Forward, Keep, Kept, MaxPool, Op, arity};
use crate::{Error, Result};
use candle_core::Tensor;

/// Weights of an output channel.
const TAPS: usize = 9;

/// Of the largest window.
const SIDE: usize = 3;

/// [`MaxPool`] of a [`Conv2d`]: of images `(batch, 1, height, width)` with weights `(out, 1, 3, 3)` and stride 1, by
/// windows of side 2 or 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PooledConv2d {
    /// Zeros around an image, as [`Conv2d::padding`].
    pub padding: [usize; 2],
    /// What becomes of the convolution's outputs.
    pub pool: MaxPool,
}

/// Pairs of operands, the sum of whose products is asked for.
type Terms<'a> = &'a [(&'a Tensor, &'a Tensor)];

impl PooledConv2d {
    /// The convolution's sizes.
    ///
    /// # Errors
    /// [`Error::Shape`] for images and weights that it is not for.
    fn geometry(&self, x: &[usize], w: &[usize]) -> Result<Geometry> {
        let g = Geometry::new(Conv2d { stride: 1, padding: self.padding }, x, w)?;
        if [g.channels, g.kernel_h, g.kernel_w] != [1, 3, 3]
            || !(2..=SIDE).contains(&self.pool.kernel)
        {
            let problem = format!(
                "takes one channel, weights of 3×3 and windows of side 2 or 3, found {x:?}, {w:?} and {}",
                self.pool.kernel
            );
            return Err(Error::shape("pooled_conv", problem));
        }
        Ok(g)
    }

    /// The sum over pairs of images and weights of the convolutions that won.
    fn taken(&self, kept: &Kept, terms: Terms<'_>) -> Result<Tensor> {
        let g = self.geometry(kept.dims(0), kept.dims(1))?;
        let winner = &kept.aux()[0];
        on_cuda!(winner => cuda::Passes::new(self, &g)?.taken(winner, terms));
        by_dtype!(terms[0].0, T => {
            let terms = prepared(terms, [channels_last, channels_last])?;
            let views = views::<T>(&terms)?;
            let y = cpu::Passes::new(self, &g)?.taken(&view::<u8>(winner)?, &slices(&views));
            channels_first(tensor(y, winner.dims())?)
        })
    }

    /// The adjoints of images and of weights over the pairs of each, where there are any: of the outputs'
    /// adjoint and weights, and of images and that adjoint.
    fn adjoints(
        &self,
        kept: &Kept,
        input: Terms<'_>,
        weight: Terms<'_>,
    ) -> Result<Vec<Option<Tensor>>> {
        let g = self.geometry(kept.dims(0), kept.dims(1))?;
        let winner = &kept.aux()[0];
        on_cuda!(winner => {
            let passes = cuda::Passes::new(self, &g)?;
            Ok(vec![
                (!input.is_empty()).then(|| passes.input_gradient(winner, input)).transpose()?,
                (!weight.is_empty()).then(|| passes.weight_gradient(winner, weight)).transpose()?,
            ])
        });
        let winner = view::<u8>(winner)?;
        let passes = cpu::Passes::new(self, &g)?;
        by_dtype!(kept.arg(0), T => {
            let input = prepared(input, [channels_last, channels_last])?;
            let weight = prepared(weight, [channels_last, channels_last])?;
            let (input, weight) = (views::<T>(&input)?, views::<T>(&weight)?);
            let (input, weight) = (slices(&input), slices(&weight));
            let images = || tensor(passes.input_gradient(&winner, &input), kept.dims(0));
            let weights = || tensor(passes.weight_gradient(&winner, &weight), kept.dims(1));
            Ok(vec![
                (!input.is_empty()).then(images).transpose()?,
                (!weight.is_empty()).then(weights).transpose()?,
            ])
        })
    }
}

impl Op for PooledConv2d {
    fn name(&self) -> &'static str {
        "pooled_conv"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, w] = arity("pooled_conv", args)?;
        let g = self.geometry(x, w)?;
        self.pool.shape(&[&[g.batch, g.out_channels, g.out_h, g.out_w]])
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, w) = (args[0], args[1]);
        let g = self.geometry(x.dims(), w.dims())?;
        on_cuda!(x => cuda::Passes::new(self, &g)?.forward(x, w));
        let [batch, channels, height, width] =
            crate::ops::nchw("pooled_conv", &self.shape(&[x.dims(), w.dims()])?)?;
        by_dtype!(x, T => {
            let (x, w) = (channels_last(x)?, channels_last(w)?);
            let (y, winner) = cpu::Passes::new(self, &g)?.forward::<T>(&view(&x)?, &view(&w)?);
            let shape = [batch, height, width, channels];
            Ok(Forward { y: channels_first(tensor(y, &shape)?)?, aux: vec![tensor(winner, &shape)?] })
        })
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let [input, weight] = adjoint_terms(kept, gy, wants);
        self.adjoints(kept, &input, &weight)
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let terms = product_rule((kept.arg(0), kept.arg(1)), (dargs[0], dargs[1]));
        (!terms.is_empty()).then(|| self.taken(kept, &terms)).transpose()
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let [input, weight] = adjoint_tangent_terms(kept, dargs, (gy, dgy), wants);
        self.adjoints(kept, &input, &weight)
    }

    /// As many as the convolution takes that is not pooled.
    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        Conv2d { stride: 1, padding: self.padding }.multiply_adds(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Padding;
    use crate::ops::check::{Case, check, check_on_cuda, distinct, uniform};
    use candle_core::Device;
    use proptest::prelude::*;

    /// Images, and weights of which the middle counts far more than the rest: what the convolution gives differs
    /// nearly as much as pixels do, so that no derivative is taken beside a tie.
    fn far_from_ties(images: [usize; 4], out: usize, seed: u64) -> Vec<Tensor> {
        let w = (uniform(&[out * TAPS], seed ^ 1) * 1e-5).unwrap();
        let mut w = w.to_vec1::<f64>().unwrap();
        w.chunks_exact_mut(TAPS).for_each(|taps| taps[TAPS / 2] += 1.0);
        let w = Tensor::from_vec(w, (out, 1, 3, 3), &Device::Cpu).unwrap();
        vec![distinct(&images, seed), w]
    }

    /// Whole numbers, which are multiplied and added exactly: many are equal.
    fn many_ties(images: [usize; 4], out: usize, seed: u64) -> Vec<Tensor> {
        let whole = |shape: &[usize], seed| (uniform(shape, seed) * 2.0).unwrap().round().unwrap();
        vec![whole(&images, seed), whole(&[out, 1, 3, 3], seed ^ 1)]
    }

    fn pools() -> impl Strategy<Value = MaxPool> {
        let padding = prop_oneof![Just(Padding::Same), (0usize..2).prop_map(Padding::Each)];
        let pool = |(kernel, stride, padding)| MaxPool { kernel, stride, padding };
        (2usize..4, 1usize..4, padding).prop_map(pool)
    }

    /// Few channels, and many: several groups of them, and rounds of a CUDA device's threads.
    fn outs() -> impl Strategy<Value = usize> {
        prop_oneof![1usize..12, (1usize..24).prop_map(|n| 4 * n)]
    }

    fn fits(op: &PooledConv2d, args: &[Tensor]) -> bool {
        op.shape(&[args[0].dims(), args[1].dims()]).is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..3, out in outs(), (height, width) in (1usize..30, 1usize..30),
            padding in [0usize..2, 0usize..2], pool in pools(), seed: u64,
        ) {
            let op = PooledConv2d { padding, pool };
            let args = far_from_ties([batch, 1, height, width], out, seed);
            prop_assume!(fits(&op, &args));
            check(&op, Case::smooth(args, seed))?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn is_the_two_operations_one_after_the_other(
            batch in 1usize..20, out in outs(), (height, width) in (1usize..17, 1usize..17),
            padding in [0usize..4, 0usize..4], pool in pools(), seed: u64,
        ) {
            let op = PooledConv2d { padding, pool };
            let args = many_ties([batch, 1, height, width], out, seed);
            prop_assume!(fits(&op, &args));
            let (x, w) = (&args[0], &args[1]);
            let both = op.forward(&[x, w]).unwrap();
            let map = Conv2d { stride: 1, padding }.forward(&[x, w]).unwrap().y;
            let pooled = pool.forward(&[&map]).unwrap();
            let same = |a: &Tensor, b: &Tensor| {
                let [a, b] = [a, b].map(|t| t.to_dtype(candle_core::DType::F64).unwrap());
                (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap() == 0.0
            };
            prop_assert!(same(&both.y, &pooled.y));
            prop_assert!(same(&both.aux[0], &pooled.aux[0]));
            check_on_cuda(&op, &Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let pool = MaxPool { kernel: 3, stride: 2, padding: Padding::Each(1) };
        let op = PooledConv2d { padding: [1; 2], pool };
        assert_eq!(op.shape(&[&[2, 1, 8, 8], &[5, 1, 3, 3]]).unwrap(), [2, 5, 4, 4]);
        for (x, w, kernel) in [
            ([2, 2, 8, 8], [5, 2, 3, 3], 3),
            ([2, 1, 8, 8], [5, 1, 5, 5], 3),
            ([2, 1, 8, 8], [5, 1, 3, 3], 4),
        ] {
            let op = PooledConv2d { pool: MaxPool { kernel, ..pool }, ..op };
            let error = op.shape(&[&x, &w]).unwrap_err().to_string();
            assert!(error.contains("takes one channel"), "{error}");
        }
    }
}
