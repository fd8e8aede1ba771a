//! Where fork-join work comes from.

use std::ptr::{self, NonNull};

use crate::runtime::shared::Shared;
use crate::task::Header;

/// One origin of fork-join work, on the stack of whoever runs it: a call from outside of any fork-join, the run of a stolen
/// half, or a scope.
pub(crate) struct Frame {
    /// The frame in which this one was forked; null for a call from outside.
    parent: *const Frame,
    /// What waits for the work of this frame: the address of the half or of the scope. Only compared.
    of: *const (),
    /// The task that called, if it was one.
    task: Option<NonNull<Header<Shared>>>,
}

impl Frame {
    /// Of a call from outside of any fork-join.
    pub(crate) const fn root(task: Option<NonNull<Header<Shared>>>) -> Self {
        Self { parent: ptr::null(), of: ptr::null(), task }
    }

    /// For what is forked in `parent` and waited for as `of`.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame, which outlives this one.
    pub(crate) unsafe fn below(parent: *const Frame, of: *const ()) -> Self {
        // SAFETY: promised by the caller.
        let task = unsafe { &*parent }.task;
        Self { parent, of, task }
    }

    /// For work in `parent` that goes on although its task was asked to stop.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame, which outlives this one.
    pub(crate) const unsafe fn without_task(parent: *const Frame) -> Self {
        Self { parent, of: ptr::null(), task: None }
    }

    /// Sets what waits for the work of this frame.
    pub(crate) const fn wait_as(&mut self, of: *const ()) {
        self.of = of;
    }

    /// Whether the task that called was asked to stop.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: a task that has called is being polled until its fork-join work is done, and lives meanwhile.
        self.task.is_some_and(|task| unsafe { task.as_ref() }.is_cancelled())
    }

    /// Whether this is the frame of `of`, or below it.
    pub(crate) fn is_below(&self, of: *const ()) -> bool {
        let mut frame: *const Frame = self;
        // SAFETY: a frame's parent outlives it: what was forked in the parent is waited for there.
        while let Some(this) = unsafe { frame.as_ref() } {
            if ptr::eq(this.of, of) {
                return true;
            }
            frame = this.parent;
        }
        false
    }

    /// Whether `task` is the one that called.
    pub(crate) fn is_of(&self, task: NonNull<Header<Shared>>) -> bool {
        self.task == Some(task)
    }
}
