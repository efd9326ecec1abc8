//! Two-dimensional convolution (cross-correlation, as everywhere in deep learning).

#[cfg(feature = "cuda")]
mod cuda;
mod direct;
mod geometry;
mod narrow;
mod pooled;
mod weights;
mod window;
mod winograd;

use super::product_rule::{adjoint_tangent_terms, adjoint_terms, product_rule};
use super::{Forward, Keep, Kept, Op, arity, weight_multiply_adds};
use crate::Result;
use crate::cpu::{self, Lanes, View, by_dtype, view};
use crate::device::on_cuda;
use crate::layout::{channels_first, channels_last};
use candle_core::Tensor;
use geometry::Geometry;
pub use pooled::PooledConv2d;

/// Convolution of images `(batch, in, height, width)` with weights
/// `(out, in, kernel_h, kernel_w)`, zero padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Pixels from one output to the next, at least 1.
    pub stride: usize,
    /// Zeros added above and below, and on the left and the right: height first, as in the
    /// kernel. Half of an odd kernel keeps the image's size.
    pub padding: [usize; 2],
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn shape(&self, args: &[&[usize]]) -> Result<Vec<usize>> {
        let [x, w] = arity("conv", args)?;
        let g = Geometry::new(*self, x, w)?;
        Ok(vec![g.batch, g.out_channels, g.out_h, g.out_w])
    }

    fn keep(&self) -> Keep {
        Keep::ARGS
    }

    fn forward(&self, args: &[&Tensor]) -> Result<Forward> {
        let (x, w) = (args[0], args[1]);
        let g = Geometry::new(*self, x.dims(), w.dims())?;
        on_cuda!(x => cuda::forward_once(&g, x, w));
        Ok(Forward::plain(by_dtype!(x, T => forward::<T>(&g, &[(x, w)]))?))
    }

    fn backward(&self, kept: &Kept, gy: &Tensor, wants: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let x = kept.arg(0);
        let g = Geometry::new(*self, x.dims(), kept.dims(1))?;
        let [input, weight] = adjoint_terms(kept, gy, wants);
        on_cuda!(x => cuda::backward(&g, &input, &weight, kept.aux().first()));
        by_dtype!(x, T => backward::<T>(&g, &input, &weight))
    }

    fn aux_is_for_backward(&self) -> bool {
        true
    }

    fn tangent(&self, kept: &Kept, dargs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
        let (x, w) = (kept.arg(0), kept.arg(1));
        let g = Geometry::new(*self, x.dims(), w.dims())?;
        let terms = product_rule((x, w), (dargs[0], dargs[1]));
        if terms.is_empty() {
            return Ok(None);
        }
        by_dtype!(x, T => forward::<T>(&g, &terms)).map(Some)
    }

    fn backward_tangent(
        &self,
        kept: &Kept,
        dargs: &[Option<&Tensor>],
        gy: &Tensor,
        dgy: Option<&Tensor>,
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let x = kept.arg(0);
        let g = Geometry::new(*self, x.dims(), kept.dims(1))?;
        let [input, weight] = adjoint_tangent_terms(kept, dargs, (gy, dgy), wants);
        by_dtype!(x, T => backward::<T>(&g, &input, &weight))
    }

    fn multiply_adds(&self, args: &[&[usize]]) -> u64 {
        weight_multiply_adds(self, args)
    }
}

/// Pairs of operands: feature maps with their channels last, weights as they are.
type Terms<'a, T> = [(&'a [T], &'a [T])];

/// The operands of each pair, by way of `prepare`.
fn prepared(
    terms: &[(&Tensor, &Tensor)],
    prepare: [fn(&Tensor) -> Result<Tensor>; 2],
) -> Result<Vec<(Tensor, Tensor)>> {
    terms.iter().map(|(a, b)| Ok((prepare[0](a)?, prepare[1](b)?))).collect()
}

fn views<T: Lanes>(terms: &[(Tensor, Tensor)]) -> Result<Vec<(View<'_, T>, View<'_, T>)>> {
    terms.iter().map(|(a, b)| Ok((view(a)?, view(b)?))).collect()
}

fn slices<'a, T: Lanes>(views: &'a [(View<'_, T>, View<'_, T>)]) -> Vec<(&'a [T], &'a [T])> {
    views.iter().map(|(a, b)| (&**a, &**b)).collect()
}

