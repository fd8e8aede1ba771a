//! Where fork-join work comes from.

use std::cell::Cell;
use std::ptr;
use std::thread;

use crate::panics::cancelled;
use crate::task::TaskPtr;

/// One origin of fork-join work, on the stack of whoever runs it: a call from suspended of any fork-join, the run of a stolen
/// half, or a scope.
pub(crate) struct Frame {
    /// The frame in which this one was forked; null for a call from suspended.
    parent: *const Frame,
    /// What waits for the work of this frame: the address of the half or of the scope. Only compared.
    waited_as: *const (),
    /// The task that called, if it was one.
    task: Option<TaskPtr>,
}

impl Frame {
    /// Of a call from suspended of any fork-join.
    pub(crate) const fn root(task: Option<TaskPtr>) -> Self {
        Self { parent: ptr::null(), waited_as: ptr::null(), task }
    }

    /// For what is forked in `parent` and waited for as `of`.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame, which outlives this one.
    pub(crate) unsafe fn child_of(parent: *const Frame, waited_as: *const ()) -> Self {
        // SAFETY: promised by the caller.
        let task = unsafe { &*parent }.task;
        Self { parent, waited_as, task }
    }

    /// For work in `parent` that goes on although its task was asked to stop.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame, which outlives this one.
    pub(crate) const unsafe fn without_task(parent: *const Frame) -> Self {
        Self { parent, waited_as: ptr::null(), task: None }
    }

    /// Sets what waits for the work of this frame.
    pub(crate) const fn wait_as(&mut self, identity: *const ()) {
        self.waited_as = identity;
    }

    /// Whether the task that called was asked to stop.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: a task that has called is being polled until its fork-join work is done, and lives meanwhile.
        self.task.is_some_and(|task| unsafe { task.is_cancelled() })
    }

    /// Whether this is the frame of `of`, or below it.
    pub(crate) fn is_descendant_of(&self, identity: *const ()) -> bool {
        let mut frame: *const Frame = self;
        // SAFETY: a frame's parent outlives it: what was forked in the parent is waited for there.
        while let Some(this) = unsafe { frame.as_ref() } {
            if ptr::eq(this.waited_as, identity) {
                return true;
            }
            frame = this.parent;
        }
        false
    }

    /// Whether `task` is the one that called.
    pub(crate) fn is_of(&self, task: TaskPtr) -> bool {
        self.task == Some(task)
    }
}

/// The frame in which a thread is; null suspended of fork-join work.
pub(crate) struct CurrentFrame(Cell<*const Frame>);

impl CurrentFrame {
    pub(crate) const fn none() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// Whether the thread is inside of fork-join work.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        !self.0.get().is_null()
    }

    #[inline]
    pub(crate) fn get(&self) -> *const Frame {
        self.0.get()
    }

    /// Whether the thread is inside of fork-join work of `task`.
    pub(crate) fn is_of(&self, task: TaskPtr) -> bool {
        // SAFETY: the frame is that of a caller of this thread, which is still there.
        unsafe { self.0.get().as_ref() }.is_some_and(|frame| frame.is_of(task))
    }

    /// Whether the task that called was asked to stop. Only inside of fork-join work.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: the frame is that of a caller of this thread, which is still there.
        unsafe { &*self.0.get() }.is_cancelled()
    }

    /// Calls `f` in another frame.
    #[inline]
    pub(crate) fn within<R>(&self, frame: *const Frame, f: impl FnOnce() -> R) -> R {
        struct RestoreFrame<'a>(&'a Cell<*const Frame>, *const Frame);
        impl Drop for RestoreFrame<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _back = RestoreFrame(&self.0, self.0.replace(frame));
        f()
    }

    /// Calls `f`, which is suspended of the fork-join work that the thread may be in.
    pub(crate) fn suspended<R>(&self, f: impl FnOnce() -> R) -> R {
        self.within(ptr::null(), f)
    }

    /// Rule 9: unwinds. But a thread that unwinds already, in whose destructors fork-join work is called, must not do so twice: there
    /// `f` is called, in a frame that knows of no task.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_despite_cancel<R>(&self, f: impl FnOnce() -> R) -> R {
        if !thread::panicking() {
            cancelled::unwind_cancelled();
        }
        // SAFETY: as above; the frame outlives the call.
        let frame = unsafe { Frame::without_task(self.0.get()) };
        self.within(&frame, f)
    }
}
