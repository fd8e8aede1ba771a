//! Unstable sorting: a parallel quicksort, in place. The standard library sorts the parts that are short enough.

use std::cmp::Ordering;

use crate::fork_join::ForkJoin;
use crate::panicked::Panicked;
use crate::split::{leaf, less};

/// Sorts a slice in parallel and in place. Equal elements may change their order.
///
/// # Panics
///
/// If `compare` panics. The slice then holds all its elements, in some order, and no thread begins another part. May panic if
/// `compare` is not a total order.
pub fn sort_unstable_by<T: Send>(
    executor: &impl ForkJoin,
    slice: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering + Sync,
) {
    let compare = &compare;
    // As in the standard library, a slice that is sorted already, or in reverse order, costs about one comparison for each element.
    if slice.is_sorted_by(|a, b| compare(a, b) != Ordering::Greater) {
        return;
    }
    if slice.is_sorted_by(|a, b| less(compare, b, a)) {
        slice.reverse();
        return;
    }
    let leaf = leaf(executor, slice.len());
    // A part that is still long after this many levels has had bad pivots. The standard library sorts it, which has a guard against
    // those.
    let levels = 2 * slice.len().checked_ilog2().unwrap_or(0);
    Quicksort { executor, compare, leaf, panicked: Panicked::default() }.divide(slice, levels);
}

/// One call of [`sort_unstable_by`].
struct Quicksort<'a, E, C> {
    executor: &'a E,
    compare: &'a C,
    leaf: usize,
    panicked: Panicked,
}

impl<E: ForkJoin, C> Quicksort<'_, E, C> {
    /// Sorts one part. Divides it at a pivot, and its parts in turn, at most `levels` times. Leaves it as it is if a comparison of
    /// another part has panicked.
    fn divide<T: Send>(&self, slice: &mut [T], levels: u32)
    where
        C: Fn(&T, &T) -> Ordering + Sync,
    {
        if self.panicked.get() {
            return;
        }
        if slice.len() <= self.leaf || levels == 0 {
            return self.panicked.noting(|| slice.sort_unstable_by(self.compare));
        }
        let (left, right) = self.panicked.noting(|| split(slice, self.compare));
        self.executor.join(|| self.divide(left, levels - 1), || self.divide(right, levels - 1));
    }
}

/// Divides a part at a pivot, which comes to its final place. Returns the elements before it and those behind it.
fn split<'a, T>(
    slice: &'a mut [T],
    compare: &(impl Fn(&T, &T) -> Ordering + Sync),
) -> (&'a mut [T], &'a mut [T]) {
    let pivot = choose_pivot(slice, compare);
    slice.swap(0, pivot);
    let middle = {
        let (pivot, rest) = slice.split_first_mut().expect("it is longer than a leaf");
        partition(rest, |element| less(compare, element, pivot))
    };
    slice.swap(0, middle);
    let (left, right) = slice.split_at_mut(middle);
    let (pivot, mut right) = right.split_first_mut().expect("the pivot is there");
    if left.len() < right.len() / 8 {
        // A left part that is so short may mean that many elements are equal to the pivot. They are in their final place already.
        let equal = partition(right, |element| !less(compare, pivot, element));
        right = &mut right[equal..];
    }
    (left, right)
}

/// Moves the elements for which `is_left` returns `true` to the front, and returns their number.
fn partition<T>(slice: &mut [T], is_left: impl Fn(&T) -> bool) -> usize {
    // Lomuto's scheme without a branch: every element is swapped, whether it has to move or not.
    let mut left = 0;
    for i in 0..slice.len() {
        let goes_left = is_left(&slice[i]);
        slice.swap(i, left);
        left += usize::from(goes_left);
    }
    left
}

/// Returns the index of an element that is likely to be near the median: 27 samples are reduced to the medians of threes, three
/// times over.
fn choose_pivot<T>(slice: &[T], compare: &(impl Fn(&T, &T) -> Ordering + Sync)) -> usize {
    const SAMPLES: usize = 27;
    let step = slice.len() / SAMPLES;
    let mut samples: Vec<usize> = (0..SAMPLES).map(|sample| sample * step + step / 2).collect();
    while samples.len() > 1 {
        samples = samples
            .chunks_exact(3)
            .map(|three| {
                let [a, b, c] = [three[0], three[1], three[2]];
                let before = |a: usize, b: usize| less(compare, &slice[a], &slice[b]);
                match (before(a, b), before(b, c), before(a, c)) {
                    (true, true, _) | (false, false, _) => b,
                    (true, false, true) | (false, true, false) => c,
                    (true, false, false) | (false, true, true) => a,
                }
            })
            .collect();
    }
    samples[0]
}
