//! What an executor can be asked, as traits, so that code can be generic over executors.

use std::future::Future;
use std::time::Duration;

use crate::{Priority, ShutdownReport, Task, TaskError, TaskId, TaskStats, TaskStatus};

/// Starts tasks.
pub trait TaskSpawner {
    /// The handle of a task: a future that resolves to the task's result. Dropping it detaches the task.
    type Handle<T: Send + 'static>: Future<Output = Result<T, TaskError>> + Send + 'static;

    /// Runs a [`Task`], such as a closure, on the workers.
    #[track_caller]
    fn spawn<T: Task>(&self, task: T) -> Self::Handle<T::Output>;

    /// Runs a future on the workers.
    #[track_caller]
    fn spawn_async<F>(&self, future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs a closure that computes on the workers.
    #[track_caller]
    fn spawn_parallel<F, R>(&self, f: F) -> Self::Handle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;

    /// Runs a closure that may block on a thread of its own, up to a limit.
    #[track_caller]
    fn spawn_blocking<F, R>(&self, f: F) -> Self::Handle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;

    /// Runs a [`Task`] on the workers, ahead of or behind others.
    #[track_caller]
    fn spawn_with_priority<T: Task>(&self, task: T, priority: Priority) -> Self::Handle<T::Output>;
}

/// Asks after tasks, by id.
pub trait TaskManager {
    /// Where the task stands; `None` if the id is unknown or its record has been dropped.
    fn task_status(&self, id: TaskId) -> Option<TaskStatus>;

    /// The task's record; `None` if the id is unknown or its record has been dropped.
    fn task_stats(&self, id: TaskId) -> Option<TaskStats>;

    /// The records of all tasks, active and retained: a snapshot.
    fn tasks(&self) -> Vec<TaskStats>;

    /// Asks a queued or running task to stop, and says whether there was one to ask.
    fn cancel_task(&self, id: TaskId) -> bool;

    /// Waits until the task has ended, or the timeout has passed, and gives its status at that moment; `None` if the id
    /// is unknown or its record has been dropped already.
    fn wait_for_task(
        &self,
        id: TaskId,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Option<TaskStatus>> + Send + use<Self>;
}

/// Drives an executor and ends it.
pub trait ExecutorControl {
    /// Runs a future on the calling thread until it is done.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Runs one queued task on the calling thread, if there is one, and says whether there was.
    fn try_run(&self) -> bool;

    /// Refuses new tasks, and waits without limit until every active one has ended.
    fn shutdown(&self) -> ShutdownReport;

    /// Refuses new tasks, waits for the active ones for as long as `timeout`, then cancels what is queued or waiting.
    fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport;

    /// Whether a shutdown has begun.
    fn is_shutting_down(&self) -> bool;

    /// How many workers there are.
    fn worker_count(&self) -> usize;

    /// How many tasks are queued for the workers now.
    fn load(&self) -> usize;
}

/// Everything that an executor can do.
pub trait Executor: TaskSpawner + TaskManager + ExecutorControl {}

impl<E: TaskSpawner + TaskManager + ExecutorControl> Executor for E {}
