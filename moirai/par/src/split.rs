//! How far a slice is divided.

use std::cmp::Ordering;

use crate::fork_join::ForkJoin;

/// A slice with fewer elements than this is sorted by one thread.
pub(crate) const SEQUENTIAL: usize = 4_096;

/// How many pieces there are for each thread, so that a thread that is done early finds another.
pub(crate) const PIECES: usize = 4;

/// Whether `a` comes before `b`.
pub(crate) fn less<T>(compare: &(impl Fn(&T, &T) -> Ordering + Sync), a: &T, b: &T) -> bool {
    compare(a, b) == Ordering::Less
}

/// The length below which a part of a slice that is to be sorted is not divided further.
pub(crate) fn leaf(executor: &impl ForkJoin, length: usize) -> usize {
    leaf_of(length, PIECES * executor.threads(), SEQUENTIAL)
}

/// The length that divides a slice into about `pieces` pieces, but not into pieces of fewer than `smallest` elements.
pub(crate) fn leaf_of(length: usize, pieces: usize, smallest: usize) -> usize {
    (length / pieces.max(1)).max(smallest)
}
