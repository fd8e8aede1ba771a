//! Waiting for a task by its id.
//!
//! A watcher marks the task's cell, not its record: the exchange that completes the task sees the mark or is seen by it, so no
//! end is missed, and the status reaches the watcher even if the record is evicted at once. Who waits is in a table that
//! a task touches only if it was marked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;

use crate::runtime::shared::Shared;
use crate::time::Deadline;

/// Resolves when a task has ended, or when the time is up; see `wait_for_task`.
#[derive(Debug)]
pub(crate) enum WaitForTask {
    /// The task has ended already, or is not known.
    Known(Option<TaskStatus>),
    Waiting(Waiting),
}

#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    id: TaskId,
    key: usize,
    ended: oneshot::Receiver<TaskStatus>,
    limit: Option<Deadline>,
}

impl WaitForTask {
    pub(crate) fn new(shared: &Arc<Shared>, id: TaskId, timeout: Option<Duration>) -> Self {
        let Some(task) = shared.task_ref(id) else {
            return Self::Known(shared.registry.status(id));
        };
        let mut table = shared.watchers.0.lock();
        // Marked under the lock: if the task completes after this, `tell` comes after the entry below.
        if let Some(status) = task.watch() {
            return Self::Known(Some(status));
        }
        let (sender, ended) = oneshot::channel();
        let key = table.entry(id).or_default().insert(sender);
        drop(table);
        let limit = timeout.map(|timeout| Deadline::after(shared.time.domain(), timeout));
        let shared = Arc::clone(shared);
        Self::Waiting(Waiting { shared, id, key, ended, limit })
    }
}

impl Future for WaitForTask {
    type Output = Option<TaskStatus>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskStatus>> {
        match self.get_mut() {
            Self::Known(status) => Poll::Ready(*status),
            Self::Waiting(waiting) => {
                if let Poll::Ready(told) = Pin::new(&mut waiting.ended).poll(cx) {
                    return Poll::Ready(told.ok());
                }
                if let Some(limit) = &mut waiting.limit
                    && limit.poll(cx).is_ready()
                {
                    return Poll::Ready(waiting.shared.registry.status(waiting.id));
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.watchers.leave(self.id, self.key);
    }
}
