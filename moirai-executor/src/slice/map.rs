//! Mapping a slice into a new vector, each element written where it belongs.

use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::ptr;

use super::{PIECES, leaf_of};
use crate::executor::HybridExecutor;

/// As small a part as is worth a piece of its own when there are many elements.
const SMALLEST: usize = 16;

/// What `f` makes of each element, in their order.
pub(crate) fn map<T: Sync, R: Send>(
    executor: &HybridExecutor,
    slice: &[T],
    f: &(impl Fn(&T) -> R + Sync),
) -> Vec<R> {
    let mut results: Vec<R> = Vec::with_capacity(slice.len());
    let places = &mut results.spare_capacity_mut()[..slice.len()];
    let leaf = leaf_of(slice.len(), 4 * PIECES * executor.workers(), SMALLEST);
    let filled = fill(executor, slice, places, leaf, f);
    assert_eq!(filled.count, slice.len(), "every part was filled");
    mem::forget(filled);
    // SAFETY: all places were filled, and nobody else drops them.
    unsafe { results.set_len(slice.len()) };
    results
}

/// Places that were filled. Dropping it drops what is in them: so nothing leaks if another part panics.
struct Filled<'a, R> {
    first: *mut MaybeUninit<R>,
    count: usize,
    places: PhantomData<&'a mut [MaybeUninit<R>]>,
}

// SAFETY: it stands for a `&mut [R]`.
unsafe impl<R: Send> Send for Filled<'_, R> {}

impl<R> Drop for Filled<'_, R> {
    fn drop(&mut self) {
        let filled = ptr::slice_from_raw_parts_mut(self.first.cast::<R>(), self.count);
        // SAFETY: these were filled, and belong to this alone.
        unsafe { ptr::drop_in_place(filled) };
    }
}

impl<'a, R> Filled<'a, R> {
    const fn none(places: &mut [MaybeUninit<R>]) -> Self {
        Self { first: places.as_mut_ptr(), count: 0, places: PhantomData }
    }

    /// Both, of which the other follows this.
    fn and(mut self, other: Self) -> Self {
        self.count += other.count;
        mem::forget(other);
        self
    }
}

fn fill<'a, T: Sync, R: Send>(
    executor: &HybridExecutor,
    slice: &[T],
    places: &'a mut [MaybeUninit<R>],
    leaf: usize,
    f: &(impl Fn(&T) -> R + Sync),
) -> Filled<'a, R> {
    if slice.len() <= leaf {
        let mut filled = Filled::none(places);
        for (place, element) in places.iter_mut().zip(slice) {
            place.write(f(element));
            filled.count += 1;
        }
        return filled;
    }
    let middle = slice.len() / 2;
    let (left, right) = slice.split_at(middle);
    let (left_places, right_places) = places.split_at_mut(middle);
    let (left, right) = executor.join(
        || fill(executor, left, left_places, leaf, f),
        || fill(executor, right, right_places, leaf, f),
    );
    left.and(right)
}
