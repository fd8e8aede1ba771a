//! Stable sorting: a merge sort. The standard library sorts runs, in parallel, and then each round merges pairs of neighbouring
//! runs.
//!
//! # Why this is sound
//!
//! 1. There are two places for the elements: the slice and a buffer. One of them is the *source*. It owns every element once; the
//!    bits in the other place own nothing. Before the first round the slice is the source.
//! 2. A round copies the bits of the elements from the source to the other place, in order, and writes nothing to the source. When
//!    the whole round is done, and not before, the other place becomes the source.
//! 3. So if a comparison panics, the source still owns every element. At the end, also after a panic, the elements are copied to
//!    the slice if the buffer is the source, and the buffer is freed without dropping any element.
//! 4. The merges of one round write to disjoint parts of the other place, which `split_at_mut` divides.

use std::cmp::Ordering;
use std::mem::MaybeUninit;
use std::ptr;

use crate::chunks::for_each_chunk_mut;
use crate::fork_join::ForkJoin;
use crate::panicked::Panicked;
use crate::split::{SEQUENTIAL, leaf, less};

/// Sorts a slice in parallel. Equal elements stay in their order. Takes as much memory again as the slice.
///
/// # Panics
///
/// If `compare` panics. The slice then holds all its elements, in some order, and no thread begins another part. May panic if
/// `compare` is not a total order.
pub fn sort_by<T: Send>(
    executor: &impl ForkJoin,
    slice: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering + Sync,
) {
    let compare = &compare;
    let length = slice.len();
    let mut run = leaf(executor, length);
    if length <= run || size_of::<T>() == 0 {
        slice.sort_by(compare);
        return;
    }
    for_each_chunk_mut(executor, slice, run, |_, run: &mut [T]| run.sort_by(compare));
    let mut buffer: Vec<MaybeUninit<T>> = Vec::with_capacity(length);
    // SAFETY: the capacity is at least `length`, and a `MaybeUninit` needs no initialization.
    unsafe { buffer.set_len(length) };
    let mut places = Places { slice: as_uninit(slice), buffer: &mut buffer, in_buffer: false };
    while run < length {
        let (source, target) = places.source_and_target();
        // SAFETY: the source owns every element (rule 1), so all of them are initialized.
        let source = unsafe { assume_init(source) };
        let merges = Merges { executor, compare, run, panicked: Panicked::default() };
        merges.pairs(Source(source), target);
        assert!(!merges.panicked.get(), "a panic ends the sort");
        places.in_buffer = !places.in_buffer;
        run *= 2;
    }
}

/// The slice and the buffer (rule 1). Dropping it copies the elements to the slice if they are in the buffer (rule 3).
struct Places<'a, T> {
    slice: &'a mut [MaybeUninit<T>],
    buffer: &'a mut [MaybeUninit<T>],
    in_buffer: bool,
}

impl<T> Places<'_, T> {
    fn source_and_target(&mut self) -> (&[MaybeUninit<T>], &mut [MaybeUninit<T>]) {
        if self.in_buffer { (self.buffer, self.slice) } else { (self.slice, self.buffer) }
    }
}

impl<T> Drop for Places<'_, T> {
    fn drop(&mut self) {
        if self.in_buffer {
            copy_all(self.buffer, self.slice);
        }
    }
}

/// A part of the source. Only the thread that has the part compares and copies its elements.
struct Source<'a, T>(&'a [T]);

// SAFETY: each element is in the part of one thread only. That thread compares it and copies its bits, which amounts to moving it,
// so `T: Send` is enough.
unsafe impl<T: Send> Send for Source<'_, T> {}

impl<'a, T> Source<'a, T> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(at);
        (Self(left), Self(right))
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// One round of merges.
struct Merges<'a, E, C> {
    executor: &'a E,
    compare: &'a C,
    /// The length of a run.
    run: usize,
    panicked: Panicked,
}

