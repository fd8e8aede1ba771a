//! Dividing slices.

use std::cmp::Ordering;

use crate::executor::HybridExecutor;

/// Below this many elements a slice is sorted by one thread.
pub(super) const SEQUENTIAL: usize = 4_096;

/// How many pieces each worker gets, so that those who are done early find some.
pub(super) const PIECES: usize = 4;

/// Whether one element comes before another.
pub(super) fn less<T>(compare: &(impl Fn(&T, &T) -> Ordering + Sync), a: &T, b: &T) -> bool {
    compare(a, b) == Ordering::Less
}

/// A length below which a slice of this length is not divided further.
pub(super) fn leaf(executor: &HybridExecutor, length: usize) -> usize {
    leaf_of(length, PIECES * executor.workers(), SEQUENTIAL)
}

/// A length that divides a slice into about so many pieces, but not into smaller ones.
pub(super) fn leaf_of(length: usize, pieces: usize, smallest: usize) -> usize {
    (length / pieces).max(smallest)
}

/// Calls `f` with each chunk and its index.
pub(super) fn for_each_chunk<T: Send>(
    executor: &HybridExecutor,
    slice: &mut [T],
    size: usize,
    f: &(impl Fn(usize, &mut [T]) + Sync),
) {
    fn divide<T: Send>(
        executor: &HybridExecutor,
        first: usize,
        slice: &mut [T],
        size: usize,
        f: &(impl Fn(usize, &mut [T]) + Sync),
    ) {
        if slice.len() <= size {
            if !slice.is_empty() {
                f(first, slice);
            }
            return;
        }
        let chunks = slice.len().div_ceil(size);
        let (left, right) = slice.split_at_mut(chunks / 2 * size);
        executor.join(
            || divide(executor, first, left, size, f),
            || divide(executor, first + chunks / 2, right, size, f),
        );
    }
    divide(executor, 0, slice, size, f);
}
