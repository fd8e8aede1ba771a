//! How far a slice is divided.

use std::cmp::Ordering;

use crate::fork_join::ForkJoin;

/// A part with this many elements, or fewer, is sorted by one thread.
pub(crate) const SEQUENTIAL: usize = 4_096;

/// The number of parts for each thread, so that a thread that finishes early finds another one.
pub(crate) const PIECES: usize = 4;

/// Returns whether `a` comes before `b`.
pub(crate) fn less<T>(compare: &(impl Fn(&T, &T) -> Ordering + Sync), a: &T, b: &T) -> bool {
    compare(a, b) == Ordering::Less
}

/// Returns the largest number of elements that one thread sorts without dividing them further.
pub(crate) fn leaf(executor: &impl ForkJoin, length: usize) -> usize {
    leaf_of(length, PIECES * executor.threads(), SEQUENTIAL)
}

/// Returns the largest number of elements that are not divided further, for about `pieces` parts. It is at least `smallest`; a part
/// can be shorter, because longer ones are divided in the middle.
pub(crate) fn leaf_of(length: usize, pieces: usize, smallest: usize) -> usize {
    (length / pieces.max(1)).max(smallest)
}
