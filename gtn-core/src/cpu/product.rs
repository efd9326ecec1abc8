//! Products of small matrices that need no packing: the kernel under
//! convolutions and fully connected layers.
//!
//! `out[i][j] = Σ a[i][k]·b[k][j]`, summed over a list of [`Segment`]s before
//! anything is written. A tile of `out` stays in registers meanwhile: rows of `b` are read as
//! vectors, elements of `a` are broadcast. That runs near the peak of the
//! multiply-add units as long as a tile's rows of `b` are in the second-level cache.

use super::simd::{Lanes, Mask, dispatch};
use super::unwritten;
use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// One term of a sum of products: `count` products along the inner index.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a, T> {
    /// Starts at `a[0][0]`.
    pub(crate) a: &'a [T],
    /// Starts at `b[0][0]`.
    pub(crate) b: &'a [T],
    /// The length of the inner index.
    pub(crate) count: usize,
}

/// Distances in the slices of a [`Segment`] and of the result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    /// From `a[i][k]` to `a[i + 1][k]`.
    pub(crate) a_row: usize,
    /// From `a[i][k]` to `a[i][k + 1]`.
    pub(crate) a_inner: usize,
    /// From `b[k][j]` to `b[k + 1][j]`.
    pub(crate) b_inner: usize,
    /// From `out[i][j]` to `out[i + 1][j]`.
    pub(crate) out_row: usize,
}

/// Rows of a tile, at most.
const ROWS: usize = 6;

/// Vectors of a tile, at most: with all [`ROWS`], 24 of AVX-512's 32 registers hold sums.
const VECTORS: usize = 4;

/// `out[rows × columns] = Σ segments`, or `+=` with `accumulate`.
///
/// # Panics
/// When a segment or the result does not lie inside its slice.
pub(crate) fn product<T: Lanes>(
    size: (usize, usize),
    strides: Strides,
    segments: &[Segment<'_, T>],
    out: &mut [T],
    accumulate: bool,
) {
    // SAFETY: only numbers are written to it.
    let out = unsafe { unwritten(out) };
    dispatch(Product { size, strides, segments, out, accumulate });
}

/// `out[rows × columns] = Σ segments`, every element of it written.
///
/// # Panics
/// As [`product`].
pub(crate) fn product_into<T: Lanes>(
    size: (usize, usize),
    strides: Strides,
    segments: &[Segment<'_, T>],
    out: &mut [MaybeUninit<T>],
) {
    dispatch(Product { size, strides, segments, out, accumulate: false });
}

/// Rows of `b` that [`product_packed`] copies at a time.
const PACKED: usize = 256;

/// As [`product`], where many rows of `out` share a large `b`: what a tile reads of its rows is copied
/// together first. In place they may lie a page apart, and push each other out of the cache.
///
/// # Panics
/// As [`product`].
pub(crate) fn product_packed<T: Lanes>(
    size: (usize, usize),
    strides: Strides,
    segments: &[Segment<'_, T>],
    out: &mut [T],
) {
    dispatch(PackedProduct { size, strides, segments, out });
}

struct PackedProduct<'a, T> {
    size: (usize, usize),
    strides: Strides,
    segments: &'a [Segment<'a, T>],
    out: &'a mut [T],
}

impl<T: Lanes> WithSimd for PackedProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (rows, columns), strides, segments, out } = self;
        let strip = vectors::<T, S>() * T::lanes::<S>();
        let longest = segments.iter().map(|segment| segment.count).max().unwrap_or(0);
        let mut packed = vec![T::zero(); longest.min(PACKED) * columns];
        let mut accumulate = false;
        for &Segment { a, b, count } in segments {
            for k in (0..count).step_by(PACKED) {
                let count = PACKED.min(count - k);
                for i in 0..count {
                    let row = &b[(k + i) * strides.b_inner..][..columns];
                    for j in (0..columns).step_by(strip) {
                        let width = strip.min(columns - j);
                        let to = &mut packed[j * count + i * width..][..width];
                        copy(simd, &row[j..j + width], to);
                    }
                }
                let a = &a[k * strides.a_inner..];
                for j in (0..columns).step_by(strip) {
                    let width = strip.min(columns - j);
                    let strides = Strides { b_inner: width, ..strides };
                    let part = Segment { a, b: &packed[j * count..], count };
                    product((rows, width), strides, &[part], &mut out[j..], accumulate);
                }
                accumulate = true;
            }
        }
    }
}

