//! Waiting for a task by its id.
//!
//! A watcher marks the task's cell, not its record. The exchange that completes the task either sees the mark or is seen by the
//! watcher, so no end is missed, and the status reaches the watcher even if the record is evicted at once. The watchers themselves
//! are in a table, which a task touches only if its cell is marked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use moirai_core::{TaskId, TaskStatus};

use crate::runtime::shared::Shared;
use crate::runtime::watchers::Watch;
use crate::time::Deadline;

/// A future that resolves when a task has ended or the time is up; see `wait_for_task`.
#[derive(Debug)]
pub(crate) enum WaitForTask {
    /// The task has ended already, or is unknown.
    Known(Option<TaskStatus>),
    Pending(Pending),
}

#[derive(Debug)]
pub(crate) struct Pending {
    shared: Arc<Shared>,
    id: TaskId,
    watch: Watch,
    limit: Option<Deadline>,
}

impl WaitForTask {
    pub(crate) fn new(shared: &Arc<Shared>, id: TaskId, timeout: Option<Duration>) -> Self {
        let Some(task) = shared.task_ref(id) else {
            return Self::Known(shared.registry.status(id));
        };
        match shared.watchers.watch(id, || task.watch()) {
            Ok(watch) => {
                let limit = timeout.map(|timeout| Deadline::after(shared.time.source(), timeout));
                Self::Pending(Pending { shared: Arc::clone(shared), id, watch, limit })
            }
            Err(status) => Self::Known(Some(status)),
        }
    }
}

impl Future for WaitForTask {
    type Output = Option<TaskStatus>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskStatus>> {
        match self.get_mut() {
            Self::Known(status) => Poll::Ready(*status),
            Self::Pending(waiting) => {
                if let Poll::Ready(status) = Pin::new(&mut waiting.watch.ended).poll(cx) {
                    return Poll::Ready(status.ok());
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

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.watchers.forget(&self.watch.place);
    }
}
