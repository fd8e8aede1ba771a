//! Handles that cancel their tasks when they are dropped.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use moirai_core::{TaskError, TaskId};

use super::task_handle::TaskHandle;

/// A handle to a task that cancels the task when it is dropped. [`TaskHandle::abort_on_drop`] creates one.
///
/// It is for tasks whose results only their spawners want: if the spawner is cancelled or panics, the task is cancelled with it.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// let (send, id_of_child) = std::sync::mpsc::channel();
/// let parent = executor.spawn_async(async move {
///     let child = moirai::spawn_async(std::future::pending::<()>()).abort_on_drop();
///     send.send(child.id()).unwrap();
///     child.await
/// });
/// let child = id_of_child.recv().unwrap();
/// parent.cancel();
/// let ended = executor.block_on(executor.wait_for_task(child, None));
/// assert_eq!(ended, Some(TaskStatus::Cancelled));
/// # Ok::<(), BuildError>(())
/// ```
#[must_use = "dropping it cancels the task"]
pub struct AbortOnDropHandle<T>(
    /// `None` only while it is being detached.
    Option<TaskHandle<T>>,
);

impl<T> TaskHandle<T> {
    /// Returns a handle that cancels the task when it is dropped.
    pub fn abort_on_drop(self) -> AbortOnDropHandle<T> {
        AbortOnDropHandle(Some(self))
    }
}

impl<T> AbortOnDropHandle<T> {
    fn handle(&self) -> &TaskHandle<T> {
        self.0.as_ref().expect("it is not detached")
    }

    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.handle().id()
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle().is_finished()
    }

    /// Asks the task to stop, as [`TaskHandle::cancel`] does.
    pub fn cancel(&self) {
        self.handle().cancel();
    }

    /// Returns the plain handle, which does not cancel the task when it is dropped.
    #[must_use]
    pub fn detach(mut self) -> TaskHandle<T> {
        self.0.take().unwrap_or_else(|| unreachable!("it is detached once"))
    }
}

impl<T> Future for AbortOnDropHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self.0.as_mut().expect("it is not detached")).poll(cx)
    }
}

impl<T> Drop for AbortOnDropHandle<T> {
    fn drop(&mut self) {
        self.0.iter().for_each(TaskHandle::cancel);
    }
}

impl<T> fmt::Debug for AbortOnDropHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortOnDropHandle").field(self.handle()).finish()
    }
}
