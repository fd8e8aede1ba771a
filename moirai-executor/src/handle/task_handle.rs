//! Handles of tasks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use moirai_core::{CancelCause, TaskError, TaskId, TaskStatus};
use moirai_sync::{Parker, budget};

use crate::runtime::admission::RefuseReason;
use crate::runtime::caller_wait::{Until, park_until};
use crate::runtime::context::Context;
use crate::runtime::fork_host;
use crate::runtime::handoff::blocking;
use crate::runtime::shared::Shared;
use crate::task::{JoinHandle, TaskRef};

/// A handle to a task: a future that resolves to the task's result.
///
/// Dropping the handle detaches the task, which goes on and keeps its record. Waiting with [`join`](Self::join) blocks the calling
/// thread. On a worker, the worker's core is handed off to another thread meanwhile, so the executor does not lose a worker.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// let handle = executor.spawn_parallel(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// # Ok::<(), BuildError>(())
/// ```
pub struct TaskHandle<T> {
    id: TaskId,
    inner: HandleState<T>,
}

enum HandleState<T> {
    Task(JoinHandle<T, Shared>),
    /// The task was not admitted.
    Refused {
        reason: RefuseReason,
        taken: bool,
    },
}

impl<T> TaskHandle<T> {
    pub(crate) const fn new(id: TaskId, handle: JoinHandle<T, Shared>) -> Self {
        Self { id, inner: HandleState::Task(handle) }
    }

    pub(crate) const fn refused(id: TaskId, reason: RefuseReason) -> Self {
        Self { id, inner: HandleState::Refused { reason, taken: false } }
    }

    /// Returns the task's id, by which the executor knows the task also after this handle is gone.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Waits for the task to end, and returns its result.
    ///
    /// # Errors
    ///
    /// The [`TaskError`] that says why the task has no result; [`TaskError::WouldDeadlock`] inside of the task itself;
    /// [`TaskError::ResultTaken`] if the result was returned before.
    pub fn join(mut self) -> Result<T, TaskError> {
        self.wait(None).unwrap_or(Err(TaskError::ResultTaken))
    }

    /// Waits for the task to end, for `timeout` at most. Returns `None` if it has not ended by then.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    pub fn join_timeout(&mut self, timeout: Duration) -> Option<Result<T, TaskError>> {
        self.wait(Some(timeout))
    }

    /// Returns the task's result, or `None` if the task has not ended.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    pub fn try_join(&mut self) -> Option<Result<T, TaskError>> {
        match &mut self.inner {
            HandleState::Task(handle) => handle.try_take(),
            HandleState::Refused { reason, taken } => Some(Err(refused_result(*reason, taken))),
        }
    }

    /// Asks the task to stop.
    ///
    /// A queued task never runs. A task that waits is dropped by a worker at once, and one that is being polled is dropped when its
    /// poll returns. A closure that is running is not interrupted. A task that has ended stays as it is.
    pub fn cancel(&self) {
        self.cancel_by(CancelCause::Handle);
    }

    pub(crate) fn cancel_by(&self, cause: CancelCause) {
        if let HandleState::Task(handle) = &self.inner {
            handle.task().cancel(cause);
        }
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            HandleState::Task(handle) => handle.is_complete(),
            HandleState::Refused { .. } => true,
        }
    }

    /// Returns a handle that can only cancel the task.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        let task = match &self.inner {
            HandleState::Task(handle) => Some(handle.task().clone()),
            HandleState::Refused { .. } => None,
        };
        AbortHandle { id: self.id, task }
    }

    /// Returns whether the task has ended as failed.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.inner {
            HandleState::Task(handle) => {
                handle.is_complete() && handle.task().final_status() == TaskStatus::Failed
            }
            HandleState::Refused { .. } => false,
        }
    }

    /// Returns the error, if the task was not admitted.
    pub(crate) fn take_refusal(&mut self) -> Option<Result<T, TaskError>> {
        match &mut self.inner {
            HandleState::Task(_) => None,
            HandleState::Refused { .. } => self.try_join(),
        }
    }

    /// Registers a waker for the end of the task. Returns `false` if the task has ended.
    pub(crate) fn set_join_waker(&mut self, waker: &Waker) -> bool {
        match &mut self.inner {
            HandleState::Task(handle) => handle.set_join_waker(waker),
            HandleState::Refused { .. } => false,
        }
    }

    /// Blocks until the task has ended, or the time is up.
    fn wait(&mut self, timeout: Option<Duration>) -> Option<Result<T, TaskError>> {
        if let Some(result) = self.try_join() {
            return Some(result);
        }
        let HandleState::Task(handle) = &mut self.inner else { unreachable!("a refusal is ready") };
        if Context::is_polling(handle.task().ptr()) {
            return Some(Err(TaskError::WouldDeadlock));
        }
        let parker = Parker::new();
        let waker = Waker::from(parker.unparker());
        let mut cx = TaskContext::from_waker(&waker);
        let until = Until::after(handle.task().header().executor(), timeout);
        blocking(|| {
            loop {
                if let Poll::Ready(result) = handle.poll(&mut cx) {
                    return Some(result);
                }
                let task = handle.task();
                let shared = task.header().executor();
                if !park_until(&parker, shared, until, || fork_host::run_job_of(shared, task.ptr()))
                {
                    return None;
                }
            }
        })
    }
}

/// Returns the error of a task that was refused.
fn refused_result(reason: RefuseReason, taken: &mut bool) -> TaskError {
    if std::mem::replace(taken, true) { TaskError::ResultTaken } else { reason.error() }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    /// Resolves to the task's result, or to [`TaskError::WouldDeadlock`] if the task awaits itself.
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().inner {
            HandleState::Task(handle) => {
                if !handle.is_complete() && Context::is_polling(handle.task().ptr()) {
                    return Poll::Ready(Err(TaskError::WouldDeadlock));
                }
                budget::poll(cx, |cx| handle.poll(cx))
            }
            HandleState::Refused { reason, taken } => {
                Poll::Ready(Err(refused_result(*reason, taken)))
            }
        }
    }
}

// Nothing in the handle is pinned, because the output is in the cell.
impl<T> Unpin for TaskHandle<T> {}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle")
            .field("id", &self.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// A handle that can only cancel a task. [`TaskHandle::abort_handle`] creates one.
#[derive(Clone)]
pub struct AbortHandle {
    id: TaskId,
    task: Option<TaskRef<Shared>>,
}

impl AbortHandle {
    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Asks the task to stop, as [`TaskHandle::cancel`] does.
    pub fn cancel(&self) {
        self.cancel_by(CancelCause::Handle);
    }

    pub(crate) fn cancel_by(&self, cause: CancelCause) {
        if let Some(task) = &self.task {
            task.cancel(cause);
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
