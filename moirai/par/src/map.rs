//! Mapping a slice into a new vector. Each result is written to its final place at once.
//!
//! # Why this is sound
//!
//! 1. The vector has room for as many results as the slice has elements. Each part of the slice has the places of its own results,
//!    which start at its [`Target`]. No two parts share a place.
//! 2. A part counts the places that it has filled in a [`Filled`], which drops their results if `f` panics. When two neighbouring
//!    parts are both filled, their places become one `Filled`.
//! 3. The vector's length is set when one `Filled` covers all of it. Until then the vector has no elements, and drops none.

use std::mem;
use std::ptr;

use crate::fork_join::ForkJoin;
use crate::panicked::Panicked;
use crate::split::{PIECES, leaf_of};

/// A part with this many elements, or fewer, is not divided. Before each so many calls a part looks whether another one has panicked.
const SMALLEST: usize = 16;

/// Returns the results of `f` for each element of a slice, in the order of the elements. `f` is called in parallel.
///
/// # Panics
///
/// If `f` panics, once every call of it that had begun has ended. The results that it returned before are dropped. Each other thread
/// makes at most 16 further calls before it stops.
pub fn map<T: Sync, R: Send>(
    executor: &impl ForkJoin,
    slice: &[T],
    f: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let mut results: Vec<R> = Vec::with_capacity(slice.len());
    // The pointers of all parts are derived from this one, so that the places of two neighbouring parts can be dropped as one
    // slice.
    let target = Target(results.as_mut_ptr());
    let leaf = leaf_of(slice.len(), 4 * PIECES * executor.threads(), SMALLEST);
    let filled = Map { executor, leaf, f: &f, panicked: Panicked::default() }.fill(slice, target);
    // A part stops early only if another one has panicked, and then this is not reached.
    assert_eq!(filled.count, slice.len(), "every part was filled");
    mem::forget(filled);
    // SAFETY: the capacity is at least `slice.len()`, and every place up to there was filled (rule 3). The `Filled` that would have
    // dropped the results is forgotten, so the vector is their only owner.
    unsafe { results.set_len(slice.len()) };
    results
}

/// The first of the places of one part, which has as many places as elements (rule 1).
struct Target<R>(*mut R);

// SAFETY: the thread that has the target is the only one that uses its places (rule 1). It writes values of type `R` there, which
// may be sent to another thread.
unsafe impl<R: Send> Send for Target<R> {}

/// Neighbouring places that were filled. Dropping it drops the results in them, so nothing leaks if another part panics (rule 2).
struct Filled<R> {
    first: *mut R,
    count: usize,
}

// SAFETY: a `Filled` owns the results in its places, as a `Vec<R>` would.
unsafe impl<R: Send> Send for Filled<R> {}

impl<R> Drop for Filled<R> {
    fn drop(&mut self) {
        let filled = ptr::slice_from_raw_parts_mut(self.first, self.count);
        // SAFETY: each of these places was filled, they follow each other in one allocation, and this is the only owner of the
        // results in them (rule 2).
        unsafe { ptr::drop_in_place(filled) };
    }
}

impl<R> Filled<R> {
    /// Takes over the places of `other`, which must come right after those of `self`.
    fn and(mut self, other: Self) -> Self {
        debug_assert_eq!(self.first.wrapping_add(self.count), other.first, "they are neighbours");
        self.count += other.count;
        mem::forget(other);
        self
    }
}

/// One call of [`map`].
struct Map<'a, E, F> {
    executor: &'a E,
    leaf: usize,
    f: &'a F,
    panicked: Panicked,
}

impl<E: ForkJoin, F> Map<'_, E, F> {
    /// Fills the places of one part, or fewer if a call of `f` has panicked on another thread.
    fn fill<T: Sync, R: Send>(&self, slice: &[T], target: Target<R>) -> Filled<R>
    where
        F: Fn(&T) -> R + Sync,
    {
        if slice.len() <= self.leaf {
            return self.fill_leaf(slice, target);
        }
        let middle = slice.len() / 2;
        let (left, right) = slice.split_at(middle);
        // SAFETY: the part has as many places as elements (rule 1), and `middle` is not greater than their number.
        let right_target = Target(unsafe { target.0.add(middle) });
        let (left, right) =
            self.executor.join(|| self.fill(left, target), || self.fill(right, right_target));
        if left.count < middle { left } else { left.and(right) }
    }

    fn fill_leaf<T, R>(&self, slice: &[T], target: Target<R>) -> Filled<R>
    where
        F: Fn(&T) -> R,
    {
        let mut filled = Filled { first: target.0, count: 0 };
        for elements in slice.chunks(SMALLEST) {
            if self.panicked.get() {
                break;
            }
            self.panicked.noting(|| {
                for element in elements {
                    let result = (self.f)(element);
                    // SAFETY: fewer places are filled than the part has elements, and it has as many places as elements (rule 1),
                    // so this place is one of its own.
                    let place = unsafe { filled.first.add(filled.count) };
                    // SAFETY: the place belongs to this part alone (rule 1), is aligned for an `R`, and holds no value yet.
                    unsafe { place.write(result) };
                    filled.count += 1;
                }
            });
        }
        filled
    }
}
