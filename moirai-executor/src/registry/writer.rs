//! What a worker, or whoever locks a guest's, writes records with.

use std::fmt;
use std::ptr::NonNull;

use moirai_core::TaskId;

use super::record::Hints;
use super::slot::Slot;

/// By how much each worker may take the number retained over the limit, its share of the guests' included; see rule 9.
pub(super) const MAX_BATCH: usize = 64;

/// A block of slots, a ring, and counts. One thread uses them at a time.
#[derive(Debug)]
pub struct Writer {
    /// The number of the ring, and of the counts.
    pub(super) index: usize,
    /// The block that is held.
    pub(super) block: Option<u32>,
    /// Its slots that can be allocated.
    pub(super) free: u64,
    /// Completions since the last look at the limit.
    pub(super) unchecked: usize,
    /// When the last task ended.
    pub(super) last: u64,
}

impl Writer {
    pub(super) fn new(index: usize) -> Self {
        Self { index, block: None, free: 0, unchecked: 0, last: 0 }
    }
}

/// The active record of one task: a permission to write it, which ends with the task. While it exists the slot stays.
pub struct ActiveRecord {
    pub(super) slot: NonNull<Slot>,
    pub(super) id: TaskId,
}

// SAFETY: the slot is made of atomics; that one thread at a time writes it is what handing the entry on is for.
unsafe impl Send for ActiveRecord {}

impl ActiveRecord {
    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    pub(super) fn slot(&self) -> &Slot {
        // SAFETY: a slot is not evicted, and its page not released, before its task has ended, which takes the entry; that the
        // registry outlives the entry is what `register` asks for.
        unsafe { self.slot.as_ref() }
    }

    /// What was said of the task for its scheduler.
    #[must_use]
    pub fn hints(&self) -> Hints {
        self.slot().hints()
    }

    /// The worker that ran it first.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.slot().worker()
    }

    /// The task is about to be run for the first time.
    #[inline]
    pub fn start(&self, worker: Option<usize>, ticks: u64) {
        self.slot().start(worker, ticks);
    }

    /// The task was polled, for this many ticks.
    #[inline]
    pub fn polled(&self, busy: u64) {
        self.slot().polled(busy);
    }
}

impl fmt::Debug for ActiveRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActiveRecord").field(&self.id).finish()
    }
}
