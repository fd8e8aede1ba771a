//! Calling a closure for each chunk of a slice.

use crate::fork_join::ForkJoin;
use crate::panicked::Panicked;

/// Calls `f` with the index of each chunk of a slice and the chunk itself, in parallel. All chunks but the last have `size`
/// elements.
///
/// # Panics
///
/// If `f` panics, once every call of it that had begun has ended. No further calls are begun, but for one by each thread that has
/// not learned of the panic. It also panics if `size` is zero.
pub fn for_each_chunk_mut<T: Send>(
    executor: &impl ForkJoin,
    slice: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    assert_ne!(size, 0, "the size of a chunk must not be zero");
    Chunks { executor, size, f: &f, panicked: Panicked::default() }.divide(0, slice);
}

/// One call of [`for_each_chunk_mut`].
struct Chunks<'a, E, F> {
    executor: &'a E,
    size: usize,
    f: &'a F,
    /// Whether a call of `f` has panicked.
    panicked: Panicked,
}

impl<E: ForkJoin, F> Chunks<'_, E, F> {
    /// Calls `f` for each chunk of `slice`. The index of the first of them is `first`.
    fn divide<T: Send>(&self, first: usize, slice: &mut [T])
    where
        F: Fn(usize, &mut [T]) + Sync,
    {
        if slice.is_empty() || self.panicked.get() {
            return;
        }
        if slice.len() <= self.size {
            return self.panicked.noting(|| (self.f)(first, slice));
        }
        let chunks = slice.len().div_ceil(self.size);
        let (left, right) = slice.split_at_mut(chunks / 2 * self.size);
        self.executor.join(|| self.divide(first, left), || self.divide(first + chunks / 2, right));
    }
}