/// Weights in the usual order.
fn plain(w: &Tensor) -> Result<Tensor> {
    Ok(w.contiguous()?)
}

/// `Σ w∗x` over the pairs `(x, w)`.
fn forward<T: Lanes>(g: &Geometry, terms: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    on_cuda!(terms[0].0 => cuda::forward(g, terms));
    let terms = prepared(terms, [channels_last, plain])?;
    let views = views::<T>(&terms)?;
    let terms = slices(&views);
    let out = if winograd::applies(g) {
        winograd::forward(g, &terms)
    } else if narrow::applies(g) {
        narrow::forward(g, &terms)
    } else {
        direct::forward(g, &terms)
    };
    channels_first(cpu::tensor(out, &[g.batch, g.out_h, g.out_w, g.out_channels])?)
}

/// `Σ wᵀ∗gy` over the pairs `(gy, w)` of `input`, the adjoint of the images, and
/// `Σ gy∗x` over the pairs `(x, gy)` of `weight`, the adjoint of the weights; `None` without pairs.
fn backward<T: Lanes>(
    g: &Geometry,
    input: &[(&Tensor, &Tensor)],
    weight: &[(&Tensor, &Tensor)],
) -> Result<Vec<Option<Tensor>>> {
    let Some((any, _)) = input.iter().chain(weight).next() else { return Ok(vec![None, None]) };
    on_cuda!(any => cuda::backward(g, input, weight, None));
    let input = prepared(input, [channels_last, plain])?;
    let weight = prepared(weight, [channels_last, channels_last])?;
    let (input, weight) = (views::<T>(&input)?, views::<T>(&weight)?);
    let (input, weight) = (slices(&input), slices(&weight));
    let (images, weights) = if winograd::applies(g) {
        winograd::backward(g, &input, &weight)
    } else {
        let run = |terms: &Terms<'_, T>, f: fn(&Geometry, &Terms<'_, T>) -> Vec<T>| {
            if terms.is_empty() { Vec::new() } else { f(g, terms) }
        };
        let weight_gradient =
            if narrow::applies(g) { narrow::weight_gradient } else { direct::weight_gradient };
        (run(&input, direct::input_gradient), run(&weight, weight_gradient))
    };
    let images = (!input.is_empty())
        .then(|| channels_first(cpu::tensor(images, &[g.batch, g.height, g.width, g.channels])?));
    let weights = (!weight.is_empty())
        .then(|| cpu::tensor(weights, &[g.out_channels, g.channels, g.kernel_h, g.kernel_w]));
    Ok(vec![images.transpose()?, weights.transpose()?])
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
            batch in 1usize..4, channels in 1usize..4, out in 1usize..5,
            (height, width) in (1usize..7, 1usize..7),
            (kernel_h, kernel_w) in (1usize..4, 1usize..4),
            stride in 1usize..4, padding in [0usize..3, 0usize..3], seed: u64,
        ) {
            let [pad_h, pad_w] = padding;
            prop_assume!(height + 2 * pad_h >= kernel_h && width + 2 * pad_w >= kernel_w);
            let args = vec![
                uniform(&[batch, channels, height, width], seed),
                uniform(&[out, channels, kernel_h, kernel_w], seed ^ 1),
            ];
            check(&Conv2d { stride, padding }, Case::smooth(args, seed))?;
        }
    }

    #[test]
    fn padding_may_hide_the_image() {
        // The only output sees nothing but padding.
        let args = vec![uniform(&[2, 2, 3, 4], 1), uniform(&[3, 2, 1, 1], 2)];
        check(&Conv2d { stride: 16, padding: [0, 4] }, Case::smooth(args, 3)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn long_kernels_match_central_differences(
            batch in 1usize..3, channels in 1usize..4, out in 1usize..5,
            (height, width) in (1usize..9, 1usize..9),
            kernel in prop::sample::select(vec![[1usize, 7], [7, 1], [1, 3], [3, 1], [1, 5], [5, 2]]),
            stride in 1usize..3, seed: u64,
        ) {
            let [kernel_h, kernel_w] = kernel;
            let args = vec![
                uniform(&[batch, channels, height, width], seed),
                uniform(&[out, channels, kernel_h, kernel_w], seed ^ 1),
            ];
            let op = Conv2d { stride, padding: kernel.map(|k| k / 2) };
            let shape = op.shape(&[args[0].dims(), args[1].dims()]).unwrap();
            if stride == 1 && kernel_w % 2 == 1 {
                prop_assert_eq!(&shape[2..], [height, width]);
            }
            check(&op, Case::smooth(args, seed))?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn winograd_matches_central_differences(
            batch in 1usize..3, more in [0usize..4, 0usize..4],
            stride in 1usize..3, (height, width) in (4usize..8, 4usize..8),
            padding in [1usize..3, 1usize..3], seed: u64,
        ) {
            let [channels, out] = more.map(|more| 16 * stride + more);
            let args = vec![
                uniform(&[batch, channels, height, width], seed),
                uniform(&[out, channels, 3, 3], seed ^ 1),
            ];
            check(&Conv2d { stride, padding }, Case::smooth(args, seed))?;
        }
    }

    /// Everything that the op computes, for the product rule's terms too.
    fn results(op: Conv2d, args: &[Tensor; 6]) -> Vec<Tensor> {
        let [x, w, dx, dw, gy, dgy] = args;
        let forward = op.forward(&[x, w]).unwrap();
        let kept = Kept::new(&op, &[x, w], &forward);
        let dargs = [Some(dx), Some(dw)];
        let mut all = op.backward(&kept, gy, &[true; 2]).unwrap();
        all.extend(op.backward_tangent(&kept, &dargs, gy, Some(dgy), &[true; 2]).unwrap());
        all.extend([Some(forward.y), op.tangent(&kept, &dargs).unwrap()]);
        all.into_iter().map(Option::unwrap).collect()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        let a = a.to_dtype(candle_core::DType::F64).unwrap();
        (norm(&(a - b).unwrap()) / norm(b).max(f64::MIN_POSITIVE)).sqrt()
    }

    fn operands(op: Conv2d, x: [usize; 4], w: [usize; 4], seed: u64) -> [Tensor; 6] {
        let y = op.shape(&[&x, &w]).unwrap();
        let shapes: [&[usize]; 6] = [&x, &w, &x, &w, &y, &y];
        std::array::from_fn(|i| uniform(shapes[i], seed ^ i as u64))
    }

    #[cfg(target_arch = "x86_64")]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn single_precision_agrees_with_double_on_vectors_of_every_width(
            batch in 1usize..4, channels in 1usize..40, out in 1usize..40,
            (height, width) in (1usize..10, 1usize..10),
            (kernel_h, kernel_w) in prop::sample::select(vec![(1, 1), (3, 3), (1, 3), (2, 5)]),
            stride in 1usize..3, padding in [0usize..2, 0usize..3], seed: u64,
        ) {
            let op = Conv2d { stride, padding };
            let (x, w) = ([batch, channels, height, width], [out, channels, kernel_h, kernel_w]);
            prop_assume!(op.shape(&[&x, &w]).is_ok());
            let args = operands(op, x, w, seed);
            let expected = results(op, &args);
            let single = args.map(|t| t.to_dtype(candle_core::DType::F32).unwrap());
            crate::cpu::with_every_width(|limit| {
                for (found, expected) in results(op, &single).iter().zip(&expected) {
                    let gap = distance(found, expected);
                    assert!(gap < 1e-5, "{limit:?}: {gap:e}");
                }
            });
        }

        #[test]
        fn winograd_agrees_with_the_direct_way(
            batch in 1usize..20, more in [0usize..24, 0usize..24],
            (height, width) in (1usize..24, 1usize..24), stride in 1usize..3,
            padding in [0usize..3, 0usize..3], seed: u64,
        ) {
            let [channels, out] = more.map(|more| 16 * stride + more);
            let op = Conv2d { stride, padding };
            let (x, w) = ([batch, channels, height, width], [out, channels, 3, 3]);
            prop_assume!(op.shape(&[&x, &w]).is_ok());
            let g = Geometry::new(op, &x, &w).unwrap();
            prop_assume!(winograd::applies(&g));
            let values = |shape: &[usize], seed| -> Vec<f64> {
                uniform(shape, seed).flatten_all().unwrap().to_vec1().unwrap()
            };
            let (images, weights) = (values(&x, seed), values(&w, seed ^ 1));
            let gy = values(&[g.batch * g.output()], seed ^ 2);
            let close = |a: &[f64], b: &[f64]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10)
            };
            let terms = [(&images[..], &weights[..])];
            prop_assert!(close(&winograd::forward(&g, &terms), &direct::forward(&g, &terms)));
            let (input, weight) = ([(&gy[..], &weights[..])], [(&images[..], &gy[..])]);
            let (of_images, of_weights) = winograd::backward(&g, &input, &weight);
            prop_assert!(close(&of_images, &direct::input_gradient(&g, &input)));
            prop_assert!(close(&of_weights, &direct::weight_gradient(&g, &weight)));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn winograd_is_about_as_exact_as_the_direct_way_in_single_precision() {
        for stride in [1, 2] {
            let op = Conv2d { stride, padding: [1; 2] };
            let (x, w) = ([2, 64, 16, 16], [48, 64, 3, 3]);
            assert!(winograd::applies(&Geometry::new(op, &x, &w).unwrap()));
            let args = operands(op, x, w, 3);
            let expected = results(op, &args);
            let single = args.map(|t| t.to_dtype(candle_core::DType::F32).unwrap());
            crate::cpu::with_every_width(|limit| {
                for (found, expected) in results(op, &single).iter().zip(&expected) {
                    let gap = distance(found, expected);
                    assert!(gap < 1.5e-6, "stride {stride}, {limit:?}: {gap:e}");
                }
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn few_channels_agree_with_the_direct_way(
            batch in 1usize..4, channels in 5usize..20, out in 1usize..5,
            (height, width) in (1usize..7, 1usize..7),
            (kernel_h, kernel_w) in (1usize..4, 1usize..6),
            padding in [0usize..3, 0usize..4], seed: u64,
        ) {
            let op = Conv2d { stride: 1, padding };
            let (x, w) = ([batch, channels, height, width], [out, channels, kernel_h, kernel_w]);
            prop_assume!(op.shape(&[&x, &w]).is_ok());
            let g = Geometry::new(op, &x, &w).unwrap();
            prop_assume!(narrow::applies(&g));
            narrow_agrees(op, x, w, seed);
        }
    }

    /// [`narrow`] against [`direct`].
    fn narrow_agrees(op: Conv2d, x: [usize; 4], w: [usize; 4], seed: u64) {
        let g = Geometry::new(op, &x, &w).unwrap();
        assert!(narrow::applies(&g));
        let [x, w, dx, dw, gy, dgy] = operands(op, x, w, seed)
            .map(|t| -> Vec<f64> { plain(&t).unwrap().flatten_all().unwrap().to_vec1().unwrap() });
        let close = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        let terms = [(&dx[..], &w[..]), (&x[..], &dw[..])];
        assert!(close(&narrow::forward(&g, &terms), &direct::forward(&g, &terms)));
        let terms = [(&dx[..], &gy[..]), (&x[..], &dgy[..])];
        let narrow = narrow::weight_gradient(&g, &terms);
        assert!(close(&narrow, &direct::weight_gradient(&g, &terms)));
    }

    #[test]
    fn few_channels_under_kernels_that_reach_beyond_the_image() {
        narrow_agrees(Conv2d { stride: 1, padding: [0, 2] }, [2, 8, 3, 1], [1, 8, 1, 5], 1);
        narrow_agrees(Conv2d { stride: 1, padding: [2, 0] }, [2, 8, 1, 3], [3, 8, 5, 1], 2);
    }

    #[test]
    fn forward_agrees_with_candle() {
        for channels in [4, 33] {
            let x = uniform(&[3, channels, 9, 7], 1);
            for (kernel, stride, padding) in [
                ([3, 3], 1, [1, 1]),
                ([3, 3], 2, [1, 1]),
                ([3, 3], 1, [1, 0]),
                ([1, 7], 1, [0, 3]),
                ([7, 1], 2, [3, 0]),
            ] {
                let w = uniform(&[35, channels, kernel[0], kernel[1]], 2);
                let ours = Conv2d { stride, padding }.forward(&[&x, &w]).unwrap().y;
                let padded = x.pad_with_zeros(2, padding[0], padding[0]).unwrap();
                let padded = padded.pad_with_zeros(3, padding[1], padding[1]).unwrap();
                let theirs = padded.conv2d(&w, 0, stride, 1, 1).unwrap();
                let gap = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
                assert!(gap.to_scalar::<f64>().unwrap() < 1e-12, "{kernel:?}");
            }
        }
    }
}
