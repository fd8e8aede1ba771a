//! A reference to a task's cell.

use std::fmt;
use std::ptr::NonNull;

use moirai_core::shim::sync::atomic::Ordering;
use moirai_core::{QueueReason, TaskStatus};

use super::header::{Header, RawRunnable, Schedule};
use super::state::{CancelReason, TaskPtr, Wake};

/// One reference to a cell: keeps its memory, and can wake, cancel and watch the task.
pub(crate) struct TaskRef<S: Schedule>(NonNull<Header<S>>);

// SAFETY: through a reference only the state word, the outcome and what does not change are touched; all are `Sync`. The
// stage, which need not be, belongs to the runner and the handle.
unsafe impl<S: Schedule> Send for TaskRef<S> {}
// SAFETY: as above.
unsafe impl<S: Schedule> Sync for TaskRef<S> {}

impl<S: Schedule> TaskRef<S> {
    /// Adds a reference to a cell.
    ///
    /// # Safety
    ///
    /// The cell is alive, and stays so during the call.
    pub(crate) unsafe fn acquire(header: NonNull<Header<S>>) -> Self {
        // SAFETY: the cell is alive, says the caller.
        unsafe { header.as_ref() }.state.add_reference();
        Self(header)
    }

    /// Takes over a reference that the caller has.
    ///
    /// # Safety
    ///
    /// The caller has a reference, and gives it up.
    pub(super) unsafe fn adopt(header: NonNull<Header<S>>) -> Self {
        Self(header)
    }

    /// The header.
    pub(crate) fn header(&self) -> &Header<S> {
        // SAFETY: this reference keeps the cell alive.
        unsafe { self.0.as_ref() }
    }

    /// The task, to be compared.
    pub(crate) fn ptr(&self) -> TaskPtr {
        TaskPtr::of(&self.header().state)
    }

    pub(super) fn as_ptr(&self) -> NonNull<Header<S>> {
        self.0
    }

    /// Wakes the task. The reference is kept until the task is queued and the executor has been told: it is what keeps the
    /// executor, because the task may have ended by then.
    pub(super) fn wake(&self) {
        if self.header().state.wake() == Wake::Queue {
            self.queue();
        }
    }

    /// Asks the task to stop.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        if self.header().state.cancel(reason) == Wake::Queue {
            self.queue();
        }
    }

    /// Asks to be told the end through `Schedule::notify_watchers`; the status, if the task has ended already.
    pub(crate) fn watch(&self) -> Option<TaskStatus> {
        self.header().state.watch().then(|| self.header().final_status())
    }

    /// Queues the `Runnable` that setting ACTIVE has just made (rule 1).
    fn queue(&self) {
        let executor = self.header().executor;
        // SAFETY: ACTIVE was set by the caller, so this is the one `Runnable`.
        let task = unsafe { RawRunnable::from_raw(self.0) };
        // SAFETY: the executor outlives every cell, and this reference keeps the cell until `queue` has returned.
        unsafe { executor.as_ref() }.queue(task, QueueReason::Woken);
    }
}

impl<S: Schedule> Clone for TaskRef<S> {
    fn clone(&self) -> Self {
        self.header().state.add_reference();
        Self(self.0)
    }
}

impl<S: Schedule> Drop for TaskRef<S> {
    fn drop(&mut self) {
        if self.header().state.drop_reference() {
            let free = self.header().vtable.free;
            // SAFETY: this was the last reference.
            unsafe { free(self.0) };
        }
    }
}

impl<S: Schedule> fmt::Debug for TaskRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.header().id.load(Ordering::Relaxed)).finish()
    }
}
