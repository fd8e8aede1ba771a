//! Counts of tasks, of evictions, and of the bytes of annotations.

use std::ptr::NonNull;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use moirai_core::{CancelCause, TaskStatus};

use super::annotations::{Annotations, LinkedAnnotations};
use super::record::NewRecord;

/// Why a record is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EvictionCause {
    Age,
    Count,
    Request,
}

/// The numbers of tasks since the registry was created; see [`Registry::totals`](super::Registry::totals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks that were registered.
    pub spawned: u64,
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that have failed.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
}

/// All counts of one registry.
#[derive(Debug)]
pub(super) struct Counts {
    /// Those of each writer, and behind them those of each retention class, which are written under the lock of the class.
    pub(super) writers: Box<[CachePadded<WriterCounts>]>,
    /// The tasks that were cancelled, by cause, at its place in [`CancelCause::ALL`]. All threads write them, because a task that is
    /// cancelled costs far more than this.
    cancelled: CachePadded<[AtomicU64; CancelCause::ALL.len()]>,
    /// The bytes of all annotations that slots link. Negative for a moment if a record is evicted before its annotations were
    /// added.
    ///
    /// On a cache line of its own: each task with a name writes it, and each task reads where the counts of its writer are.
    pub(super) annotation_total: CachePadded<AtomicIsize>,
    /// How long the last sweep took, in nanoseconds, plus one; zero before the first sweep.
    pub(super) last_sweep: AtomicU64,
}

/// The counts of one writer. One thread at a time writes the tasks, and one at a time the evictions.
#[derive(Debug, Default)]
pub(super) struct WriterCounts {
    spawned: AtomicU64,
    /// By status, at the index of `outcome_of`.
    finished: [AtomicU64; 3],
    /// Evictions by status, at the index of `outcome_of`. Written under the lock of the writer's log.
    evicted: [AtomicU64; 3],
    /// Evictions by cause: age, count, request. Written under the same lock.
    causes: [AtomicU64; 3],
}

/// Returns the number of a terminal status, by which outcomes are counted: that of [`StateWord::outcome`](super::state_word::StateWord::outcome).
pub(super) fn outcome_of(status: TaskStatus) -> usize {
    match status {
        TaskStatus::Cancelled => 1,
        TaskStatus::Failed => 2,
        _ => 0,
    }
}

/// Adds to a count that one thread at a time writes.
#[inline]
fn add(count: &AtomicU64, more: u64) {
    // Ordering: Relaxed: the caller stored it, or the thread that wrote before and handed the count on. Release pairs with the
    // Acquire loads in `sum_finished`, `sum_spawned`, `sum_evicted` and `sum_causes`: a thread that sees this count sees everything
    // that was counted before it and led to it, by whichever thread.
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Release);
}

impl WriterCounts {
    #[inline]
    pub(super) fn spawned(&self) {
        add(&self.spawned, 1);
    }

    #[inline]
    pub(super) fn finished(&self, status: TaskStatus) {
        add(&self.finished[outcome_of(status)], 1);
    }

    /// Counts evictions, by the statuses that the tasks had. The caller holds the lock of the writer's log.
    pub(super) fn evicted(&self, by_outcome: [u64; 3], cause: EvictionCause) {
        for (count, more) in self.evicted.iter().zip(by_outcome) {
            if more > 0 {
                add(count, more);
            }
        }
        let cause = match cause {
            EvictionCause::Age => 0,
            EvictionCause::Count => 1,
            EvictionCause::Request => 2,
        };
        add(&self.causes[cause], by_outcome.iter().sum());
    }
}

impl Counts {
    pub(super) fn new(log_count: usize) -> Self {
        Self {
            writers: (0..log_count).map(|_| CachePadded::default()).collect(),
            cancelled: CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))),
            annotation_total: CachePadded::new(AtomicIsize::new(0)),
            last_sweep: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn of(&self, writer: usize) -> &WriterCounts {
        &self.writers[writer]
    }

    /// Adds the bytes of the annotations with which a record begins.
    pub(super) fn add_annotations(&self, new: &NewRecord) {
        let annotations = Annotations {
            location: new.location,
            name: new.name.clone(),
            error: None,
            hints: new.hints.clone(),
            details: None,
        };
        self.annotation_bytes(annotations.bytes(), None);
    }

    /// Adds `added` bytes of annotations that a slot links now, and subtracts those of the `retired` ones, which it links no
    /// longer.
    pub(super) fn annotation_bytes(
        &self,
        added: usize,
        retired: Option<NonNull<LinkedAnnotations>>,
    ) {
        // SAFETY: the annotations are unlinked but not retired yet, because every caller retires them only after this call; so they
        // have not been freed.
        let gone = retired.map_or(0, |annotations| unsafe { annotations.as_ref() }.get().bytes());
        // The bytes of things in memory fit in an `isize`. Ordering: Relaxed: only a count.
        self.annotation_total.fetch_add(added as isize - gone as isize, Ordering::Relaxed);
    }

    /// Stores how long a sweep took.
    pub(super) fn swept(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX - 1);
        // Ordering: Relaxed: only a figure to show.
        self.last_sweep.store(nanos + 1, Ordering::Relaxed);
    }

    /// Counts a task that was cancelled.
    #[cold]
    pub(super) fn cancelled(&self, cause: CancelCause) {
        if let Some(place) = CancelCause::ALL.iter().position(|other| *other == cause) {
            // Ordering: Relaxed: a count. Who has learned of the task's end sees it, because it is counted before.
            self.cancelled[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of tasks that each cause has cancelled, in the order of [`CancelCause::ALL`].
    pub(super) fn cancelled_by_cause(&self) -> [u64; CancelCause::ALL.len()] {
        // Ordering: Relaxed: see `cancelled`.
        std::array::from_fn(|place| self.cancelled[place].load(Ordering::Relaxed))
    }

    /// Returns the number of tasks that have ended, by status.
    pub(super) fn sum_finished(&self) -> [u64; 3] {
        std::array::from_fn(|status| {
            // Ordering: Acquire pairs with the Release store in `add`: the spawn of a task that is counted here, and the evictions
            // that made room for it, are seen by later loads.
            self.writers.iter().map(|of| of.finished[status].load(Ordering::Acquire)).sum()
        })
    }

    /// Returns the number of tasks that were registered.
    pub(super) fn sum_spawned(&self) -> u64 {
        // Ordering: Acquire pairs with the Release store in `add`, as in `sum_finished`.
        self.writers.iter().map(|of| of.spawned.load(Ordering::Acquire)).sum()
    }

    /// Returns the number of evictions, by the status that the task had.
    pub(super) fn sum_evicted(&self) -> [u64; 3] {
        std::array::from_fn(|status| {
            // Ordering: Acquire pairs with the Release store in `add`.
            self.writers.iter().map(|of| of.evicted[status].load(Ordering::Acquire)).sum()
        })
    }

    /// Returns the number of evictions, by cause: age, count, request.
    pub(super) fn sum_causes(&self) -> [u64; 3] {
        std::array::from_fn(|cause| {
            // Ordering: Acquire pairs with the Release store in `add`.
            self.writers.iter().map(|of| of.causes[cause].load(Ordering::Acquire)).sum()
        })
    }

    /// Returns the bytes held on the heap, with those of all annotations.
    pub(super) fn bytes(&self) -> usize {
        let writers = self.writers.len() * size_of::<CachePadded<WriterCounts>>();
        // Ordering: Relaxed: only a count.
        writers + usize::try_from(self.annotation_total.load(Ordering::Relaxed)).unwrap_or(0)
    }
}
