//! Handles of local futures.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_executor::Task;
use moirai_core::{Panic, TaskError};

/// What a local future returns, or what it panics with.
pub(super) type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// A handle to a future that was spawned with [`spawn_local`](super::spawn_local). It is a future that resolves to the result. Dropping
/// it lets the spawned future go on.
pub struct LocalHandle<T>(
    /// `None` once it is cancelled or dropped.
    Option<Task<Caught<T>>>,
);

impl<T> LocalHandle<T> {
    pub(super) fn new(task: Task<Caught<T>>) -> Self {
        Self(Some(task))
    }

    /// Returns whether the future has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.as_ref().is_none_or(Task::is_finished)
    }

    /// Cancels the future, unless it has ended: it is not polled any more, and dropped at its turn.
    pub fn cancel(mut self) {
        // Dropping this handle of `async-executor` cancels.
        drop(self.0.take());
    }
}

impl<T> Future for LocalHandle<T> {
    type Output = Result<T, TaskError>;

    /// Resolves to what the future has returned, or to [`TaskError::Panicked`].
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.0 else { return Poll::Ready(Err(TaskError::ResultTaken)) };
        let Poll::Ready(result) = Pin::new(task).poll(cx) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(result.map_err(|payload| TaskError::Panicked(Panic::new(payload, None))))
    }
}

impl<T> Drop for LocalHandle<T> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Task::detach);
    }
}

impl<T> fmt::Debug for LocalHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHandle").field("finished", &self.is_finished()).finish()
    }
}
