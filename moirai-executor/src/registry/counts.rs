//! Counting.

use std::ptr::NonNull;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::TaskStatus;
use moirai_core::shim::sync::atomic::{AtomicIsize, AtomicU64, Ordering};

use super::annotations::Annotations;
use super::record::NewRecord;

/// Why records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EvictionCause {
    Age,
    Count,
    Request,
}

/// Tasks since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Registered.
    pub spawned: u64,
    /// Returned a value.
    pub completed: u64,
    /// Panicked.
    pub failed: u64,
    /// Were cancelled.
    pub cancelled: u64,
}

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Counts {
    writers: Box<[CachePadded<WriterCounts>]>,
    /// By status; written under the evictor's lock.
    pub(super) evicted: [AtomicU64; 3],
    /// By cause; written under the evictor's lock.
    pub(super) causes: [AtomicU64; 3],
    /// Bytes of linked annotation_total. Below zero for a moment when a record goes before its annotations was added up.
    annotation_total: AtomicIsize,
    /// Nanoseconds, plus one; zero before the first.
    pub(super) last_sweep: AtomicU64,
}

/// The counts of one set of writers. One thread at a time writes them.
#[derive(Debug, Default)]
pub(super) struct WriterCounts {
    spawned: AtomicU64,
    /// By status.
    finished: [AtomicU64; 3],
}

fn index_of(status: TaskStatus) -> usize {
    match status {
        TaskStatus::Cancelled => 1,
        TaskStatus::Failed => 2,
        _ => 0,
    }
}

/// Adds one to a count that has one writer at a time.
fn bump(count: &AtomicU64) {
    // Ordering: Relaxed: the writer's own. Release pairs with the Acquire of the readers: whatever was counted before by
    // others, and led to this, is seen by who sees this.
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}

impl WriterCounts {
    #[inline]
    pub(super) fn spawned(&self) {
        bump(&self.spawned);
    }

    #[inline]
    pub(super) fn finished(&self, status: TaskStatus) {
        bump(&self.finished[index_of(status)]);
    }
}

impl Counts {
    pub(super) fn new(sets: usize) -> Self {
        Self {
            writers: (0..sets).map(|_| CachePadded::default()).collect(),
            evicted: Default::default(),
            causes: Default::default(),
            annotation_total: AtomicIsize::new(0),
            last_sweep: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn of(&self, writer: usize) -> &WriterCounts {
        &self.writers[writer]
    }

    /// A record was dropped. Under the evictor's lock.
    pub(super) fn evicted(&self, status: TaskStatus, cause: EvictionCause) {
        bump(&self.evicted[index_of(status)]);
        let cause = match cause {
            EvictionCause::Age => 0,
            EvictionCause::Count => 1,
            EvictionCause::Request => 2,
        };
        bump(&self.causes[cause]);
    }

    /// A record begins with a annotations.
    pub(super) fn add_annotations(&self, new: &NewRecord) {
        let annotations = Annotations {
            location: new.location,
            name: new.name.clone(),
            error: None,
            hints: new.hints.clone(),
        };
        self.annotation_bytes(annotations.bytes(), None);
    }

    /// Annotations of this many bytes was added, in place of what is retired.
    pub(super) fn annotation_bytes(&self, added: usize, retired: Option<NonNull<Annotations>>) {
        // SAFETY: unlinked, and not retired yet: whoever asks does so before.
        let gone = retired.map_or(0, |annotations| unsafe { annotations.as_ref() }.bytes());
        // Ordering: Relaxed: a count. Bytes of things in memory fit an `isize`.
        self.annotation_total.fetch_add(added as isize - gone as isize, Ordering::Relaxed);
    }

    pub(super) fn swept(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX - 1);
        // Ordering: Relaxed: a index_of.
        self.last_sweep.store(nanos + 1, Ordering::Relaxed);
    }

    pub(super) fn sum_finished(&self) -> [u64; 3] {
        std::array::from_fn(|status| {
            // Ordering: Acquire; see `bump`.
            self.writers.iter().map(|of| of.finished[status].load(Ordering::Acquire)).sum()
        })
    }

    pub(super) fn sum_spawned(&self) -> u64 {
        // Ordering: Acquire; see `bump`.
        self.writers.iter().map(|of| of.spawned.load(Ordering::Acquire)).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let writers = self.writers.len() * size_of::<CachePadded<WriterCounts>>();
        // Ordering: Relaxed: a count.
        writers + usize::try_from(self.annotation_total.load(Ordering::Relaxed)).unwrap_or(0)
    }
}