/// Copies a few elements, by vectors: a call costs more than they do.
#[inline(always)]
fn copy<T: Lanes, S: Simd>(simd: S, from: &[T], to: &mut [T]) {
    let lanes = T::lanes::<S>();
    let (mut from, mut to) = (from.chunks_exact(lanes), to.chunks_exact_mut(lanes));
    for (from, to) in from.by_ref().zip(to.by_ref()) {
        // SAFETY: both are as long as a vector.
        unsafe { T::store(simd, to.as_mut_ptr(), T::load(simd, from.as_ptr())) };
    }
    for (&from, to) in from.remainder().iter().zip(to.into_remainder()) {
        *to = from;
    }
}

/// Vectors of a tile.
#[inline(always)]
fn vectors<T: Lanes, S: Simd>() -> usize {
    if T::TUNED && S::REGISTER_COUNT >= 32 { VECTORS } else { 2 }
}

struct Product<'a, T> {
    size: (usize, usize),
    strides: Strides,
    segments: &'a [Segment<'a, T>],
    /// Written already where `accumulate`.
    out: &'a mut [MaybeUninit<T>],
    accumulate: bool,
}

impl<T: Lanes> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (rows, columns), strides, segments, out, accumulate } = self;
        if rows == 0 || columns == 0 {
            return;
        }
        let inside = segments.iter().all(|s| {
            s.count == 0
                || ((rows - 1) * strides.a_row + (s.count - 1) * strides.a_inner < s.a.len()
                    && (s.count - 1) * strides.b_inner + columns <= s.b.len())
        });
        assert!(inside, "a segment exceeds its slice");
        assert!((rows - 1) * strides.out_row + columns <= out.len(), "a product exceeds its slice");

        let lanes = T::lanes::<S>();
        let vectors = vectors::<T, S>();
        let wide = vectors == VECTORS;
        let mut j = 0;
        while j < columns {
            let left = columns - j;
            let here = left.div_ceil(lanes).min(vectors);
            let whole = left >= here * lanes;
            let mask = T::first(simd, if whole { lanes } else { left - (here - 1) * lanes });
            let mut i = 0;
            for tile in (0..rows.div_ceil(ROWS)).rev() {
                // Rows are spread evenly over the tiles that are left.
                let height = (rows - i).div_ceil(tile + 1);
                let at = Tile { i, j, strides, mask, accumulate };
                // SAFETY: the assertions above cover all of rows × columns.
                unsafe {
                    match (here, whole) {
                        (1, true) => at.rows::<1, false>(simd, height, segments, out),
                        (1, false) => at.rows::<1, true>(simd, height, segments, out),
                        (2, true) => at.rows::<2, false>(simd, height, segments, out),
                        (2, false) => at.rows::<2, true>(simd, height, segments, out),
                        (3, true) if wide => at.rows::<3, false>(simd, height, segments, out),
                        (3, false) if wide => at.rows::<3, true>(simd, height, segments, out),
                        (4, true) if wide => at.rows::<4, false>(simd, height, segments, out),
                        (4, false) if wide => at.rows::<4, true>(simd, height, segments, out),
                        _ => unreachable!("at most `vectors` vectors"),
                    }
                }
                i += height;
            }
            j += here * lanes;
        }
    }
}

