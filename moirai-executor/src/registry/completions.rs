//! The completions of one set of books, in order.
//!
//! A list of segments. One thread at a time appends: whoever uses the books. One thread at a time takes from the head: whoever
//! holds the evictor's lock. An entry is the number of a slot and the time of the end, so that who compares rings touches no
//! slot; it is published by the Release store of `tail`, which counts all entries ever. A segment is freed by the taker when he moves on to the next one, which is there only when the appender
//! has remaining the first for good.

use std::ptr;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Entries of a segment.
const SEGMENT: usize = if cfg!(moirai_loom) { 2 } else { 64 };

/// See the [module](self).
#[derive(Debug)]
pub(super) struct CompletionLog {
    tail: AtomicU64,
    /// The appender's.
    last: AtomicPtr<Segment>,
    /// The first segment ever; the taker begins here.
    first: AtomicPtr<Segment>,
    head: CachePadded<AtomicU64>,
    segments: AtomicUsize,
}

#[derive(Debug)]
struct Segment {
    slots: [AtomicU32; SEGMENT],
    ends: [AtomicU64; SEGMENT],
    next: AtomicPtr<Segment>,
}

/// The taker's index in a log.
#[derive(Debug)]
pub(super) struct LogCursor {
    /// The segment of the entry that was peeked last; null before the first.
    segment: *mut Segment,
    /// How many entries of that segment are remaining, the one that was peeked last included.
    remaining: usize,
    taken: u64,
    /// The tail when it was looked at last. The appender's line is not asked for what is known.
    tail: u64,
}

// SAFETY: the pointer is used under the evictor's lock only, which moves with it.
unsafe impl Send for LogCursor {}

impl CompletionLog {
    pub(super) fn new() -> Self {
        Self {
            tail: AtomicU64::new(0),
            last: AtomicPtr::new(ptr::null_mut()),
            first: AtomicPtr::new(ptr::null_mut()),
            head: CachePadded::new(AtomicU64::new(0)),
            segments: AtomicUsize::new(0),
        }
    }

    /// Appends. Only for who has the log's books.
    #[inline]
    pub(super) fn push(&self, slot: u32, ended: u64) {
        // Ordering: Relaxed: the appender's own.
        let tail = self.tail.load(Ordering::Relaxed);
        let index = tail as usize % SEGMENT;
        if index == 0 {
            self.append_segment();
        }
        // Ordering: Relaxed: the appender's own.
        let segment = self.last.load(Ordering::Relaxed);
        // SAFETY: the last segment is freed only after another has been appended.
        let segment = unsafe { &*segment };
        // Ordering: Relaxed: published by the store of the tail.
        segment.slots[index].store(slot, Ordering::Relaxed);
        segment.ends[index].store(ended, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire of `peek`: the entry is there, the slot's fields are, and its segment is linked.
        self.tail.store(tail + 1, Ordering::Release);
    }

    #[cold]
    fn append_segment(&self) {
        let segment = Box::into_raw(Box::new(Segment {
            slots: std::array::from_fn(|_| AtomicU32::new(0)),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        // Ordering: Relaxed: a count.
        self.segments.fetch_add(1, Ordering::Relaxed);
        // Ordering: Relaxed: the appender's own.
        let last = self.last.load(Ordering::Relaxed);
        // SAFETY: the last segment is freed only after another has been appended.
        let link = unsafe { last.as_ref() }.map_or(&self.first, |last| &last.next);
        // Ordering: Relaxed: published with the first entry, by the store of the tail.
        link.store(segment, Ordering::Relaxed);
        self.last.store(segment, Ordering::Relaxed);
    }

    /// How many completions have not been taken; a moment's view. Never more than there were at some moment of the call.
    pub(super) fn len(&self) -> usize {
        // Ordering: Acquire: the heads that made room for this tail are seen.
        let tail = self.tail.load(Ordering::Acquire);
        // Ordering: Relaxed: a later head makes the answer smaller.
        tail.saturating_sub(self.head.load(Ordering::Relaxed)) as usize
    }

    /// Bytes of the segments that are held.
    pub(super) fn segment_bytes(&self) -> usize {
        // Ordering: Relaxed: a count.
        self.segments.load(Ordering::Relaxed) * size_of::<Segment>()
    }

    /// The oldest entry, and when its task ended. Under the evictor's lock.
    pub(super) fn peek(&self, cursor: &mut LogCursor) -> Option<(u32, u64)> {
        self.peek_behind(cursor, 0)
    }

    /// The entry that comes so many after the oldest. Under the evictor's lock.
    pub(super) fn peek_behind(
        &self,
        cursor: &mut LogCursor,
        mut skip: usize,
    ) -> Option<(u32, u64)> {
        let number = cursor.taken + skip as u64;
        if number >= cursor.tail {
            // Ordering: Acquire pairs with the Release of `push`.
            cursor.tail = self.tail.load(Ordering::Acquire);
            if number >= cursor.tail {
                return None;
            }
        }
        if cursor.remaining == 0 {
            cursor.move_on(self);
        }
        // SAFETY: the taker's segment is freed by him alone.
        let mut segment = unsafe { &*cursor.segment };
        let mut remaining = cursor.remaining;
        while skip >= remaining {
            skip -= remaining;
            remaining = SEGMENT;
            // Ordering: Relaxed: acquired with the tail, which says that there is an entry in it.
            let next = segment.next.load(Ordering::Relaxed);
            // SAFETY: linked before its first entry was published, and freed by the taker alone, when he has come so far.
            segment = unsafe { &*next };
        }
        let index = SEGMENT - remaining + skip;
        // Ordering: Relaxed both: acquired with the tail.
        let ended = segment.ends[index].load(Ordering::Relaxed);
        Some((segment.slots[index].load(Ordering::Relaxed), ended))
    }

    /// Takes what `peek` returned.
    pub(super) fn advance(&self, cursor: &mut LogCursor) {
        cursor.taken += 1;
        cursor.remaining -= 1;
        // Ordering: Release pairs with nothing that must see more than the number; the evictor's lock does the rest.
        self.head.store(cursor.taken, Ordering::Release);
    }
}

impl LogCursor {
    pub(super) fn new() -> Self {
        Self { segment: ptr::null_mut(), remaining: 0, taken: 0, tail: 0 }
    }

    /// How many entries were taken ever.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Goes to the next segment, and frees this one. The tail says that there is an entry in the next.
    fn move_on(&mut self, log: &CompletionLog) {
        let old = self.segment;
        // SAFETY: the taker's segment is freed by him alone.
        let link = unsafe { old.as_ref() }.map_or(&log.first, |old| &old.next);
        // Ordering: Relaxed: acquired with the tail.
        self.segment = link.load(Ordering::Relaxed);
        assert!(!self.segment.is_null(), "a segment is linked before its first entry is published");
        self.remaining = SEGMENT;
        if !old.is_null() {
            // SAFETY: made by `Box::into_raw`; the appender has gone on to the next, and the taker has just now.
            drop(unsafe { Box::from_raw(old) });
            // Ordering: Relaxed: a count.
            log.segments.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Frees the segments that are remaining. The log must not be used again.
    pub(super) fn free(&mut self, log: &CompletionLog) {
        let mut next = self.segment;
        if next.is_null() {
            next = log.first.load(Ordering::Relaxed);
        }
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw`; nobody appends or takes any more.
            let segment = unsafe { Box::from_raw(next) };
            next = segment.next.load(Ordering::Relaxed);
        }
    }
}
