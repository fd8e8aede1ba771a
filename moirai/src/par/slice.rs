//! What can be done to a slice in parallel.

use std::cmp::Ordering;

use crate::global::current_or_global;

/// What can be done to a slice in parallel.
///
/// ```
/// use moirai::par::ParSlice;
///
/// let mut words = vec!["pear", "fig", "apple", "kiwi"];
/// words.par_sort_unstable();
/// assert_eq!(words, ["apple", "fig", "kiwi", "pear"]);
/// words.par_sort_by_key(|word| word.len());
/// assert_eq!(words, ["fig", "kiwi", "pear", "apple"]);
///
/// assert_eq!(words.par_map(|word| word.len()), [3, 4, 4, 5]);
///
/// let mut pixels = vec![0; 10];
/// pixels.par_for_each_chunk_mut(4, |row, pixels| pixels.fill(row));
/// assert_eq!(pixels, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]);
/// ```
pub trait ParSlice<T: Send> {
    /// Sorts; equal elements stay in their order. Takes as much memory again as the slice.
    ///
    /// # Panics
    ///
    /// If a comparison does. The elements are all there then, in some order.
    fn par_sort(&mut self)
    where
        T: Ord,
    {
        self.par_sort_by(T::cmp);
    }

    /// As [`par_sort`](Self::par_sort), by a comparison.
    ///
    /// # Panics
    ///
    /// If a comparison does; perhaps if it is no total order.
    fn par_sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync);

    /// As [`par_sort`](Self::par_sort), by a key.
    ///
    /// # Panics
    ///
    /// As [`par_sort_by`](Self::par_sort_by).
    fn par_sort_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K + Sync) {
        self.par_sort_by(|a, b| key(a).cmp(&key(b)));
    }

    /// Sorts in place; equal elements may change their order.
    ///
    /// # Panics
    ///
    /// If a comparison does. The elements are all there then, in some order.
    fn par_sort_unstable(&mut self)
    where
        T: Ord,
    {
        self.par_sort_unstable_by(T::cmp);
    }

    /// As [`par_sort_unstable`](Self::par_sort_unstable), by a comparison.
    ///
    /// # Panics
    ///
    /// As [`par_sort_by`](Self::par_sort_by).
    fn par_sort_unstable_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync);

    /// As [`par_sort_unstable`](Self::par_sort_unstable), by a key.
    ///
    /// # Panics
    ///
    /// As [`par_sort_by`](Self::par_sort_by).
    fn par_sort_unstable_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K + Sync) {
        self.par_sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    }

    /// What `f` makes of each element, in their order.
    ///
    /// Each result is written where it belongs at once. A parallel iterator's `map(..).collect()` does the same by way of a
    /// vector for each thread, which takes twice as long if `f` is short.
    ///
    /// # Panics
    ///
    /// If `f` does. What it returned before is dropped.
    fn par_map<R: Send>(&self, f: impl Fn(&T) -> R + Sync) -> Vec<R>
    where
        T: Sync;

    /// Calls `f` with each chunk and its index. All chunks but the last have `size` elements.
    ///
    /// # Panics
    ///
    /// If `f` does; and, as `chunks_mut`, if `size` is zero.
    fn par_for_each_chunk_mut(&mut self, size: usize, f: impl Fn(usize, &mut [T]) + Sync);
}

impl<T: Send> ParSlice<T> for [T] {
    fn par_sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync) {
        moirai_par::sort_by(&current_or_global(), self, compare);
    }

    fn par_sort_unstable_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync) {
        moirai_par::sort_unstable_by(&current_or_global(), self, compare);
    }

    fn par_map<R: Send>(&self, f: impl Fn(&T) -> R + Sync) -> Vec<R>
    where
        T: Sync,
    {
        moirai_par::map(&current_or_global(), self, f)
    }

    fn par_for_each_chunk_mut(&mut self, size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        moirai_par::for_each_chunk_mut(&current_or_global(), self, size, f);
    }
}
