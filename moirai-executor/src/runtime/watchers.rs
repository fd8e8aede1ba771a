//! Waiting for tasks by their ids.
//!
//! A waiter marks the task's cell and registers under one lock, and the thread that ends a marked task takes that lock. So a waiter
//! whose mark came before the end has registered by the time it is looked for, and one whose mark came after the end is told so by
//! the cell: none waits for ever.

use std::collections::HashMap;

use moirai_core::shim::sync::Mutex;
use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;
use slab::Slab;

#[cfg(all(test, moirai_loom))]
mod loom;

/// The tasks that are waited for by id, with those that wait.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<TaskId, Waiters>>);

/// The senders for all that wait for one task.
type Waiters = Slab<oneshot::Sender<TaskStatus>>;

/// A registration that waits for a task.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Receives the terminal status.
    pub(crate) ended: oneshot::Receiver<TaskStatus>,
    key: usize,
}

impl Watchers {
    /// Registers the caller as waiting for a task.
    ///
    /// `mark` marks the task's cell as watched, and returns the terminal status if the task has ended already; then nothing is
    /// registered. It is called under the table's lock, so if the task ends after it, [`notify`](Self::notify) comes after the
    /// registration.
    pub(crate) fn watch(
        &self,
        id: TaskId,
        mark: impl FnOnce() -> Option<TaskStatus>,
    ) -> Result<Watch, TaskStatus> {
        let mut table = self.0.lock();
        if let Some(status) = mark() {
            return Err(status);
        }
        let (sender, ended) = oneshot::channel();
        let key = table.entry(id).or_default().insert(sender);
        Ok(Watch { ended, key })
    }

    /// Sends the terminal status to all that wait for a task. Called once, after the task is complete.
    pub(crate) fn notify(&self, id: TaskId, status: TaskStatus) {
        let waiters = self.0.lock().remove(&id);
        // Outside of the lock, because sending wakes wakers.
        for (_, waiter) in waiters.into_iter().flatten() {
            // A receiver that is gone does not need the status.
            let _ = waiter.send(status);
        }
    }

    /// Removes a registration.
    pub(crate) fn forget(&self, id: TaskId, watch: &Watch) {
        let mut table = self.0.lock();
        let Some(waiters) = table.get_mut(&id) else {
            return;
        };
        let waiter = waiters.try_remove(watch.key);
        if waiters.is_empty() {
            table.remove(&id);
        }
        drop(table);
        // Its waker is user code, and is dropped outside of the lock.
        drop(waiter);
    }
}
