//! Parallel loops whose results do not depend on the number of threads: each
//! task fills parts of the result that are its own.
//!
//! Tasks are trait objects, so that rayon's machinery is compiled once and not for every loop.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `task` for every number below `count`.
pub(crate) fn for_each(count: usize, task: &(dyn Fn(usize) + Sync)) {
    match count {
        0 => {}
        1 => task(0),
        _ => (0..count).into_par_iter().for_each(task),
    }
}

/// What `task` returns for every number below `count`, in order.
pub(crate) fn map<R: Send>(count: usize, task: &(dyn Fn(usize) -> R + Sync)) -> Vec<R> {
    let making = Making::new(count, 1);
    for_each(count, &|i| making.put(i, task(i)));
    making.finish()
}

/// A vector of `len` elements, filled by parts of `size` (the last may be
/// shorter): `fill` gets a part's number and the part, all zeros.
pub(crate) fn filled<T: Copy + Default + Send>(
    len: usize,
    size: usize,
    fill: &(dyn Fn(usize, &mut [T]) + Sync),
) -> Vec<T> {
    let making = Making::new(len, size);
    for_each(making.parts(), &|i| fill(i, making.part(i)));
    making.finish()
}

/// As [`filled`], with what `fill` returns for each part.
pub(crate) fn filled_with<T: Copy + Default + Send, R: Send>(
    len: usize,
    size: usize,
    fill: &(dyn Fn(usize, &mut [T]) -> R + Sync),
) -> (Vec<T>, Vec<R>) {
    let making = Making::new(len, size);
    let results = map(making.parts(), &|i| fill(i, making.part(i)));
    (making.finish(), results)
}

/// A matrix's elements, row by row.
type FillBlock<'a, T> = dyn Fn(Range<usize>, Range<usize>, &mut [T]) + Sync + 'a;

/// A matrix of `size` (rows, columns), made by blocks of the size `block` (those at the end may be
/// smaller): `fill` gets the rows and columns of a block, and its elements row by row, all zeros.
pub(crate) fn filled_by_blocks<T: Copy + Default + Send>(
    size: (usize, usize),
    block: (usize, usize),
    fill: &FillBlock<'_, T>,
) -> Vec<T> {
    let ((rows, columns), (height, width)) = (size, block);
    let mut memory: Vec<T> = Vec::with_capacity(rows * columns);
    let matrix = Parts::new(memory.as_mut_ptr(), rows * columns, columns);
    let (down, across) = (rows.div_ceil(height), columns.div_ceil(width));
    for_each(down * across, &|task| {
        // One below the other: of two blocks in a row, the second finds what makes these columns in the cache.
        let (i, j) = (task % down * height, task / down * width);
        let (height, width) = (height.min(rows - i), width.min(columns - j));
        let mut block = vec![T::default(); height * width];
        fill(i..i + height, j..j + width, &mut block);
        for (row, from) in block.chunks_exact(width).enumerate() {
            let (to, _) = matrix.place(i + row);
            // SAFETY: the row of the block lies in the matrix's, and no other block has it.
            unsafe { to.wrapping_add(j).copy_from_nonoverlapping(from.as_ptr(), width) };
        }
    });
    // SAFETY: the blocks cover the matrix, and each was written.
    unsafe { memory.set_len(rows * columns) };
    memory
}

/// Fills a part of each of two vectors.
type FillTwo<'a, A, B> = dyn Fn(usize, &mut [A], &mut [B]) + Sync + 'a;

/// As [`filled`], two vectors of as many parts at once. `lens` and `sizes` are those of the two.
///
/// # Panics
/// When the numbers of parts differ.
pub(crate) fn filled_two<A: Copy + Default + Send, B: Copy + Default + Send>(
    lens: (usize, usize),
    sizes: (usize, usize),
    fill: &FillTwo<'_, A, B>,
) -> (Vec<A>, Vec<B>) {
    let (a, b) = (Making::new(lens.0, sizes.0), Making::new(lens.1, sizes.1));
    assert_eq!(a.parts(), b.parts(), "as many parts of one as of the other");
    for_each(a.parts(), &|i| fill(i, a.part(i), b.part(i)));
    (a.finish(), b.finish())
}

/// Runs `task` for every part of `size` elements of `data`, with its number.
pub(crate) fn update<T: Send>(
    data: &mut [T],
    size: usize,
    task: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let parts = Parts::new(data.as_mut_ptr(), data.len(), size);
    for_each(parts.count(), &|i| {
        let (start, len) = parts.place(i);
        // SAFETY: the part lies in `data`, and its number is handed to this task alone.
        task(i, unsafe { std::slice::from_raw_parts_mut(start, len) });
    });
}

/// Parts of memory that tasks work on at the same time.
struct Parts<T> {
    start: *mut T,
    len: usize,
    size: usize,
}

// SAFETY: it only says where parts are.
unsafe impl<T: Send> Sync for Parts<T> {}

impl<T> Parts<T> {
    fn new(start: *mut T, len: usize, size: usize) -> Self {
        Self { start, len, size: size.max(1) }
    }

