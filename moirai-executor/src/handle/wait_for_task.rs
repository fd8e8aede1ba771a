//! Waiting for a task by its id.
//!
//! A watcher marks the task's cell, not its record: the exchange that completes the task sees the mark or is seen by it, so no
//! end is missed, and the status reaches the watcher even if the record is evicted at once. Who waits is in a table that
//! a task touches only if it was marked.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;
use parking_lot::Mutex;
use slab::Slab;

use crate::runtime::shared::Shared;
use crate::time::Deadline;

/// Those who wait for one task.
type Waiters = Slab<oneshot::Sender<TaskStatus>>;

/// The tasks that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<TaskId, Waiters>>);

impl Watchers {
    /// Tells those who wait for the task. Called once, after it is complete.
    pub(crate) fn tell(&self, id: TaskId, status: TaskStatus) {
        let waiters = self.0.lock().remove(&id);
        // Outside the lock: sending wakes wakers.
        for (_, waiter) in waiters.into_iter().flatten() {
            // Who has gone meanwhile does not want to know.
            let _ = waiter.send(status);
        }
    }

    fn leave(&self, id: TaskId, key: usize) {
        let mut table = self.0.lock();
        let Some(waiters) = table.get_mut(&id) else {
            return;
        };
        let waiter = waiters.try_remove(key);
        if waiters.is_empty() {
            table.remove(&id);
        }
        drop(table);
        drop(waiter);
    }
}

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
