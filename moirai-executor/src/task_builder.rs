//! Spawning a task with a name, or a priority.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;

use moirai_core::{Priority, TaskKind};

use crate::handle::TaskHandle;
use crate::shared::Shared;
use crate::spawn::Description;

/// Spawns a task with a name, or a priority. Made by `task()`.
///
/// ```
/// # use moirai_executor::HybridExecutor;
/// # use moirai_core::{Priority, TaskManager};
/// let executor = HybridExecutor::builder().worker_threads(1).build()?;
/// let handle = executor.task().name("answer").priority(Priority::High).spawn_async(async { 42 });
/// let id = handle.id();
/// assert_eq!(handle.join().unwrap(), 42);
/// assert_eq!(executor.task_stats(id).unwrap().name.as_deref(), Some("answer"));
/// # Ok::<(), moirai_core::BuildError>(())
/// ```
#[must_use = "a builder does nothing until a task is spawned with it"]
pub struct TaskBuilder<'a> {
    shared: &'a Shared,
    name: Option<Cow<'static, str>>,
    priority: Priority,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) const fn new(shared: &'a Shared) -> Self {
        Self { shared, name: None, priority: Priority::Normal }
    }

    /// Names the task. The books keep at most [`MAX_NAME_BYTES`](moirai_core::text::MAX_NAME_BYTES) bytes of the name, cut at
    /// a character boundary.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How urgent the task is. Blocking tasks run in the order in which they were spawned, whatever their priority.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Runs a future on the workers.
    #[track_caller]
    pub fn spawn_async<F>(self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let about = self.description(TaskKind::Async, Location::caller());
        self.shared.spawn_future(future, about)
    }

    /// Runs a closure that computes on the workers.
    #[track_caller]
    pub fn spawn_parallel<F, R>(self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Parallel, Location::caller());
        self.shared.spawn_closure(f, about)
    }

    /// Runs a closure that may block on a thread of its own, up to a limit.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Blocking, Location::caller());
        self.shared.spawn_closure(f, about)
    }

    fn description(&self, kind: TaskKind, location: &'static Location<'static>) -> Description {
        Description { kind, priority: self.priority, name: self.name.clone(), location }
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
