//! The log of one writer's completions, in order.
//!
//! A log is a linked list of segments. One thread at a time appends to it: the one that has the writer. One thread at a time takes
//! from its head: the one that holds the log's lock. An entry is the number of a slot and the time at which its task ended, so
//! that comparing logs touches no slot. It is published by the Release store of `tail`, which counts all entries ever appended. The
//! taker frees a segment when it moves on to the next, which exists only once the appender has left the first for good.

use std::ptr;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The number of entries in a segment.
const SEGMENT: usize = if cfg!(moirai_loom) { 2 } else { 64 };

/// The log of one writer; see the [module](self).
#[derive(Debug)]
pub(super) struct CompletionLog {
    /// The number of entries ever appended.
    tail: AtomicU64,
    /// The segment that is appended to. Only the appender uses it.
    last: AtomicPtr<Segment>,
    /// The first segment of all, at which the taker begins.
    first: AtomicPtr<Segment>,
    /// The number of entries ever taken.
    head: CachePadded<AtomicU64>,
    segments: AtomicUsize,
}

#[derive(Debug)]
struct Segment {
    slots: [AtomicU32; SEGMENT],
    ends: [AtomicU64; SEGMENT],
    next: AtomicPtr<Segment>,
    /// In a model, in which loom reports a thread that uses the segment and does not happen before its end.
    #[cfg(moirai_loom)]
    life: moirai_core::shim::cell::UnsafeCell<()>,
}

impl Segment {
    /// Notes in a model that the calling thread uses the segment.
    #[inline]
    fn used(&self) {
        #[cfg(moirai_loom)]
        self.life.with(|_| ());
    }

    /// Frees a segment.
    ///
    /// # Safety
    ///
    /// The segment was made by `append_segment`, and no thread uses it any more.
    unsafe fn free(this: *mut Self) {
        // SAFETY: promised by the caller; `append_segment` made it by `Box::into_raw`.
        let segment = unsafe { Box::from_raw(this) };
        #[cfg(moirai_loom)]
        segment.life.with_mut(|_| ());
        drop(segment);
    }
}

/// The taker's position in a log.
#[derive(Debug)]
pub(super) struct LogCursor {
    /// The segment of the next entry, or, if none of it is left, the one before; null before the first peek.
    segment: *mut Segment,
    /// The number of entries of that segment that have not been taken.
    remaining: usize,
    /// The number of entries ever taken.
    taken: u64,
    /// The tail when it was loaded last, so that the appender's cache line is not touched for entries that are known.
    tail: u64,
}

