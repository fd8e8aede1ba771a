//! Waiting for tasks by their ids, and the children of tasks.
//!
//! A waiter marks the task's cell and registers under one lock, and the thread that ends a marked task takes that lock. So a waiter
//! whose mark came before the end has registered by the time it is looked for, and one whose mark came after the end is told so by
//! the cell: none waits for ever. Children register in the same way, and are also looked for by a thread that asks a marked task to
//! stop.

use std::collections::HashMap;

use moirai_core::shim::sync::Mutex;
use moirai_core::{TaskId, TaskStatus};
use moirai_sync::oneshot;
use slab::Slab;

use crate::task::Watched;

#[cfg(all(test, moirai_loom))]
mod loom;

/// The tasks that are watched, with those that watch. `C` is a reference to a child.
#[derive(Debug)]
pub(crate) struct Watchers<C>(Mutex<HashMap<TaskId, Slab<Watcher<C>>>>);

/// Who watches a task.
#[derive(Debug)]
enum Watcher<C> {
    /// A caller waits for the terminal status.
    Waiter(oneshot::Sender<TaskStatus>),
    /// A child of the task is to stop with it.
    Child(C),
}

/// A registration that waits for a task.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Receives the terminal status.
    pub(crate) ended: oneshot::Receiver<TaskStatus>,
    pub(crate) place: Place,
}

/// The place of a registration in the table. It must be given back by [`Watchers::forget`].
#[derive(Debug)]
pub(crate) struct Place {
    id: TaskId,
    key: usize,
}

impl<C> Default for Watchers<C> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<C: Clone> Watchers<C> {
    /// Registers the caller as waiting for a task.
    ///
    /// `mark` marks the task's cell as watched, and returns what the task has come to. If it has ended already, nothing is registered.
    /// It is called under the table's lock, so if the task ends after it, [`notify`](Self::notify) comes after the registration.
    pub(crate) fn watch(
        &self,
        id: TaskId,
        mark: impl FnOnce() -> Watched,
    ) -> Result<Watch, TaskStatus> {
        let mut table = self.0.lock();
        if let Watched::Ended(status) = mark() {
            return Err(status);
        }
        let (sender, ended) = oneshot::channel();
        let key = table.entry(id).or_default().insert(Watcher::Waiter(sender));
        Ok(Watch { ended, place: Place { id, key } })
    }

    /// Registers a child of a task, unless the task was asked to stop or has ended, as `mark` finds; see [`watch`](Self::watch).
    pub(crate) fn add_child(
        &self,
        id: TaskId,
        child: C,
        mark: impl FnOnce() -> Watched,
    ) -> Result<Place, Watched> {
        let mut table = self.0.lock();
        match mark() {
            Watched::Active => {
                let key = table.entry(id).or_default().insert(Watcher::Child(child));
                Ok(Place { id, key })
            }
            over => {
                // Its drop may free a cell.
                drop(table);
                drop(child);
                Err(over)
            }
        }
    }

    /// Returns the children of a task.
    pub(crate) fn children(&self, id: TaskId) -> Vec<C> {
        let table = self.0.lock();
        let watchers = table.get(&id).into_iter().flatten();
        let children = watchers.filter_map(|(_, watcher)| match watcher {
            Watcher::Waiter(_) => None,
            Watcher::Child(child) => Some(child.clone()),
        });
        children.collect()
    }

    /// Sends the terminal status to all that wait for a task, and returns its children. Called once, after the task is complete.
    #[must_use]
    pub(crate) fn notify(&self, id: TaskId, status: TaskStatus) -> Vec<C> {
        let watchers = self.0.lock().remove(&id);
        // Outside of the lock, because sending wakes wakers.
        let children = watchers.into_iter().flatten().filter_map(|(_, watcher)| match watcher {
            Watcher::Waiter(waiter) => {
                // A receiver that is gone does not need the status.
                let _ = waiter.send(status);
                None
            }
            Watcher::Child(child) => Some(child),
        });
        children.collect()
    }

    /// Removes a registration.
    pub(crate) fn forget(&self, place: &Place) {
        let mut table = self.0.lock();
        let Some(watchers) = table.get_mut(&place.id) else {
            return;
        };
        let watcher = watchers.try_remove(place.key);
        if watchers.is_empty() {
            table.remove(&place.id);
        }
        drop(table);
        // A waiter's waker is user code, and is dropped outside of the lock.
        drop(watcher);
    }
}
