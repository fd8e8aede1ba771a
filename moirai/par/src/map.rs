//! Mapping a slice into a new vector, each element written where it belongs.

use std::mem;
use std::ptr;

use crate::fork_join::ForkJoin;
use crate::split::{PIECES, leaf_of};

/// As small a part as is worth a piece of its own when there are many elements.
const SMALLEST: usize = 16;

/// What `f` makes of each element, in their order.
///
/// # Panics
///
/// If `f` does.
pub fn map<T: Sync, R: Send>(
    executor: &impl ForkJoin,
    slice: &[T],
    f: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let mut results: Vec<R> = Vec::with_capacity(slice.len());
    // All parts are reached by this one pointer, so that what two of them have filled can be dropped as one.
    let target = Target(results.as_mut_ptr());
    let leaf = leaf_of(slice.len(), 4 * PIECES * executor.threads(), SMALLEST);
    let filled = fill(executor, slice, target, leaf, &f);
    assert_eq!(filled.count, slice.len(), "every part was filled");
    mem::forget(filled);
    // SAFETY: all places were filled, and nobody else drops them.
    unsafe { results.set_len(slice.len()) };
    results
}

/// Where results go: as many places as the part of the slice has elements, which nobody else uses.
struct Target<R>(*mut R);

// SAFETY: who has it is alone with its places, and puts an `R` there.
unsafe impl<R: Send> Send for Target<R> {}

/// Places that were filled. Dropping it drops what is in them: so nothing leaks if another part panics.
struct Filled<R> {
    first: *mut R,
    count: usize,
}

// SAFETY: it stands for a `&mut [R]`.
unsafe impl<R: Send> Send for Filled<R> {}

impl<R> Drop for Filled<R> {
    fn drop(&mut self) {
        let filled = ptr::slice_from_raw_parts_mut(self.first, self.count);
        // SAFETY: these were filled, and belong to this alone.
        unsafe { ptr::drop_in_place(filled) };
    }
}

impl<R> Filled<R> {
    /// Both, of which the other follows this.
    fn and(mut self, other: Self) -> Self {
        self.count += other.count;
        mem::forget(other);
        self
    }
}

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
            // SAFETY: there are as many places as elements.
            let place = unsafe { filled.first.add(filled.count) };
            // SAFETY: the place is this part's own, and empty.
            unsafe { place.write(result) };
            filled.count += 1;
        }
        return filled;
    }
    let middle = slice.len() / 2;
    let (left, right) = slice.split_at(middle);
    // SAFETY: there are as many places as elements.
    let right_target = Target(unsafe { target.0.add(middle) });
    let (left, right) = executor.join(
        || fill(executor, left, target, leaf, f),
        || fill(executor, right, right_target, leaf, f),
    );
    left.and(right)
}
