//! Mapping a slice into a new vector: each result is written where it belongs at once.
//!
//! # Why this is sound
//!
//! 1. The vector has room for as many results as the slice has elements. Each part of the slice has the places of its own results,
//!    named by its [`Target`], and no two parts share a place.
//! 2. A part counts the places that it has filled in a [`Filled`], which drops them if `f` panics. When two neighbouring parts are
//!    both filled, their places become one `Filled`.
//! 3. The vector's length is set when one `Filled` covers all of it. Until then the vector has no elements and drops none.

use std::mem;
use std::ptr;

use crate::fork_join::ForkJoin;
use crate::split::{PIECES, leaf_of};

/// A part with fewer elements than this is not divided.
const SMALLEST: usize = 16;

/// Returns what `f` makes of each element of a slice, in the order of the elements. `f` is called in parallel.
///
/// # Panics
///
/// If `f` panics, once every call of it that had begun has ended. What it returned before is dropped.
pub fn map<T: Sync, R: Send>(
    executor: &impl ForkJoin,
    slice: &[T],
    f: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let mut results: Vec<R> = Vec::with_capacity(slice.len());
    // Every part's pointer comes from this one, so that the places of two parts can be dropped as one slice.
    let target = Target(results.as_mut_ptr());
    let leaf = leaf_of(slice.len(), 4 * PIECES * executor.threads(), SMALLEST);
    let filled = fill(executor, slice, target, leaf, &f);
    assert_eq!(filled.count, slice.len(), "every part was filled");
    mem::forget(filled);
    // SAFETY: every place was filled (rule 3), and the `Filled` that would have dropped them is forgotten.
    unsafe { results.set_len(slice.len()) };
    results
}

/// The places of one part's results: as many as the part has elements (rule 1).
struct Target<R>(*mut R);

// SAFETY: whoever has the target is the only one to use its places (rule 1), and writes an `R` there, which may be sent.
unsafe impl<R: Send> Send for Target<R> {}

/// Places that were filled. Dropping it drops the results in them, so that nothing leaks if another part panics (rule 2).
struct Filled<R> {
    first: *mut R,
    count: usize,
}

// SAFETY: it owns the results in its places, as a `Vec<R>` would.
unsafe impl<R: Send> Send for Filled<R> {}

impl<R> Drop for Filled<R> {
    fn drop(&mut self) {
        let filled = ptr::slice_from_raw_parts_mut(self.first, self.count);
        // SAFETY: each of these places was filled, and this is the only owner of what is in them (rule 2).
        unsafe { ptr::drop_in_place(filled) };
    }
}

impl<R> Filled<R> {
    /// Takes over the places of `other`, which come right after those of `self`.
    fn and(mut self, other: Self) -> Self {
        self.count += other.count;
        mem::forget(other);
        self
    }
}

/// Fills the places of one part.
fn fill<T: Sync, R: Send>(
    executor: &impl ForkJoin,
    slice: &[T],
    target: Target<R>,
    leaf: usize,
    f: &(impl Fn(&T) -> R + Sync),
) -> Filled<R> {
    if slice.len() <= leaf {
        let mut filled = Filled { first: target.0, count: 0 };
        for element in slice {
            let result = f(element);
            // SAFETY: fewer places are filled than there are elements, and there are as many places as elements (rule 1).
            let place = unsafe { filled.first.add(filled.count) };
            // SAFETY: the place is this part's own (rule 1), and nothing is in it yet.
            unsafe { place.write(result) };
            filled.count += 1;
        }
        return filled;
    }
    let middle = slice.len() / 2;
    let (left, right) = slice.split_at(middle);
    // SAFETY: there are as many places as elements (rule 1), and the middle is not beyond the last.
    let right_target = Target(unsafe { target.0.add(middle) });
    let (left, right) = executor.join(
        || fill(executor, left, target, leaf, f),
        || fill(executor, right, right_target, leaf, f),
    );
    left.and(right)
}