    fn count(&self) -> usize {
        self.len.div_ceil(self.size)
    }

    /// Where part `i` starts, and its length.
    fn place(&self, i: usize) -> (*mut T, usize) {
        assert!(i < self.count(), "there is no part {i}");
        let from = i * self.size;
        (self.start.wrapping_add(from), self.size.min(self.len - from))
    }
}

/// A vector in the making: its parts are written by the tasks that work on
/// them, while they are in the task's cache.
pub(crate) struct Making<T> {
    memory: Vec<T>,
    parts: Parts<T>,
    /// The parts that a task has taken.
    taken: Vec<AtomicBool>,
    written: AtomicUsize,
}

// SAFETY: an element is reached by one thread at a time: the one that took its part.
unsafe impl<T: Send> Sync for Making<T> {}

impl<T: Send> Making<T> {
    /// A vector of `len` elements in parts of `size`, of which the last may be shorter.
    pub(crate) fn new(len: usize, size: usize) -> Self {
        let mut memory = Vec::with_capacity(len);
        let parts = Parts::new(memory.as_mut_ptr(), len, size);
        let taken = (0..parts.count()).map(|_| AtomicBool::new(false)).collect();
        Self { memory, parts, taken, written: AtomicUsize::new(0) }
    }

    /// The number of parts.
    pub(crate) fn parts(&self) -> usize {
        self.parts.count()
    }

    /// Part `i`, all zeros.
    ///
    /// # Panics
    /// When the part is taken for the second time.
    #[expect(clippy::mut_from_ref, reason = "a part is borrowed once: taking it again panics")]
    pub(crate) fn part(&self, i: usize) -> &mut [T]
    where
        T: Copy + Default,
    {
        // SAFETY: everything is written before anyone sees it.
        let part = unsafe { self.unwritten(i) };
        part.fill(MaybeUninit::new(T::default()));
        // SAFETY: as it was just now; the layout is the same.
        unsafe { std::slice::from_raw_parts_mut(part.as_mut_ptr().cast(), part.len()) }
    }

    /// Part `i`, to be written.
    ///
    /// # Safety
    /// Every element of it is written.
    ///
    /// # Panics
    /// When the part is taken for the second time.
    #[expect(clippy::mut_from_ref, reason = "a part is borrowed once: taking it again panics")]
    pub(crate) unsafe fn unwritten(&self, i: usize) -> &mut [MaybeUninit<T>] {
        let (start, len) = self.take(i);
        self.written.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the part lies in the vector's memory and was taken by this call alone.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), len) }
    }

    /// Writes element `i` of a vector with parts of one element.
    fn put(&self, i: usize, value: T) {
        let (start, _) = self.take(i);
        // SAFETY: the element lies in the vector's memory and was taken by this call alone.
        unsafe { start.write(value) };
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self, i: usize) -> (*mut T, usize) {
        assert!(!self.taken[i].swap(true, Ordering::Relaxed), "part {i} is taken already");
        self.parts.place(i)
    }

    /// The vector.
    ///
    /// # Panics
    /// When parts are missing.
    pub(crate) fn finish(mut self) -> Vec<T> {
        assert_eq!(self.written.load(Ordering::Relaxed), self.parts(), "every part is written");
        // SAFETY: every part was written, each once.
        unsafe { self.memory.set_len(self.parts.len) };
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_part_is_filled_once(len in 0usize..50, size in 1usize..9) {
            let ones = filled::<f64>(len, size, &|_, part| part.iter_mut().for_each(|v| *v += 1.0));
            prop_assert_eq!(&ones, &vec![1.0; len]);
            let (numbers, lens) = filled_with::<u8, _>(len, size, &|i, part| {
                part.fill(i as u8);
                part.len()
            });
            prop_assert_eq!(lens.iter().sum::<usize>(), len);
            let expected: Vec<u8> = (0..len).map(|i| (i / size) as u8).collect();
            prop_assert_eq!(&numbers, &expected);
            let mut again = vec![0; len];
            update(&mut again, size, &|i, part| part.fill(i as u8));
            prop_assert_eq!(again, expected);
        }

        #[test]
        fn blocks_cover_a_matrix(
            rows in 0usize..20, columns in 0usize..20, height in 1usize..9, width in 1usize..9,
        ) {
            let fill = |i: Range<usize>, j: Range<usize>, block: &mut [usize]| {
                for (place, (i, j)) in i.flat_map(|i| j.clone().map(move |j| (i, j))).enumerate() {
                    block[place] += i * columns + j;
                }
            };
            let matrix = filled_by_blocks((rows, columns), (height, width), &fill);
            prop_assert_eq!(matrix, (0..rows * columns).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "part 1 is taken already")]
    fn a_part_is_taken_once() {
        let making = Making::<f32>::new(4, 2);
        making.part(1);
        making.part(1);
    }

    #[test]
    #[should_panic(expected = "every part is written")]
    fn a_missing_part_is_noticed() {
        Making::<f32>::new(4, 2).finish();
    }
}
