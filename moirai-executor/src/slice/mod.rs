//! Work on slices, divided by [`join`](crate::HybridExecutor::join): what parallel iterators do not offer.

mod map;
mod merge;
mod quick;

use std::cmp::Ordering;

use crate::executor::HybridExecutor;

pub(crate) use map::map;
pub(crate) use merge::sort;
pub(crate) use quick::sort_unstable;

/// Below this many elements a slice is sorted by one thread.
const SEQUENTIAL: usize = 4_096;

/// How many pieces each worker gets, so that those who are done early find some.
const PIECES: usize = 4;

/// Whether one element comes before another.
fn less<T>(compare: &(impl Fn(&T, &T) -> Ordering + Sync), a: &T, b: &T) -> bool {
    compare(a, b) == Ordering::Less
}

/// A length below which a slice of this length is not divided further.
fn leaf(executor: &HybridExecutor, length: usize) -> usize {
    leaf_of(length, PIECES * executor.workers(), SEQUENTIAL)
}

/// A length that divides a slice into about so many pieces, but not into smaller ones.
fn leaf_of(length: usize, pieces: usize, smallest: usize) -> usize {
    (length / pieces).max(smallest)
}

/// Calls `f` with each chunk and its index.
pub(crate) fn for_each_chunk<T: Send>(
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
