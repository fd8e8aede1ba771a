//! The handle's side of a cell.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use moirai_core::TaskError;

use super::header::{Header, Schedule};
use super::reference::TaskRef;

/// The handle of a task that returns a `T`.
pub(crate) struct JoinHandle<T, S: Schedule> {
    task: ManuallyDrop<TaskRef<S>>,
    /// Whether the result was handed out.
    taken: bool,
    output: PhantomData<fn() -> T>,
}

// SAFETY: the handle gives access to the output, which is `Send`, and to the state word. Through a shared reference it
// gives access to the state word alone.
unsafe impl<T: Send, S: Schedule> Send for JoinHandle<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send, S: Schedule> Sync for JoinHandle<T, S> {}

impl<T, S: Schedule> JoinHandle<T, S> {
    /// # Safety
    ///
    /// The caller has the one handle of a task whose output is `T`, and its reference.
    pub(super) unsafe fn from_raw(header: NonNull<Header<S>>) -> Self {
        // SAFETY: the caller gives up its reference.
        let task = unsafe { TaskRef::adopt(header) };
        Self { task: ManuallyDrop::new(task), taken: false, output: PhantomData }
    }

    /// The task.
    pub(crate) fn task(&self) -> &TaskRef<S> {
        &self.task
    }

    /// Whether the task has ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The result, if the task has ended.
    pub(crate) fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        if self.taken {
            return Some(Err(TaskError::ResultTaken));
        }
        self.is_complete().then(|| self.take())
    }

    /// The result, or a promise to wake the context's waker when the task ends.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, TaskError>> {
        if let Some(result) = self.try_take() {
            return Poll::Ready(result);
        }
        if self.set_join_waker(cx.waker()) { Poll::Pending } else { Poll::Ready(self.take()) }
    }

    /// Leaves a waker for whoever completes the task (rule 6). False if the task is complete.
    pub(crate) fn set_join_waker(&mut self, waker: &Waker) -> bool {
        let header = self.task.header();
        if header.state.has_join_waker() {
            let same = header.join_waker.with(|place| {
                // SAFETY: JOIN_WAKER is set: the place is only read, by whomever.
                unsafe { &*place }.as_ref().is_some_and(|lent| lent.will_wake(waker))
            });
            if same {
                // Not looked at again: whoever completes the task wakes it.
                return !header.state.is_complete();
            }
            if !header.state.unset_join_waker() {
                return false;
            }
        }
        let waker = waker.clone();
        let old = header.join_waker.with_mut(|place| {
            // SAFETY: JOIN_WAKER is clear: the place is the handle's.
            unsafe { std::ptr::replace(place, Some(waker)) }
        });
        let lent = header.state.set_join_waker();
        // User code, and nothing of ours is in between any more.
        drop(old);
        lent
    }

    /// Takes the result of a task that is complete.
    fn take(&mut self) -> Result<T, TaskError> {
        self.taken = true;
        let take_output = self.task.header().vtable.take_output;
        let mut output: Option<Result<T, TaskError>> = None;
        // SAFETY: COMPLETE was seen with HANDLE set: the output is the handle's (rule 5). The task's output is `T`.
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
        // User code below is contained, because a handle is dropped in places that must not unwind.
        let append_error = |message: Option<Arc<str>>| {
            if let Some(message) = message {
                header.executor().append_error(header.id(), message);
            }
        };
        if header.state.has_join_waker() && header.state.unset_join_waker() {
            // SAFETY: JOIN_WAKER is clear and the task not complete: the place is the handle's.
            append_error(unsafe { header.drop_join_waker() });
        }
        let owed = header.state.drop_handle();
        if owed.drop_waker {
            // SAFETY: the runner has given the place back, or never had it, and the handle is the last to use it (rule 6).
            append_error(unsafe { header.drop_join_waker() });
        }
        if owed.drop_output && !self.taken {
            let drop_output = header.vtable.drop_output;
            // SAFETY: the output is the handle's (rule 5).
            append_error(unsafe { drop_output(self.task.as_ptr()) });
        }
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.task) };
    }
}

impl<T, S: Schedule> fmt::Debug for JoinHandle<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("task", &*self.task).finish_non_exhaustive()
    }
}