// SAFETY: the pointer is used only by the thread that holds the log's lock; the cursor is part of what the lock guards.
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

    /// Appends an entry. Only for the thread that has the log's writer.
    #[inline]
    pub(super) fn push(&self, slot: u32, ended: u64) {
        // Ordering: Relaxed: only appenders write it, one after the other.
        let tail = self.tail.load(Ordering::Relaxed);
        let index = tail as usize % SEGMENT;
        if index == 0 {
            self.append_segment();
        }
        // Ordering: Relaxed: only appenders write it, one after the other.
        let segment = self.last.load(Ordering::Relaxed);
        // SAFETY: `append_segment` has made at least one, and the taker frees the last segment only after another has been
        // appended.
        let segment = unsafe { &*segment };
        segment.used();
        // Ordering: Relaxed: published by the store of the tail below.
        segment.slots[index].store(slot, Ordering::Relaxed);
        segment.ends[index].store(ended, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire loads in `peek_behind` and `len`: the entry and the fields of its slot have been
        // written, and its segment is linked.
        self.tail.store(tail + 1, Ordering::Release);
    }

    #[cold]
    fn append_segment(&self) {
        let segment = Box::into_raw(Box::new(Segment {
            slots: std::array::from_fn(|_| AtomicU32::new(0)),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            next: AtomicPtr::new(ptr::null_mut()),
            #[cfg(moirai_loom)]
            life: moirai_core::shim::cell::UnsafeCell::new(()),
        }));
        // Ordering: Relaxed: only a count.
        self.segments.fetch_add(1, Ordering::Relaxed);
        // Ordering: Relaxed: only appenders write it, one after the other.
        let last = self.last.load(Ordering::Relaxed);
        // SAFETY: the pointer is null, or that of the last segment, which the taker frees only after another has been appended.
        let link = unsafe { last.as_ref() }.map_or(&self.first, |last| {
            last.used();
            &last.next
        });
        // Ordering: Relaxed: published with the first entry, by the store of the tail.
        link.store(segment, Ordering::Relaxed);
        self.last.store(segment, Ordering::Relaxed);
    }

    /// Returns the number of completions that have not been taken. It may be out of date at once, but is never more than there were
    /// at some moment during the call.
    pub(super) fn len(&self) -> usize {
        // Ordering: Acquire pairs with the Release store in `push`: the evictions that made room for that completion are seen in
        // the head below.
        let tail = self.tail.load(Ordering::Acquire);
        // Ordering: Acquire pairs with the Release store in `advance`: a thread that sees room for its record also sees the eviction
        // that made the room counted, and so do those that see the thread's completion. With less, one of them could count more
        // retained records than the limit allows. A head that is later than the tail only makes the result smaller.
        let head = self.head.load(Ordering::Acquire);
        tail.saturating_sub(head) as usize
    }

    /// Returns the bytes of the segments that are held.
    pub(super) fn segment_bytes(&self) -> usize {
        // Ordering: Relaxed: only a count.
        self.segments.load(Ordering::Relaxed) * size_of::<Segment>()
    }

    /// Returns the slot of the entry that comes `skip` entries after the oldest, and when its task ended. The caller holds the log's
    /// lock.
    pub(super) fn peek_behind(
        &self,
        cursor: &mut LogCursor,
        mut skip: usize,
    ) -> Option<(u32, u64)> {
        let number = cursor.taken + skip as u64;
        if number >= cursor.tail {
            // Ordering: Acquire pairs with the Release store in `push`: the entries below the tail, and their segments, are seen.
            cursor.tail = self.tail.load(Ordering::Acquire);
            if number >= cursor.tail {
                return None;
            }
        }
        if cursor.remaining == 0 {
            cursor.move_on(self);
        }
        // SAFETY: `move_on` has set it at the first entry, and only the taker, which is the caller, frees segments.
        let mut segment = unsafe { &*cursor.segment };
        let mut remaining = cursor.remaining;
        while skip >= remaining {
            skip -= remaining;
            remaining = SEGMENT;
            // Ordering: Relaxed: acquired with the tail, according to which there is an entry in the next segment.
            let next = segment.next.load(Ordering::Relaxed);
            // SAFETY: the segment was linked before its first entry was published, and only the taker frees it, once it has come
            // that far.
            segment = unsafe { &*next };
        }
        let index = SEGMENT - remaining + skip;
        // Ordering: Relaxed, both: acquired with the tail.
        let ended = segment.ends[index].load(Ordering::Relaxed);
        Some((segment.slots[index].load(Ordering::Relaxed), ended))
    }

    /// Returns the slots of the oldest entries: at most `most`, and no more than there are in one segment. The caller holds the log's
    /// lock, and has seen that there are `most`.
    pub(super) fn oldest<'a>(&'a self, cursor: &mut LogCursor, most: usize) -> &'a [AtomicU32] {
        if cursor.taken + most as u64 > cursor.tail {
            // Ordering: Acquire pairs with the Release store in `push`: the entries below the tail, and their segments, are seen.
            cursor.tail = self.tail.load(Ordering::Acquire);
        }
        let most = most.min((cursor.tail - cursor.taken) as usize);
        if most == 0 {
            return &[];
        }
        if cursor.remaining == 0 {
            cursor.move_on(self);
        }
        // SAFETY: `move_on` has set it at the first entry. Only the taker, which is the caller, frees segments, and it does so by
        // the cursor, before which it is done with the result.
        let segment: &'a Segment = unsafe { &*cursor.segment };
        segment.used();
        let index = SEGMENT - cursor.remaining;
        &segment.slots[index..][..most.min(cursor.remaining)]
    }

    /// Takes the `count` oldest entries, which `oldest` has returned. The caller holds the log's lock.
    pub(super) fn advance(&self, cursor: &mut LogCursor, count: usize) {
        cursor.taken += count as u64;
        cursor.remaining -= count;
        // Ordering: Release pairs with the Acquire load in `len`: the eviction of the entries has been counted.
        self.head.store(cursor.taken, Ordering::Release);
    }
}

impl LogCursor {
    pub(super) fn new() -> Self {
        Self { segment: ptr::null_mut(), remaining: 0, taken: 0, tail: 0 }
    }

    /// Returns the number of entries ever taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Goes to the next segment, in which there is an entry according to the tail, and frees the present one.
    fn move_on(&mut self, log: &CompletionLog) {
        let old = self.segment;
        // SAFETY: the pointer is null, or that of the cursor's segment, which only the taker, which is the caller, frees.
        let link = unsafe { old.as_ref() }.map_or(&log.first, |old| &old.next);
        // Ordering: Relaxed: acquired with the tail.
        self.segment = link.load(Ordering::Relaxed);
        assert!(!self.segment.is_null(), "a segment is linked before its first entry is published");
        self.remaining = SEGMENT;
        if !old.is_null() {
            // SAFETY: the appender went on to the next segment before it published an entry there, and the taker has gone on just
            // now, so no thread uses this one any more.
            unsafe { Segment::free(old) };
            // Ordering: Relaxed: only a count.
            log.segments.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Frees the remaining segments. The log must not be used again.
    pub(super) fn free(&mut self, log: &CompletionLog) {
        let mut next = self.segment;
        if next.is_null() {
            next = log.first.load(Ordering::Relaxed);
        }
        while !next.is_null() {
            // SAFETY: no thread appends or takes any more, so the segment is not freed by another.
            let after = unsafe { &*next }.next.load(Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { Segment::free(next) };
            next = after;
        }
    }
}
