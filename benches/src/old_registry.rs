//! A baseline: a map of all tasks behind one lock, and a cleanup that the program has to call.
//!
//! This is what Moirai began with, and what teams write beside their runtime when they want to know what became of a task. It is
//! kept as a baseline for the benchmarks and for the example `leak`, and is written as well as its idea allows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// The id of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId(u64);

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The task has not run yet.
    Queued,
    /// The task has been started.
    Running,
    /// The task has returned.
    Completed,
    /// The task has panicked.
    Failed,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The name of the task, if it has one.
    pub name: Option<String>,
    /// The status of the task.
    pub status: Status,
    /// When the task was spawned.
    pub spawned_at: Instant,
    /// When the task was started.
    pub started_at: Option<Instant>,
    /// When the task ended.
    pub finished_at: Option<Instant>,
    /// Why the task failed.
    pub error: Option<String>,
}

/// All tasks, by id.
#[derive(Debug, Default)]
pub struct OldRegistry {
    next: AtomicU64,
    tasks: RwLock<HashMap<TaskId, Metadata>>,
}

impl OldRegistry {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<TaskId, Metadata>> {
        self.tasks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<TaskId, Metadata>> {
        self.tasks.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new task, which is queued, and returns its id.
    pub fn register(&self, name: Option<String>) -> TaskId {
        // Ordering: Relaxed: the numbers only have to differ.
        let id = TaskId(self.next.fetch_add(1, Ordering::Relaxed));
        let metadata = Metadata {
            name,
            status: Status::Queued,
            spawned_at: Instant::now(),
            started_at: None,
            finished_at: None,
            error: None,
        };
        self.write().insert(id, metadata);
        id
    }

    /// Marks the task as running.
    pub fn start(&self, id: TaskId) {
        let now = Instant::now();
        if let Some(task) = self.write().get_mut(&id) {
            task.status = Status::Running;
            task.started_at = Some(now);
        }
    }

    /// Marks the task as ended: as failed if there is an error, and otherwise as completed.
    pub fn finish(&self, id: TaskId, error: Option<String>) {
        let now = Instant::now();
        if let Some(task) = self.write().get_mut(&id) {
            task.status = if error.is_some() { Status::Failed } else { Status::Completed };
            task.finished_at = Some(now);
            task.error = error;
        }
    }

    /// Returns the status of the task, or `None` if it is not in the map.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        self.read().get(&id).map(|task| task.status)
    }

    /// Returns the number of tasks in the map.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Returns whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the tasks that ended longer than `max_age` ago, and of the other ended ones the oldest, until `max_retained` are left.
    /// Returns how many it dropped.
    pub fn cleanup_completed(&self, max_age: Duration, max_retained: usize) -> usize {
        let now = Instant::now();
        let mut tasks = self.write();
        let before = tasks.len();
        tasks.retain(|_, task| {
            task.finished_at.is_none_or(|at| now.saturating_duration_since(at) <= max_age)
        });
        let mut ended: Vec<(TaskId, Instant)> =
            tasks.iter().filter_map(|(&id, task)| Some((id, task.finished_at?))).collect();
        if ended.len() > max_retained {
            ended.sort_by_key(|&(_, at)| at);
            for (id, _) in &ended[..ended.len() - max_retained] {
                tasks.remove(id);
            }
        }
        before - tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_everything_until_a_cleanup() {
        let registry = OldRegistry::default();
        let ids: Vec<_> = (0..100).map(|_| registry.register(None)).collect();
        for &id in &ids[..90] {
            registry.start(id);
            registry.finish(id, None);
        }
        assert_eq!(registry.len(), 100);
        assert_eq!(registry.cleanup_completed(Duration::MAX, 10), 80);
        // The newest ten of the ended tasks are left, and those that have not ended.
        assert_eq!(registry.status(ids[79]), None);
        assert_eq!(registry.status(ids[80]), Some(Status::Completed));
        assert_eq!(registry.status(ids[95]), Some(Status::Queued));
        assert_eq!(registry.cleanup_completed(Duration::ZERO, 10), 10);
        assert_eq!(registry.len(), 10);
    }

    #[test]
    fn a_failure_says_why() {
        let registry = OldRegistry::default();
        let id = registry.register(Some("job".into()));
        registry.start(id);
        assert_eq!(registry.status(id), Some(Status::Running));
        registry.finish(id, Some("no disk".into()));
        assert_eq!(registry.status(id), Some(Status::Failed));
    }
}