/// A place in the result.
struct Tile<T: Lanes, S: Simd> {
    i: usize,
    j: usize,
    strides: Strides,
    /// The lanes of the last vector that are inside.
    mask: Mask<T, S>,
    accumulate: bool,
}

impl<T: Lanes, S: Simd> Tile<T, S> {
    /// # Safety
    /// As [`Tile::run`].
    #[inline(always)]
    unsafe fn rows<const VECTORS: usize, const PARTIAL: bool>(
        &self,
        simd: S,
        height: usize,
        segments: &[Segment<'_, T>],
        out: &mut [MaybeUninit<T>],
    ) {
        // SAFETY: the caller's.
        unsafe {
            match height {
                1 => self.run::<1, VECTORS, PARTIAL>(simd, segments, out),
                2 => self.run::<2, VECTORS, PARTIAL>(simd, segments, out),
                3 => self.run::<3, VECTORS, PARTIAL>(simd, segments, out),
                4 => self.run::<4, VECTORS, PARTIAL>(simd, segments, out),
                5 => self.run::<5, VECTORS, PARTIAL>(simd, segments, out),
                _ => self.run::<6, VECTORS, PARTIAL>(simd, segments, out),
            }
        }
    }

    /// Computes `ROWS` rows of `VECTORS` vectors, of which the last is partial with `PARTIAL`.
    ///
    /// # Safety
    /// The tile, and what of the segments it reads, lies inside their slices.
    #[inline(always)]
    unsafe fn run<const ROWS: usize, const VECTORS: usize, const PARTIAL: bool>(
        &self,
        simd: S,
        segments: &[Segment<'_, T>],
        out: &mut [MaybeUninit<T>],
    ) {
        let lanes = T::lanes::<S>();
        let Strides { a_row, a_inner, b_inner, out_row } = self.strides;
        let mut sums = [[T::splat(simd, T::zero()); VECTORS]; ROWS];
        // SAFETY: the caller says that everything read and written here lies
        // inside the slices; the mask keeps the last vector inside.
        unsafe {
            for segment in segments {
                let mut a = segment.a.as_ptr().wrapping_add(self.i * a_row);
                let mut b = segment.b.as_ptr().wrapping_add(self.j);
                for _ in 0..segment.count {
                    let mut row = [T::splat(simd, T::zero()); VECTORS];
                    for v in 0..VECTORS {
                        row[v] = if PARTIAL && v + 1 == VECTORS {
                            T::load_first(simd, self.mask, b.add(v * lanes))
                        } else {
                            T::load(simd, b.add(v * lanes))
                        };
                    }
                    for i in 0..ROWS {
                        let factor = T::splat(simd, *a.add(i * a_row));
                        for v in 0..VECTORS {
                            sums[i][v] = T::fused(simd, factor, row[v], sums[i][v]);
                        }
                    }
                    a = a.wrapping_add(a_inner);
                    b = b.wrapping_add(b_inner);
                }
            }
            let out = out.as_mut_ptr().cast::<T>().add(self.i * out_row + self.j);
            for i in 0..ROWS {
                let to = out.add(i * out_row);
                for v in 0..VECTORS {
                    let to = to.add(v * lanes);
                    let mut value = sums[i][v];
                    if PARTIAL && v + 1 == VECTORS {
                        if self.accumulate {
                            value = T::plus(simd, T::load_first(simd, self.mask, to), value);
                        }
                        T::store_first(simd, self.mask, to, value);
                    } else {
                        if self.accumulate {
                            value = T::plus(simd, T::load(simd, to), value);
                        }
                        T::store(simd, to, value);
                    }
                }
            }
        }
    }
}

/// Rows and columns of a tile of [`inner_products`]: with AVX-512, 16 of 32 registers hold sums.
const SIDE: usize = 4;

/// The same where registers are few: 9 of AVX2's 16.
const NARROW_SIDE: usize = 3;

/// A matrix whose rows lie `row` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) row: usize,
}

/// `out[i][j] = Σ a[i][k]·b[j][k]` for `k < count`, or `+=` with `accumulate`: both operands are
/// read along the inner index. The rows of `out` are `columns` elements long.
///
/// # Panics
/// When an operand or the result does not lie inside its slice.
pub(crate) fn inner_products<T: Lanes>(
    size: (usize, usize, usize),
    a: Rows<'_, T>,
    b: Rows<'_, T>,
    out: &mut [T],
    accumulate: bool,
) {
    dispatch(InnerProducts { size, a, b, out, accumulate });
}

struct InnerProducts<'a, T> {
    size: (usize, usize, usize),
    a: Rows<'a, T>,
    b: Rows<'a, T>,
    out: &'a mut [T],
    accumulate: bool,
}

