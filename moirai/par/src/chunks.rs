//! Calling a closure for each chunk of a slice.

use crate::fork_join::ForkJoin;

/// Calls `f` with the index of each chunk of a slice and the chunk itself, in parallel. All chunks but the last have `size`
/// elements.
///
/// # Panics
///
/// If `f` panics, once every call of it that had begun has ended; and if `size` is zero.
pub fn for_each_chunk_mut<T: Send>(
    executor: &impl ForkJoin,
    slice: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    assert_ne!(size, 0, "the size of a chunk must not be zero");
    divide(executor, 0, slice, size, &f);
}

/// Calls `f` for each chunk of `slice`. The index of the first of them is `first`.
fn divide<T: Send>(
    executor: &impl ForkJoin,
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