impl<E: ForkJoin, C> Merges<'_, E, C> {
    /// Merges each pair of neighbouring runs.
    fn pairs<T: Send>(&self, source: Source<'_, T>, target: &mut [MaybeUninit<T>])
    where
        C: Fn(&T, &T) -> Ordering + Sync,
    {
        let length = source.len();
        if length <= 2 * self.run {
            let (left, right) = source.split_at(self.run.min(length));
            return self.merge(left, right, target);
        }
        let pairs = length.div_ceil(2 * self.run);
        let at = pairs / 2 * 2 * self.run;
        let (left, right) = source.split_at(at);
        let (left_target, right_target) = target.split_at_mut(at);
        self.executor.join(|| self.pairs(left, left_target), || self.pairs(right, right_target));
    }

    /// Merges two runs, in parallel if they are long. Does nothing if a comparison of another part has panicked: then the round never
    /// is done (rule 2).
    fn merge<T: Send>(
        &self,
        left: Source<'_, T>,
        right: Source<'_, T>,
        target: &mut [MaybeUninit<T>],
    ) where
        C: Fn(&T, &T) -> Ordering + Sync,
    {
        if self.panicked.get() {
            return;
        }
        if target.len() <= 2 * SEQUENTIAL || left.len() == 0 || right.len() == 0 {
            return self.panicked.noting(|| merge_here(left.0, right.0, target, self.compare));
        }
        let (left_at, right_at) = self.panicked.noting(|| split(left.0, right.0, self.compare));
        let (left_low, left_high) = left.split_at(left_at);
        let (right_low, right_high) = right.split_at(right_at);
        let (low, high) = target.split_at_mut(left_at + right_at);
        self.executor.join(
            || self.merge(left_low, right_low, low),
            || self.merge(left_high, right_high, high),
        );
    }
}

/// Returns where to divide two runs, so that no element before comes behind one after. The longer one is divided in the middle, and
/// the other one at the place where that middle element belongs. Equal elements of the left run come first.
fn split<T>(
    left: &[T],
    right: &[T],
    compare: &(impl Fn(&T, &T) -> Ordering + Sync),
) -> (usize, usize) {
    if left.len() >= right.len() {
        let at = left.len() / 2;
        let middle = &left[at];
        (at, right.partition_point(|element| less(compare, element, middle)))
    } else {
        let at = right.len() / 2;
        let middle = &right[at];
        (left.partition_point(|element| !less(compare, middle, element)), at)
    }
}

/// Merges two runs on this thread.
fn merge_here<T>(
    left: &[T],
    right: &[T],
    target: &mut [MaybeUninit<T>],
    compare: &impl Fn(&T, &T) -> Ordering,
) {
    // If no element of the right run comes before the last one of the left run, both runs are only copied.
    if left.is_empty()
        || right.is_empty()
        || compare(&right[0], &left[left.len() - 1]) != Ordering::Less
    {
        let (low, high) = target.split_at_mut(left.len());
        copy_all(as_uninit_ref(left), low);
        return copy_all(as_uninit_ref(right), high);
    }
    let (mut at, mut from_left, mut from_right) = (0, 0, 0);
    while from_left < left.len() && from_right < right.len() {
        let (a, b) = (&left[from_left], &right[from_right]);
        let take_right = compare(b, a) == Ordering::Less;
        let next = if take_right { b } else { a };
        // SAFETY: the reference is valid for a read, and the copy owns nothing until the round is done (rule 2).
        target[at] = unsafe { ptr::from_ref(next).cast::<MaybeUninit<T>>().read() };
        at += 1;
        from_right += usize::from(take_right);
        from_left += usize::from(!take_right);
    }
    let (rest_left, rest_right) = (&left[from_left..], &right[from_right..]);
    let (low, high) = target[at..].split_at_mut(rest_left.len());
    copy_all(as_uninit_ref(rest_left), low);
    copy_all(as_uninit_ref(rest_right), high);
}

/// Copies the bits of all elements, which does not change who owns them.
fn copy_all<T>(from: &[MaybeUninit<T>], to: &mut [MaybeUninit<T>]) {
    assert_eq!(from.len(), to.len(), "a merge fills its target");
    // SAFETY: both slices have this length, and `to` is an exclusive reference, so they do not overlap.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

fn as_uninit<T>(slice: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: `T` and `MaybeUninit<T>` have the same layout. Only bits of whole elements are written through the result, and at the
    // end the slice owns every element again (rule 3).
    unsafe { &mut *(ptr::from_mut(slice) as *mut [MaybeUninit<T>]) }
}

const fn as_uninit_ref<T>(slice: &[T]) -> &[MaybeUninit<T>] {
    // SAFETY: `T` and `MaybeUninit<T>` have the same layout, and nothing is written through a shared reference.
    unsafe { &*(ptr::from_ref(slice) as *const [MaybeUninit<T>]) }
}

/// # Safety
///
/// All elements must be initialized.
const unsafe fn assume_init<T>(slice: &[MaybeUninit<T>]) -> &[T] {
    // SAFETY: the caller promises that all elements are initialized, and the layout is the same.
    unsafe { &*(ptr::from_ref(slice) as *const [T]) }
}
