//! Parallel algorithms as methods of slices.

use std::cmp::Ordering;

use crate::global::current_or_global;

/// Sorts, maps and chunks of a slice, in parallel.
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
    /// Sorts the slice. Equal elements stay in their order. Takes as much memory again as the slice.
    ///
    /// # Panics
    ///
    /// If a comparison panics. The slice then holds all its elements, in some order. May panic if the order of `T` is not a total
    /// order.
    fn par_sort(&mut self)
    where
        T: Ord,
    {
        self.par_sort_by(T::cmp);
    }

    /// Sorts the slice with a comparison function, as [`par_sort`](Self::par_sort) does.
    ///
    /// # Panics
    ///
    /// If a comparison panics. The slice then holds all its elements, in some order. May panic if `compare` is not a total order.
    fn par_sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync);

    /// Sorts the slice by a key, as [`par_sort`](Self::par_sort) does. `key` is called twice for each comparison.
    ///
    /// # Panics
    ///
    /// If `key` or a comparison panics; see [`par_sort_by`](Self::par_sort_by).
    fn par_sort_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K + Sync) {
        self.par_sort_by(|a, b| key(a).cmp(&key(b)));
    }

    /// Sorts the slice in place. Equal elements may change their order.
    ///
    /// # Panics
    ///
    /// If a comparison panics. The slice then holds all its elements, in some order. May panic if the order of `T` is not a total
    /// order.
    fn par_sort_unstable(&mut self)
    where
        T: Ord,
    {
        self.par_sort_unstable_by(T::cmp);
    }

    /// Sorts the slice with a comparison function, as [`par_sort_unstable`](Self::par_sort_unstable) does.
    ///
    /// # Panics
    ///
    /// As [`par_sort_by`](Self::par_sort_by) does.
    fn par_sort_unstable_by(&mut self, compare: impl Fn(&T, &T) -> Ordering + Sync);

    /// Sorts the slice by a key, as [`par_sort_unstable`](Self::par_sort_unstable) does. `key` is called twice for each comparison.
    ///
    /// # Panics
    ///
    /// If `key` or a comparison panics; see [`par_sort_by`](Self::par_sort_by).
    fn par_sort_unstable_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K + Sync) {
        self.par_sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    }

    /// Returns the results of `f` for each element, in the order of the elements.
    ///
    /// Each result is written to its final place at once. A parallel iterator's `map(..).collect()` has the same result, but goes
    /// through a vector for each thread, which takes twice as long if `f` is short.
    ///
    /// # Panics
    ///
    /// If `f` panics. The results that it returned before are dropped.
    fn par_map<R: Send>(&self, f: impl Fn(&T) -> R + Sync) -> Vec<R>
    where
        T: Sync;

    /// Calls `f` with the index of each chunk and the chunk itself. All chunks but the last have `size` elements.
    ///
    /// # Panics
    ///
    /// If `f` panics; and if `size` is zero, like `chunks_mut`.
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
