//! The passes over a batch: transform, multiply, transform back.

use super::blocks::Blocks;
use super::kernels::{self, KERNELS};
use super::tiles::{LowerInput, LowerOutput};
use super::transform::Scheme;
use crate::cpu::parallel::{self, Making};
use crate::cpu::{Lanes, dispatch};
use crate::ops::conv2d::Terms;
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::weights;

/// See [`super::forward`].
pub(super) fn forward<T, W, const VALUES: usize, const PLACES: usize>(
    g: &Geometry,
    terms: &Terms<'_, T>,
) -> Vec<T>
where
    T: Lanes,
    W: Scheme<VALUES, PLACES>,
{
    let (c, o) = (g.channels, g.out_channels);
    let blocks = Blocks::<W, VALUES, PLACES>::new(g);
    let tiling = blocks.tiling;
    let (values, places) = (VALUES * VALUES, PLACES * PLACES);
    let kernels: Vec<_> = terms
        .iter()
        .map(|(_, w)| kernels::lift::<W::Kernel, T>(&weights::in_out(g, w), c * o))
        .collect();
    let out = Making::new(g.batch * g.output(), blocks.images * g.output());
    for batch in blocks.batches::<T>(terms.len() * values * c + places * o) {
        let lifted: Vec<Vec<T>> =
            terms.iter().map(|(x, _)| blocks.lifted_inputs(&batch, x)).collect();
        let pairs: Vec<(&[T], &[Vec<T>])> =
            lifted.iter().zip(&kernels).map(|(x, w)| (&x[..], &w[..])).collect();
        let products =
            blocks.products(batch.len(), (c, o), values, &pairs, &blocks.sums_at_places());
        let block = blocks.block::<T>(places, o);
        parallel::for_each(batch.len(), &|b| {
            let lifted = &products[b * block..(b + 1) * block];
            // SAFETY: the transform writes every pixel of every image.
            let images = unsafe { out.unwritten(batch.start + b) };
            for (i, image) in images.chunks_mut(g.output()).enumerate() {
                let share = blocks.share::<T>(i, o);
                dispatch(LowerOutput { tiling, lifted, image, share });
            }
        });
    }
    out.finish()
}

/// Output adjoints, each once, and which of them a term names.
fn distinct<'a, T>(slices: impl Iterator<Item = &'a [T]>) -> (Vec<&'a [T]>, Vec<usize>) {
    let mut unique: Vec<&[T]> = Vec::new();
    let which = slices
        .map(|s| {
            unique.iter().position(|u| std::ptr::eq(*u, s)).unwrap_or_else(|| {
                unique.push(s);
                unique.len() - 1
            })
        })
        .collect();
    (unique, which)
}

/// See [`super::backward`]. The two adjoints share the transformed output adjoints.
pub(super) fn backward<T, W, const VALUES: usize, const PLACES: usize>(
    g: &Geometry,
    input: &Terms<'_, T>,
    weight: &Terms<'_, T>,
) -> (Vec<T>, Vec<T>)
where
    T: Lanes,
    W: Scheme<VALUES, PLACES>,
{
    let (c, o) = (g.channels, g.out_channels);
    let blocks = Blocks::<W, VALUES, PLACES>::new(g);
    let tiling = blocks.tiling;
    let (values, places) = (VALUES * VALUES, PLACES * PLACES);
    let kernels: Vec<_> = input
        .iter()
        .map(|(_, w)| kernels::lift::<W::Kernel, T>(&weights::out_in(g, w), c * o))
        .collect();
    let (adjoints, which) = distinct(input.iter().map(|t| t.0).chain(weight.iter().map(|t| t.1)));
    let (of_input, of_weight) = which.split_at(input.len());

    let images = if input.is_empty() { 0 } else { g.batch * g.image() };
    let out = Making::new(images, blocks.images * g.image());
    let mut of_kernels = vec![T::zero(); if weight.is_empty() { 0 } else { KERNELS * c * o }];
    let elements = adjoints.len() * places * o + weight.len().max(1) * values * c;
    for batch in blocks.batches::<T>(elements) {
        let lifted: Vec<Vec<T>> =
            adjoints.iter().map(|gy| blocks.lifted_outputs(&batch, gy)).collect();
        if !input.is_empty() {
            let pairs: Vec<(&[T], &[Vec<T>])> =
                of_input.iter().zip(&kernels).map(|(&gy, w)| (&lifted[gy][..], &w[..])).collect();
            let products =
                blocks.products(batch.len(), (o, c), places, &pairs, &blocks.sums_at_values());
            let block = blocks.block::<T>(values, c);
            parallel::for_each(batch.len(), &|b| {
                let lifted = &products[b * block..(b + 1) * block];
                for (i, out) in out.part(batch.start + b).chunks_mut(g.image()).enumerate() {
                    let mut framed = vec![T::zero(); tiling.input.len()];
                    let share = blocks.share::<T>(i, c);
                    dispatch(LowerInput { tiling, lifted, image: &mut framed, share });
                    tiling.input.unframe(&framed, out);
                }
            });
        }
        if !weight.is_empty() {
            let inputs: Vec<Vec<T>> =
                weight.iter().map(|(x, _)| blocks.lifted_inputs(&batch, x)).collect();
            let pairs: Vec<(&[T], &[T])> =
                inputs.iter().zip(of_weight).map(|(x, &gy)| (&x[..], &lifted[gy][..])).collect();
            blocks.add_weight_sums(batch.len(), &pairs, &mut of_kernels);
        }
    }
    let gradient = if weight.is_empty() {
        Vec::new()
    } else {
        weights::from_in_out(g, &kernels::lower::<W::KernelBack, T>(&of_kernels, c * o))
    };
    (out.finish(), gradient)
}
