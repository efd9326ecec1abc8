//! A convolution and the max-pooling of what it gives.

#[cfg(feature = "cuda")]
mod cuda;

use super::Conv2d;
#[cfg(feature = "cuda")]
use super::product_rule;
use crate::Result;
use crate::ops::{Forward, Keep, Kept, MaxPool, Op, arity};
use candle_core::Tensor;

/// [`MaxPool`] of a [`Conv2d`], as one operation of images and weights.
///
/// It gives what the two do one after the other, and keeps nothing of the map between them. On a CUDA device it does
/// not even write that map if the images have one channel: there the map is most of what a network's passes read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PooledConv2d {
    /// What comes first.
    pub conv: Conv2d,
    /// What becomes of its outputs.
    pub pool: MaxPool,
}

impl PooledConv2d {
    /// What each of the two would have kept.
    fn parts(&self, kept: &Kept) -> Result<(Kept, Kept)> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        let map = self.conv.shape(&[x.dims(), w.dims()])?;
        let aux = kept.aux().to_vec();
        let pool = Kept { args: Vec::new(), arg_dims: vec![map], output: None, aux };
        Ok((Kept::of(&[x, w]), pool))
    }

    /// The adjoint of the map.
    fn unpooled(&self, pool: &Kept, gy: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.pool.backward(pool, gy, &[true])?.remove(0))
    }

    /// As [`Op::backward`] and [`Op::backward_tangent`], by the terms that each adjoint is the sum of, if kernels for
    /// that are at hand: pairs of the outputs' adjoint and weights, and adjoints alone.
    #[cfg(feature = "cuda")]
    fn fused_backward(
        &self,
        kept: &Kept,
        input: &[(&Tensor, &Tensor)],
        weight: Option<&Tensor>,
    ) -> Result<Option<Vec<Option<Tensor>>>> {
        let Some(fused) = cuda::Fused::new(self, kept.arg(0), kept.arg(1))? else {
            return Ok(None);
        };
        let winner = &kept.aux()[0];
        let images = (!input.is_empty()).then(|| fused.input_gradient(winner, input));
        let weights = weight.map(|gy| fused.weight_gradient(winner, gy));
        Ok(Some(vec![images.transpose()?, weights.transpose()?]))
    }
}

