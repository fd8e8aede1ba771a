//! Stable sorting: runs that the standard library sorts, in parallel, and rounds in which pairs of them are merged.
//!
//! # The protocol
//!
//! 1. There are two places for the elements, the slice and a buffer. One of them, the *source*, holds every element once; what is
//!    in the other is not there, whatever its bits are. Before the first round the slice is the source.
//! 2. A round merges from the source to the other place, by copying bits, and writes nothing to the source. When all of
//!    it is done, and not before, the other place becomes the source.
//! 3. So when a comparison panics, the source is whole. Whether a round panics or not, at the end the source's elements are moved
//!    to the slice, if they are not there, and the buffer is freed without dropping any.
//! 4. Within a round the merges write to disjoint parts, which are divided with `split_at_mut`.

use std::cmp::Ordering;
use std::mem::MaybeUninit;
use std::ptr;

use crate::fork_join::ForkJoin;
use crate::split::{SEQUENTIAL, leaf, less};

/// Sorts; equal elements stay in their order. Takes as much memory again as the slice.
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
    crate::chunks::for_each_chunk_mut(executor, slice, run, |_, run: &mut [T]| {
        run.sort_by(compare)
    });
    let mut buffer: Vec<MaybeUninit<T>> = Vec::with_capacity(length);
    // SAFETY: what may be uninitialized is, whatever it holds.
    unsafe { buffer.set_len(length) };
    let mut places = Places { slice: as_uninit(slice), buffer: &mut buffer, in_buffer: false };
    while run < length {
        let (source, target) = places.source_and_target();
        // SAFETY: rule 1: the source holds every element.
        let source = unsafe { assume_init(source) };
        merge_pairs(executor, Source(source), target, run, compare);
        places.in_buffer = !places.in_buffer;
        run *= 2;
    }
}

/// The two places of rule 1. Dropping it moves the elements to the slice: rule 3.
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

/// Elements that are read by many threads, and of which each is taken by one.
struct Source<'a, T>(&'a [T]);

// SAFETY: the threads that have a part of it compare its elements, each of which is in the part of one thread only, and move
// them: that is what `T: Send` allows.
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

/// Merges each two neighbouring runs.
fn merge_pairs<T: Send>(
    executor: &impl ForkJoin,
    source: Source<'_, T>,
    target: &mut [MaybeUninit<T>],
    run: usize,
    compare: &(impl Fn(&T, &T) -> Ordering + Sync),
) {
    let length = source.len();
    if length <= 2 * run {
        let (left, right) = source.split_at(run.min(length));
        return merge(executor, left, right, target, compare);
    }
    let pairs = length.div_ceil(2 * run);
    let at = pairs / 2 * 2 * run;
    let (left, right) = source.split_at(at);
    let (left_target, right_target) = target.split_at_mut(at);
    executor.join(
        || merge_pairs(executor, left, left_target, run, compare),
        || merge_pairs(executor, right, right_target, run, compare),
    );
}

/// Merges two runs, in parallel if they are long.
fn merge<T: Send>(
    executor: &impl ForkJoin,
    left: Source<'_, T>,
    right: Source<'_, T>,
    target: &mut [MaybeUninit<T>],
    compare: &(impl Fn(&T, &T) -> Ordering + Sync),
) {
    let length = target.len();
    if length <= 2 * SEQUENTIAL || left.len() == 0 || right.len() == 0 {
        return merge_here(left.0, right.0, target, compare);
    }
    // The middle of the longer run goes to where it has its place in the other; equal ones of the left run come first.
    let (left_at, right_at) = if left.len() >= right.len() {
        let at = left.len() / 2;
        let middle = &left.0[at];
        (at, right.0.partition_point(|element| less(compare, element, middle)))
    } else {
        let at = right.len() / 2;
        let middle = &right.0[at];
        (left.0.partition_point(|element| !less(compare, middle, element)), at)
    };
    let (left_low, left_high) = left.split_at(left_at);
    let (right_low, right_high) = right.split_at(right_at);
    let (low, high) = target.split_at_mut(left_at + right_at);
    executor.join(
        || merge(executor, left_low, right_low, low, compare),
        || merge(executor, left_high, right_high, high, compare),
    );
}

/// Merges two runs.
fn merge_here<T>(
    left: &[T],
    right: &[T],
    target: &mut [MaybeUninit<T>],
    compare: &impl Fn(&T, &T) -> Ordering,
) {
    // Runs that follow each other are only copied.
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
        // SAFETY: a bitwise copy; rule 1 says which of the two is the element.
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

/// Copies bits.
fn copy_all<T>(from: &[MaybeUninit<T>], to: &mut [MaybeUninit<T>]) {
    assert_eq!(from.len(), to.len(), "a merge fills its target");
    // SAFETY: both are this long, and a `&mut` overlaps with nothing.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

fn as_uninit<T>(slice: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: the layout is the same. Only whole elements are written here: rule 3 sees to it that the slice is whole at the end.
    unsafe { &mut *(ptr::from_mut(slice) as *mut [MaybeUninit<T>]) }
}

const fn as_uninit_ref<T>(slice: &[T]) -> &[MaybeUninit<T>] {
    // SAFETY: the layout is the same, and nothing is written.
    unsafe { &*(ptr::from_ref(slice) as *const [MaybeUninit<T>]) }
}

/// # Safety
///
/// All are initialized.
const unsafe fn assume_init<T>(slice: &[MaybeUninit<T>]) -> &[T] {
    // SAFETY: promised by the caller; the layout is the same.
    unsafe { &*(ptr::from_ref(slice) as *const [T]) }
}
