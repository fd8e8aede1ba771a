//! The writer, with which a thread registers and finishes tasks, and the active record, with which a task's progress is written.

use std::fmt;
use std::ptr::NonNull;

use moirai_core::TaskId;

use super::page::Tenants;
use super::record::TaskHints;
use super::slot::Slot;

/// The most records for each worker by which the number of retained records may exceed the limit (rule 9).
pub(super) const MAX_EXCESS: usize = 64;

/// What a thread needs to register and finish tasks without a lock: a block of slots to allocate from, a log of completions, and
/// counts.
///
/// A worker takes one from [`Registry::writer`](super::Registry::writer); other threads share some through
/// [`Registry::with_shared_writer`](super::Registry::with_shared_writer). It must be used only with the registry that it comes
/// from; the other methods refuse one of another registry with a panic.
#[derive(Debug)]
pub struct Writer {
    /// The identity of its registry.
    pub(super) registry: u64,
    /// The index of its log and of its counts.
    pub(super) index: usize,
    /// Which tasks are registered with it.
    pub(super) tenants: Tenants,
    /// The block that is held.
    pub(super) block: Option<HeldBlock>,
    /// The mask of the slots of that block that can be allocated.
    pub(super) free: u64,
    /// The number of completions that were not told yet.
    pub(super) untold: usize,
    /// The time at which the last task ended, in ticks.
    pub(super) last: u64,
}

/// A block that a writer holds. Its page is not taken out meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldBlock {
    pub(super) number: u32,
    /// The first of its slots.
    pub(super) slots: NonNull<Slot>,
}

// SAFETY: slots are made of atomics, and may be used by any thread.
unsafe impl Send for HeldBlock {}
// SAFETY: as above.
unsafe impl Sync for HeldBlock {}

impl Writer {
    pub(super) fn new(registry: u64, index: usize) -> Self {
        let tenants = Tenants::DefaultClass;
        Self { registry, index, tenants, block: None, free: 0, untold: 0, last: 0 }
    }

    /// Creates one with which the tasks of retention classes are registered.
    pub(super) fn for_classes(registry: u64, index: usize) -> Self {
        Self { tenants: Tenants::RetentionClasses, ..Self::new(registry, index) }
    }
}

/// The right to write the record of one active task, from [`Registry::register`](super::Registry::register) until
/// [`Registry::finish`](super::Registry::finish) takes it back.
///
/// It can be sent to other threads, but only one at a time can use it. If it is dropped without being finished, the record stays
/// active until the registry is dropped, and its slot is not used again.
pub struct ActiveRecord {
    pub(super) slot: NonNull<Slot>,
    pub(super) id: TaskId,
}

// SAFETY: the slot is made of atomics, and may be used by any thread. One thread at a time writes it, because an active record is
// neither `Sync` nor `Clone`, and sending it orders what one thread has written before what the next one writes.
unsafe impl Send for ActiveRecord {}

impl ActiveRecord {
    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    pub(super) fn slot(&self) -> &Slot {
        // SAFETY: a slot is not evicted, and its page not released, before its task is finished, which consumes this; and the
        // caller of `register` has promised that this is not used after the registry has been dropped.
        unsafe { self.slot.as_ref() }
    }

    /// Returns the hints for the task's scheduler that it was registered with, or empty ones.
    #[must_use]
    pub fn hints(&self) -> TaskHints {
        self.slot().hints()
    }

    /// Returns the worker that ran the task first; `None` before [`start`](Self::start), and if that was called without a worker.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.slot().worker()
    }

    /// Notes that the task is about to be run for the first time: its status becomes [`Running`](moirai_core::TaskStatus::Running).
    ///
    /// `ticks` is the time now; if it is before the spawn, the time of the spawn is recorded. `worker` is the index of the worker,
    /// if one runs the task; there is room in the record for indices up to 8,190. To be called at most once.
    #[inline]
    pub fn start(&self, worker: Option<usize>, ticks: u64) {
        self.slot().start(worker, ticks);
    }

    /// Counts a poll that took `busy` ticks. The sums saturate.
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
