//! Counted references to a task's cell.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use moirai_core::{CancelCause, QueueReason, TaskId, TaskStatus};

use super::header::{Header, RawRunnable, Schedule};
use super::state::{StateWatched, TaskPtr, Wake, WakeByValue};

/// What a task had come to when it was marked as watched.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// It goes on.
    Active,
    /// It was asked to stop, and has not ended.
    Cancelled,
    /// It has ended, with this status.
    Ended(TaskStatus),
}

/// One reference to a cell: keeps it alive, and can wake, cancel and watch the task.
pub(crate) struct TaskRef<S: Schedule>(NonNull<Header<S>>);

// SAFETY: a reference gives access only to the state word, to the terminal status and to fields that do not change, all of which
// are `Sync`. The stage, which need not be, belongs to the runner and the handle.
unsafe impl<S: Schedule> Send for TaskRef<S> {}
// SAFETY: as above.
unsafe impl<S: Schedule> Sync for TaskRef<S> {}

impl<S: Schedule> TaskRef<S> {
    /// Adds a reference to a cell.
    ///
    /// # Safety
    ///
    /// The cell must be alive, and must stay so during the call.
    pub(crate) unsafe fn acquire(header: NonNull<Header<S>>) -> Self {
        // SAFETY: the caller guarantees that the cell is alive.
        unsafe { header.as_ref() }.state.add_reference();
        Self(header)
    }

    /// Makes a `TaskRef` of a reference that the caller has.
    ///
    /// # Safety
    ///
    /// The caller must have a reference, and gives it up.
    pub(super) unsafe fn adopt(header: NonNull<Header<S>>) -> Self {
        Self(header)
    }

    /// Returns the header.
    pub(crate) fn header(&self) -> &Header<S> {
        // SAFETY: this reference keeps the cell alive.
        unsafe { self.0.as_ref() }
    }

    /// Returns the task's identity, for comparisons.
    pub(crate) fn ptr(&self) -> TaskPtr {
        TaskPtr::of(&self.header().state)
    }

    pub(super) fn as_ptr(&self) -> NonNull<Header<S>> {
        self.0
    }

    /// Returns whether the task is queued or being polled; otherwise it waits, or has ended.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.header().state.is_active()
    }

    /// Returns the name of the type of the task's future or closure.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.header().vtable.type_name)()
    }

    /// Wakes the task.
    ///
    /// This reference must be kept until the task is queued and the executor is notified: it keeps the executor alive, because the
    /// task may have ended by then.
    pub(super) fn wake(&self) {
        if self.header().state.wake() == Wake::Queue {
            self.queue();
        }
    }

    /// Wakes the task, and drops this reference: in one step, if the calling thread keeps the executor alive without it.
    pub(super) fn wake_and_drop(self) {
        let this = ManuallyDrop::new(self);
        let header = this.header();
        let executor = header.executor;
        match header.state.wake_and_drop(header.executor().is_kept_by_thread()) {
            WakeByValue::Dropped => {}
            // SAFETY: the exchange has set ACTIVE, and the thread keeps the executor alive.
            WakeByValue::DroppedAndQueue => unsafe { queue(this.0, executor) },
            WakeByValue::QueueAndDrop => {
                this.queue();
                drop(ManuallyDrop::into_inner(this));
            }
            WakeByValue::Drop => drop(ManuallyDrop::into_inner(this)),
        }
    }

    /// Asks the task to stop, and queues it if it waits. Asks its children, too.
    pub(crate) fn cancel(&self, cause: CancelCause) {
        if let Some(parent) = self.cancel_alone(cause) {
            self.header().executor().cancel_children(parent);
        }
    }

    /// Asks the task to stop, and queues it if it waits. If it may have children that are to be asked as well, returns its id.
    #[must_use]
    pub(crate) fn cancel_alone(&self, cause: CancelCause) -> Option<TaskId> {
        let state = &self.header().state;
        let asked = state.cancel(cause);
        if asked.wake == Wake::Queue {
            self.queue();
        }
        // A task without an id has not run yet, and has no children.
        state.id().filter(|_| asked.is_watched)
    }

    /// Returns the terminal status of a task that is complete.
    pub(crate) fn final_status(&self) -> TaskStatus {
        self.header().final_status()
    }

    /// Requests a call of [`Schedule::notify_watchers`] when the task ends, and one of [`Schedule::cancel_children`] when it is asked to
    /// stop. Returns what has happened of that already.
    pub(crate) fn watch(&self) -> Watched {
        let header = self.header();
        match header.state.watch() {
            StateWatched::Active => Watched::Active,
            StateWatched::Cancelled => Watched::Cancelled,
            StateWatched::Complete => Watched::Ended(header.final_status()),
        }
    }

    /// Queues the task, for a caller that has just set ACTIVE and so owns the `RawRunnable` (rule 1).
    fn queue(&self) {
        // SAFETY: the caller has set ACTIVE. The executor outlives every cell, and this reference keeps the cell alive until the call
        // returns.
        unsafe { queue(self.0, self.header().executor) };
    }
}

/// Queues a task.
///
/// # Safety
///
/// The caller must have just set ACTIVE, and so own the task's `RawRunnable` (rule 1), which keeps the cell alive until it is queued.
/// The executor must be alive until the call returns.
unsafe fn queue<S: Schedule>(header: NonNull<Header<S>>, executor: NonNull<S>) {
    // SAFETY: this is the one `RawRunnable`, as the caller guarantees.
    let task = unsafe { RawRunnable::from_raw(header) };
    // SAFETY: the executor is alive, as the caller guarantees.
    unsafe { executor.as_ref() }.queue(task, QueueReason::Woken);
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
            // SAFETY: this was the last reference, so no other thread uses the cell.
            unsafe { free(self.0) };
        }
    }
}

impl<S: Schedule> fmt::Debug for TaskRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.header().state.id()).finish()
    }
}
