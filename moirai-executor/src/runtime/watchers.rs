//! Those who wait for tasks by their ids.

use std::collections::HashMap;

use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;
use parking_lot::Mutex;
use slab::Slab;

/// Those who wait for one task.
pub(crate) type Waiters = Slab<oneshot::Sender<TaskStatus>>;

/// The tasks that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Watchers(pub(crate) Mutex<HashMap<TaskId, Waiters>>);

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

    pub(crate) fn leave(&self, id: TaskId, key: usize) {
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
