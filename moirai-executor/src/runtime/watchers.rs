//! Those who wait for tasks by their ids.

use std::collections::HashMap;

use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;
use parking_lot::Mutex;
use slab::Slab;

/// The tasks that somebody waits for by id, and who does.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<TaskId, Waiters>>);

/// Those who wait for one task.
type Waiters = Slab<oneshot::Sender<TaskStatus>>;

/// One who waits for a task.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Receives the terminal status.
    pub(crate) ended: oneshot::Receiver<TaskStatus>,
    key: usize,
}

impl Watchers {
    /// Registers the caller as one who waits for a task.
    ///
    /// `mark` marks the task's cell as watched, and returns the terminal status if the task has ended already; then nothing is
    /// registered. It is called under the table's lock: if the task ends after it, [`tell`](Self::tell) comes after the registration.
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

    /// Tells all who wait for a task that it has ended. Called once, after the task is complete.
    pub(crate) fn tell(&self, id: TaskId, status: TaskStatus) {
        let waiters = self.0.lock().remove(&id);
        // Outside the lock, because sending wakes wakers.
        for (_, waiter) in waiters.into_iter().flatten() {
            // One that has gone meanwhile does not want to know.
            let _ = waiter.send(status);
        }
    }

    /// Forgets one who waits.
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
        // Its waker is user code, and is dropped outside the lock.
        drop(waiter);
    }
}