impl<T: Lanes> WithSimd for InnerProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.tiles::<S, SIDE>(simd);
        } else {
            self.tiles::<S, NARROW_SIDE>(simd);
        }
    }
}

impl<T: Lanes> InnerProducts<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const SIDE: usize>(self, simd: S) {
        let Self { size: (rows, columns, count), a, b, out, accumulate } = self;
        // A few of b's rows stay in the first-level cache while all of a's pass by.
        let few = 2 * SIDE;
        for first in (0..columns).step_by(few) {
            for i in (0..rows).step_by(SIDE) {
                for j in (first..columns.min(first + few)).step_by(SIDE) {
                    let (height, width) = ((rows - i).min(SIDE), (columns - j).min(SIDE));
                    // A tile at the border repeats its last row and column instead of going past them.
                    let a: [&[T]; SIDE] = std::array::from_fn(|r| {
                        &a.data[(i + r.min(height - 1)) * a.row..][..count]
                    });
                    let b: [&[T]; SIDE] =
                        std::array::from_fn(|c| &b.data[(j + c.min(width - 1)) * b.row..][..count]);
                    let sums = inner_tile(simd, a, b, count);
                    for (r, sums) in sums.iter().enumerate().take(height) {
                        let out = &mut out[(i + r) * columns + j..][..width];
                        for (out, &sum) in out.iter_mut().zip(sums) {
                            *out = if accumulate { *out + sum } else { sum };
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn inner_tile<T: Lanes, S: Simd, const SIDE: usize>(
    simd: S,
    a: [&[T]; SIDE],
    b: [&[T]; SIDE],
    count: usize,
) -> [[T; SIDE]; SIDE] {
    let lanes = T::lanes::<S>();
    let zero = T::splat(simd, T::zero());
    let mut sums = [[zero; SIDE]; SIDE];
    let whole = count / lanes * lanes;
    let rest = T::first(simd, count - whole);
    for k in (0..count).step_by(lanes) {
        let (mut left, mut right) = ([zero; SIDE], [zero; SIDE]);
        for i in 0..SIDE {
            // SAFETY: all slices have `count` elements; where fewer than a
            // vector are left, the mask leaves out what lies beyond.
            unsafe {
                (left[i], right[i]) = if k < whole {
                    (T::load(simd, a[i].as_ptr().add(k)), T::load(simd, b[i].as_ptr().add(k)))
                } else {
                    (
                        T::load_first(simd, rest, a[i].as_ptr().add(k)),
                        T::load_first(simd, rest, b[i].as_ptr().add(k)),
                    )
                };
            }
        }
        for i in 0..SIDE {
            for j in 0..SIDE {
                sums[i][j] = T::fused(simd, left[i], right[j], sums[i][j]);
            }
        }
    }
    let mut out = [[T::zero(); SIDE]; SIDE];
    for i in 0..SIDE {
        for j in 0..SIDE {
            out[i][j] = T::reduce(simd, sums[i][j]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::with_every_width;
    use proptest::prelude::*;

    fn small(n: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec((-8i32..=8).prop_map(|v| v as f32), n..=n)
    }

    /// Runs on every vector width that this machine has. Small whole numbers
    /// make every order of summation exact.
    fn on_every_width(
        mut run: impl FnMut(&dyn Fn(Product<'_, f32>), &dyn Fn(InnerProducts<'_, f32>)),
    ) {
        let scalar = pulp::Scalar::new();
        run(&|op| Simd::vectorize(scalar, op), &|op| Simd::vectorize(scalar, op));
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(v3) = pulp::x86::V3::try_new() {
                run(&|op| Simd::vectorize(v3, op), &|op| Simd::vectorize(v3, op));
            }
            if let Some(v4) = pulp::x86::V4::try_new() {
                run(&|op| Simd::vectorize(v4, op), &|op| Simd::vectorize(v4, op));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn products_match_the_plain_sum(
            (rows, columns, count, transposed, accumulate, a, b, start) in
                (1usize..15, 1usize..90, 0usize..9, any::<bool>(), any::<bool>()).prop_flat_map(
                    |(m, n, k, t, acc)| (Just(m), Just(n), Just(k), Just(t), Just(acc),
                        small(2 * m * k), small(2 * k * n), small(m * n))),
        ) {
            let (a_row, a_inner) = if transposed { (1, rows) } else { (count, 1) };
            let strides = Strides { a_row, a_inner, b_inner: columns, out_row: columns };
            let (a1, a2) = a.split_at(rows * count);
            let (b1, b2) = b.split_at(count * columns);
            let segments = [Segment { a: a1, b: b1, count }, Segment { a: a2, b: b2, count }];
            let mut expected = if accumulate { start.clone() } else { vec![0.0; rows * columns] };
            for s in &segments {
                for i in 0..rows { for j in 0..columns { for k in 0..count {
                    expected[i * columns + j] += s.a[i * a_row + k * a_inner] * s.b[k * columns + j];
                }}}
            }
            on_every_width(|run, _| {
                let mut out = start.clone();
                // SAFETY: only numbers are written to it.
                let to = unsafe { unwritten(&mut out) };
                run(Product { size: (rows, columns), strides, segments: &segments,
                    out: to, accumulate });
                assert_eq!(out, expected);
            });
        }

        #[test]
        fn packed_products_match_products(
            (rows, columns, counts, a, b) in (1usize..9, 1usize..90, [1usize..600, 1usize..9])
                .prop_flat_map(|(m, n, [k, l])| (Just(m), Just(n), Just([k, l]),
                    small(m * k.max(l)), small(n * (k + l)))),
        ) {
            let strides = Strides { a_row: 1, a_inner: rows, b_inner: columns, out_row: columns };
            let (b1, b2) = b.split_at(counts[0] * columns);
            let segments =
                [Segment { a: &a, b: b1, count: counts[0] }, Segment { a: &a, b: b2, count: counts[1] }];
            let size = (rows, columns);
            let mut expected = vec![0.0; rows * columns];
            product(size, strides, &segments, &mut expected, false);
            with_every_width(|_| {
                let mut out = vec![f32::NAN; rows * columns];
                product_packed(size, strides, &segments, &mut out);
                assert_eq!(out, expected);
            });
        }

        #[test]
        fn inner_products_match_the_plain_sum(
            (rows, columns, count, a, b) in (1usize..9, 1usize..9, 1usize..50).prop_flat_map(
                |(m, n, k)| (Just(m), Just(n), Just(k), small(m * k), small(n * k))),
        ) {
            let mut expected = vec![0.0; rows * columns];
            for i in 0..rows { for j in 0..columns { for k in 0..count {
                expected[i * columns + j] += a[i * count + k] * b[j * count + k];
            }}}
            on_every_width(|_, run| {
                let mut out = vec![0.0; rows * columns];
                let (a, b) = (Rows { data: &a, row: count }, Rows { data: &b, row: count });
                run(InnerProducts {
                    size: (rows, columns, count), a, b, out: &mut out, accumulate: false,
                });
                assert_eq!(out, expected);
            });
        }
    }
}
