//! The handle of a task: the side of a cell that waits for the output.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use moirai_core::TaskError;

use super::header::{Header, Schedule};
use super::reference::TaskRef;
use crate::panics;

/// The handle of a task that returns a `T`.
pub(crate) struct JoinHandle<T, S: Schedule> {
    task: ManuallyDrop<TaskRef<S>>,
    /// Whether the result was returned to the caller.
    taken: bool,
    output: PhantomData<fn() -> T>,
}

// SAFETY: the handle gives access to the output, which is `Send`, and to the state word. Through a shared reference it gives access
// to the state word only.
unsafe impl<T: Send, S: Schedule> Send for JoinHandle<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send, S: Schedule> Sync for JoinHandle<T, S> {}

impl<T, S: Schedule> JoinHandle<T, S> {
    /// Makes the handle of a task.
    ///
    /// # Safety
    ///
    /// The task's output must be a `T`, and HANDLE must be set. The caller gives up the handle's reference, and makes no other
    /// handle.
    pub(super) unsafe fn from_raw(header: NonNull<Header<S>>) -> Self {
        // SAFETY: the caller gives up the handle's reference.
        let task = unsafe { TaskRef::adopt(header) };
        Self { task: ManuallyDrop::new(task), taken: false, output: PhantomData }
    }

    /// Returns the handle's reference to the task.
    pub(crate) fn task(&self) -> &TaskRef<S> {
        &self.task
    }

    /// Returns `true` if the task has ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// Returns the result if the task has ended; [`TaskError::ResultTaken`] if it was returned before.
    pub(crate) fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        if self.taken {
            return Some(Err(TaskError::ResultTaken));
        }
        self.is_complete().then(|| self.take())
    }

    /// Returns the result if the task has ended; otherwise has the context's waker woken when it ends.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, TaskError>> {
        if let Some(result) = self.try_take() {
            return Poll::Ready(result);
        }
        if self.set_join_waker(cx.waker()) { Poll::Pending } else { Poll::Ready(self.take()) }
    }

    /// Stores a waker, which the runner wakes when it completes the task (rule 6). Returns `false` if the task is complete already.
    pub(crate) fn set_join_waker(&mut self, waker: &Waker) -> bool {
        let header = self.task.header();
        let has_waker = header.state.has_join_waker();
        if has_waker {
            let same = header.join_waker.with(|place| {
                // SAFETY: JOIN_WAKER is set, so the place is only read, by any thread.
                unsafe { *place }.is_some_and(|stored| stored.is_like(waker))
            });
            if same {
                // The waker needs no change: the runner that completes the task wakes it.
                return !header.state.is_complete();
            }
        }
        // User code, which may panic, so it runs before anything is changed.
        let waker = waker.clone();
        if has_waker && !header.state.unset_join_waker() {
            return false;
        }
        // SAFETY: JOIN_WAKER is clear, so the place is the handle's.
        let old = unsafe { header.replace_join_waker(Some(waker)) };
        let stored = header.state.set_join_waker();
        // Its destructor is user code, so it runs after the last step.
        drop(old);
        stored
    }

    /// Takes the result of a task that is complete. Must be called only once.
    fn take(&mut self) -> Result<T, TaskError> {
        self.taken = true;
        let take_output = self.task.header().vtable.take_output;
        let mut output: Option<Result<T, TaskError>> = None;
        // SAFETY: COMPLETE was seen while HANDLE is set, so the output is the handle's (rule 5). The task's output is a `T`, so the
        // pointer is to a place of the right type.
        unsafe { take_output(self.task.as_ptr(), (&raw mut output).cast()) };
        output.expect("a complete task has its output until the handle takes it")
    }
}

impl<T, S: Schedule> Drop for JoinHandle<T, S> {
    fn drop(&mut self) {
        let header = self.task.header();
        if header.state.drop_idle_handle() {
            return;
        }
        // The user code below is run under `catch_unwind`, because a handle is dropped in places that must not unwind.
        let append_error = |message: Option<Arc<str>>| {
            if let Some(message) = message {
                header.executor().append_error(header.id(), message);
            }
        };
        let drop_join_waker = || {
            // SAFETY: both callers say why the place is the handle's.
            let waker = unsafe { header.replace_join_waker(None) };
            append_error(panics::contain(|| drop(waker)));
        };
        if header.state.has_join_waker() && header.state.unset_join_waker() {
            // JOIN_WAKER was cleared while the task was not complete, so the place is the handle's.
            drop_join_waker();
        }
        let dropped = header.state.drop_handle();
        if dropped.drop_waker {
            // JOIN_WAKER was clear when the task was completed, so the place is the handle's.
            drop_join_waker();
        }
        if dropped.drop_output && !self.taken {
            let drop_output = header.vtable.drop_output;
            // SAFETY: the output is the handle's, because COMPLETE was set before HANDLE was cleared (rule 5).
            append_error(unsafe { drop_output(self.task.as_ptr()) });
        }
        // SAFETY: the reference is dropped once, here, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.task) };
    }
}

impl<T, S: Schedule> fmt::Debug for JoinHandle<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("task", &*self.task).finish_non_exhaustive()
    }
}
