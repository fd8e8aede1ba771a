//! How they are called.

use std::cmp::Ordering;

use crate::executor::HybridExecutor;

impl HybridExecutor {
    /// Sorts a slice in parallel; equal elements stay in their order. Takes as much memory again as the slice.
    ///
    /// # Panics
    ///
    /// If `compare` does; the elements are all there then, in some order. May panic if `compare` is no total order.
    pub fn sort_by<T: Send>(&self, slice: &mut [T], compare: impl Fn(&T, &T) -> Ordering + Sync) {
        super::merge::sort(self, slice, &compare);
    }

    /// Sorts a slice in parallel and in place; equal elements may change their order.
    ///
    /// # Panics
    ///
    /// As [`sort_by`](Self::sort_by).
    pub fn sort_unstable_by<T: Send>(
        &self,
        slice: &mut [T],
        compare: impl Fn(&T, &T) -> Ordering + Sync,
    ) {
        super::quick::sort_unstable(self, slice, &compare);
    }

    /// What `f` makes of each element of a slice, in their order; `f` is called in parallel.
    ///
    /// # Panics
    ///
    /// If `f` does, when all calls have ended that had begun. What it returned before is dropped.
    pub fn map<T: Sync, R: Send>(&self, slice: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        super::map::map(self, slice, &f)
    }

    /// Calls `f` with each chunk of a slice and the chunk's index, in parallel. All chunks but the last have `size` elements.
    ///
    /// # Panics
    ///
    /// If `f` does, when all calls have ended that had begun; and if `size` is zero.
    pub fn for_each_chunk_mut<T: Send>(
        &self,
        slice: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        assert_ne!(size, 0, "the size of a chunk must not be zero");
        super::chunks::for_each_chunk(self, slice, size, &f);
    }
}
