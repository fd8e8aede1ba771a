//! A ring of events: one thread writes it, and any thread reads it, without ever stopping the writer.
//!
//! 1. The thread that owns the [`RingWriter`] is the only one that writes. Another thread can own it later, if ownership is passed on
//!    in a way that orders what the first has written before what the second writes.
//! 2. Event number *n*, counted from 0, has its place at *n* modulo the length. The writer stores the event's two words, and then *n* +
//!    1 in `next`. Each of the three stores is a release.
//! 3. A reader loads `next`, an acquire. The events below it are whole, unless they are overwritten. It copies those that the ring can
//!    hold, and loads `next` again, after an acquire fence. Had it read a word of an event *m* that overwrites event *n* = *m* −
//!    length, then, since that store was a release, the fence makes the store of *m* in `next` visible, which came before. So every
//!    event *n* with *n* + length > `next` is as it was written, and the reader drops the others.

use std::fmt;
use std::marker::PhantomData;

use moirai_core::flight::raw::Words;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// A ring of events; see the [module](self). All that a write needs is on one cache line, and nothing else.
#[repr(align(128))]
pub(crate) struct Ring {
    /// The number of events written so far.
    next: AtomicU64,
    /// As many as a power of two.
    events: Box<[[AtomicU64; 2]]>,
    /// One less than the number of `events`.
    mask: usize,
    /// The index of the writing thread's activity and 1, or 0 if it has none.
    activity: AtomicUsize,
}

/// The right to write a ring.
pub(crate) struct RingWriter {
    ring: Arc<Ring>,
    /// One thread at a time writes, so the right can be sent but not shared.
    one_thread: PhantomData<std::cell::Cell<()>>,
}

/// Events that were read from a ring.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The number of the first one.
    pub(crate) first: u64,
    pub(crate) events: Vec<Words>,
}

impl RingWriter {
    /// Creates a ring of 2^`bits` events.
    pub(crate) fn new(bits: u32) -> Self {
        let events = zeroed(1 << bits);
        let mask = events.len() - 1;
        let ring = Ring { next: AtomicU64::new(0), events, mask, activity: AtomicUsize::new(0) };
        Self { ring: Arc::new(ring), one_thread: PhantomData }
    }

    /// Takes over a ring whose writer is gone (rule 1).
    pub(crate) fn again(ring: Arc<Ring>) -> Self {
        Self { ring, one_thread: PhantomData }
    }

    /// Returns the ring, for readers.
    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Notes which activity the thread has: that of its worker, or of a compensation thread.
    pub(crate) fn set_activity(&self, index: Option<usize>) {
        // Ordering: Relaxed: a number that guards nothing.
        self.ring.activity.store(index.map_or(0, |index| index + 1), Ordering::Relaxed);
    }

    /// Writes an event (rule 2).
    #[inline]
    pub(crate) fn write(&self, words: Words) {
        let Ring { next, events, mask, .. } = &*self.ring;
        // Ordering: Relaxed: the writer reads what it has stored itself, or got with the right to write.
        let number = next.load(Ordering::Relaxed);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the length is a power of two, so the bits that are kept are those that count"
        )]
        let index = number as usize & mask;
        // SAFETY: the index is at most `mask`, which is one less than the number of events.
        let [first, second] = unsafe { events.get_unchecked(index) };
        // Ordering: Release pairs with the fence in `read`: a reader that has seen one of the two words sees the `next` that was stored
        // before. With less, it could take a mixture of two events for one.
        first.store(words[0], Ordering::Release);
        // Ordering: Release, as above: either word may be the only one of this event that a reader has seen.
        second.store(words[1], Ordering::Release);
        // Ordering: Release pairs with the first load in `read`, which makes both words visible.
        next.store(number.wrapping_add(1), Ordering::Release);
    }
}

impl Ring {
    /// Returns the number of events that the ring holds.
    pub(crate) fn length(&self) -> usize {
        self.events.len()
    }

    /// Returns the index of the writing thread's activity, if it has one.
    pub(crate) fn activity(&self) -> Option<usize> {
        // Ordering: Relaxed, as above.
        self.activity.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Returns the number of events written so far.
    pub(crate) fn written(&self) -> u64 {
        // Ordering: Relaxed: a number that guards nothing.
        self.next.load(Ordering::Relaxed)
    }

    /// Copies the events from number `from` on that are still there (rule 3).
    pub(crate) fn read(&self, from: u64) -> Copied {
        let length = self.events.len() as u64;
        // Ordering: Acquire pairs with the last store in `write`: the events below are whole.
        let end = self.next.load(Ordering::Acquire);
        let start = end.saturating_sub(length).max(from).min(end);
        let copied = (start..end).map(|number| {
            // Less than the length, which is one of a slice.
            let [first, second] = &self.events[(number % length) as usize];
            // Ordering: Relaxed, since the fence below orders the loads.
            [first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)]
        });
        let mut events: Vec<Words> = copied.collect();
        // Ordering: Acquire pairs with the release stores of words that were seen: the load below sees at least the `next` before them.
        fence(Ordering::Acquire);
        // Ordering: Relaxed: the fence orders it.
        let now = self.next.load(Ordering::Relaxed);
        let whole = (now + 1).saturating_sub(length).clamp(start, end);
        // At most the number of events that were copied.
        events.drain(..(whole - start) as usize);
        Copied { first: whole, events }
    }
}

/// Returns so many events of zero. Their memory is touched as they are written.
#[cfg(not(moirai_loom))]
fn zeroed(length: usize) -> Box<[[AtomicU64; 2]]> {
    let events = Box::<[[AtomicU64; 2]]>::new_zeroed_slice(length);
    // SAFETY: an atomic integer of zero is all zero bytes.
    unsafe { events.assume_init() }
}

#[cfg(moirai_loom)]
fn zeroed(length: usize) -> Box<[[AtomicU64; 2]]> {
    (0..length).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect()
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("written", &self.written()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RingWriter").field(&self.ring).finish()
    }
}