impl Op for PooledConv2d {
    fn name(&self) -> &'static str {
        "pooled_conv"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let args = arity::<2>("pooled_conv", args)?;
        self.pool.shape(&[&self.conv.shape(&args)?])
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        #[cfg(feature = "cuda")]
        if let Some(fused) = cuda::Fused::new(self, args[0], args[1])? {
            return fused.forward();
        }
        let map = self.conv.forward(args)?.y;
        self.pool.forward(&[&map])
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        #[cfg(feature = "cuda")]
        {
            let input = if wants[0] { vec![(gy, kept.arg(1))] } else { Vec::new() };
            if let Some(all) = self.fused_backward(kept, &input, wants[1].then_some(gy))? {
                return Ok(all);
            }
        }
        let (conv, pool) = self.parts(kept)?;
        match self.unpooled(&pool, gy)? {
            Some(gy) => self.conv.backward(&conv, &gy, wants),
            None => Ok(vec![None; wants.len()]),
        }
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if let [None, Some(dw)] = dargs
            && let Some(fused) = cuda::Fused::new(self, kept.arg(0), kept.arg(1))?
        {
            return fused.tangent(&kept.aux()[0], dw).map(Some);
        }
        let (conv, pool) = self.parts(kept)?;
        let map = self.conv.tangent(&conv, dargs)?;
        self.pool.tangent(&pool, &[map.as_ref()])
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        #[cfg(feature = "cuda")]
        if dargs[0].is_none() {
            let mut input = product_rule((gy, kept.arg(1)), (dgy, dargs[1]));
            if !wants[0] {
                input.clear();
            }
            if let Some(all) = self.fused_backward(kept, &input, dgy.filter(|_| wants[1]))? {
                return Ok(all);
            }
        }
        let (conv, pool) = self.parts(kept)?;
        let unpooled = |gy: &Tensor| self.unpooled(&pool, gy);
        let dgy = dgy.map(unpooled).transpose()?.flatten();
        match unpooled(gy)? {
            Some(gy) => self.conv.backward_tangent(&conv, dargs, &gy, dgy.as_ref(), wants),
            None => Ok(vec![None; wants.len()]),
        }
    }

    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        self.conv.multiply_adds(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Padding;
    use crate::ops::check::{Case, check, check_on_cuda, distinct, uniform};
    use proptest::prelude::*;

    /// Images, and weights of which one tap counts far more than the others: what the convolution gives
    /// differs nearly as much as the pixels do, so that no derivative is taken beside a tie.
    fn args(
        images: [usize; 4],
        out: usize,
        [down, across]: [usize; 2],
        op: Conv2d,
        seed: u64,
    ) -> Vec<Tensor> {
        let weights = [out, images[1], down, across];
        let mut w = (uniform(&weights, seed ^ 1) * 1e-5)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        // This tap sees a pixel of the image, as long as the padding is less than half of the kernel.
        let tap = op.padding[0] * across + op.padding[1];
        for row in w.chunks_exact_mut(images[1] * down * across) {
            row[tap] += 1.0;
        }
        let w = Tensor::from_vec(w, &weights, &candle_core::Device::Cpu).unwrap();
        vec![distinct(&images, seed), w]
    }

    fn pools() -> impl Strategy<Value = MaxPool> {
        let padding = prop_oneof![Just(Padding::Same), (0usize..2).prop_map(Padding::Each)];
        let pool = |(kernel, stride, padding)| MaxPool { kernel, stride, padding };
        (2usize..4, 1usize..4, padding).prop_map(pool)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn matches_central_differences(
            batch in 1usize..3, channels in 1usize..3, out in 1usize..6,
            (height, width) in (1usize..9, 1usize..9), kernel in [1usize..4, 1usize..4],
            stride in 1usize..3, padding in [0usize..3, 0usize..3], pool in pools(), seed: u64,
        ) {
            prop_assume!(padding.iter().zip(kernel).all(|(padding, kernel)| 2 * padding < kernel));
            let conv = Conv2d { stride, padding };
            let op = PooledConv2d { conv, pool };
            let args = args([batch, channels, height, width], out, kernel, conv, seed);
            prop_assume!(op.shape(&[args[0].dims(), args[1].dims()]).is_ok());
            check(&op, Case::smooth(args, seed))?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// The sizes for which a CUDA device has kernels: rows of several strips, channels for several rounds.
        #[test]
        fn one_channel_matches_central_differences(
            batch in 1usize..3, out in prop_oneof![1usize..12, (1usize..24).prop_map(|n| 4 * n)],
            (height, width) in (1usize..30, 1usize..30), padding in [0usize..2, 0usize..2],
            pool in pools(), seed: u64,
        ) {
            let conv = Conv2d { stride: 1, padding };
            let op = PooledConv2d { conv, pool };
            let args = args([batch, 1, height, width], out, [3, 3], conv, seed);
            prop_assume!(op.shape(&[args[0].dims(), args[1].dims()]).is_ok());
            check(&op, Case::smooth(args, seed))?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// Whole numbers are multiplied and added exactly: many are equal, here and there.
        #[test]
        fn ties_are_decided_alike_on_every_device(
            batch in 1usize..3, out in 1usize..10, (height, width) in (1usize..17, 1usize..17),
            padding in [0usize..4, 0usize..4], pool in pools(), seed: u64,
        ) {
            let op = PooledConv2d { conv: Conv2d { stride: 1, padding }, pool };
            let whole = |shape: &[usize], seed| (uniform(shape, seed) * 2.0).unwrap().round().unwrap();
            let args = vec![whole(&[batch, 1, height, width], seed), whole(&[out, 1, 3, 3], seed ^ 1)];
            prop_assume!(op.shape(&[args[0].dims(), args[1].dims()]).is_ok());
            check_on_cuda(&op, &Case::smooth(args, seed))?;
        }
    }
}
