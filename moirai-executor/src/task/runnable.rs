//! The right to run a task.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use moirai_core::{Priority, TaskId, TaskKind};

use super::header::{Header, Host};

/// The right to run a task: exactly one exists while the task is queued or polled. Dropping it ends the task.
pub(crate) struct RawRunnable<H: Host>(NonNull<Header<H>>);

// SAFETY: the work and its output are `Send`, and the `Runnable` is alone with them (rule 1).
unsafe impl<H: Host> Send for RawRunnable<H> {}

impl<H: Host> RawRunnable<H> {
    /// # Safety
    ///
    /// The caller has set ACTIVE, or was the runner and has kept it.
    pub(super) unsafe fn from_raw(header: NonNull<Header<H>>) -> Self {
        Self(header)
    }

    fn header(&self) -> &Header<H> {
        // SAFETY: while the `Runnable` exists the task is not complete, and its own reference keeps the cell (rule 2).
        unsafe { self.0.as_ref() }
    }

    /// The task's cell, to be compared.
    pub(crate) fn as_ptr(&self) -> NonNull<Header<H>> {
        self.0
    }

    pub(crate) fn id(&self) -> TaskId {
        self.header().id()
    }

    pub(crate) fn priority(&self) -> Priority {
        self.header().priority
    }

    pub(crate) fn kind(&self) -> TaskKind {
        self.header().kind
    }

    /// The executor.
    pub(crate) fn host(&self) -> &H {
        self.header().host()
    }

    /// What the books say of the task.
    pub(crate) fn with_entry<R>(&self, f: impl FnOnce(&H::Entry) -> R) -> R {
        self.header().entry.with(|entry| {
            // SAFETY: the entry is the runner's (rule 1), which is who has the `Runnable`; it changes only as the task runs, for
            // which the `Runnable` is given up.
            let entry = unsafe { &*entry };
            f(entry.as_ref().expect("a task has its entry until it has ended"))
        })
    }

    /// Runs the task until it waits or ends.
    pub(crate) fn run(self, env: &H::Env) {
        let this = ManuallyDrop::new(self);
        let run = this.header().vtable.run;
        // SAFETY: the `Runnable` is given up.
        unsafe { run(this.0, env) };
    }
}

impl<H: Host> Drop for RawRunnable<H> {
    fn drop(&mut self) {
        let abandon = self.header().vtable.abandon;
        // SAFETY: the `Runnable` is given up.
        unsafe { abandon(self.0) };
    }
}

impl<H: Host> fmt::Debug for RawRunnable<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.id()).finish()
    }
}
