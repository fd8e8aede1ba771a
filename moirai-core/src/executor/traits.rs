//! The interface of an executor as traits, for code that is generic over executors.

use std::future::Future;
use std::time::Duration;

use crate::{Priority, ShutdownReport, Task, TaskError, TaskId, TaskStats, TaskStatus};

/// The part of an executor that starts tasks.
///
/// If the executor refuses a task, because it is shutting down or because of a limit, the handle resolves to the reason.
///
/// ```
/// use moirai_core::{TaskError, TaskSpawner};
///
/// async fn sum<E: TaskSpawner>(executor: &E, numbers: Vec<u64>) -> Result<u64, TaskError> {
///     executor.spawn_parallel(move || numbers.into_iter().sum()).await
/// }
/// ```
pub trait TaskSpawner {
    /// The handle of a task: a future that resolves to the task's result. Dropping it detaches the task.
    type Handle<T: Send + 'static>: Future<Output = Result<T, TaskError>> + Send + 'static;

    /// Spawns a [`Task`], such as a closure, which runs on a worker.
    #[track_caller]
    fn spawn<T: Task>(&self, task: T) -> Self::Handle<T::Output>;

    /// Spawns a future, which is polled on the workers.
    #[track_caller]
    fn spawn_async<F>(&self, future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a closure that computes, which runs on a worker.
    #[track_caller]
    fn spawn_parallel<F, R>(&self, f: F) -> Self::Handle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;

    /// Spawns a closure that may block, which runs on a thread for blocking tasks. Blocks the caller while too many such closures
    /// wait for a thread.
    #[track_caller]
    fn spawn_blocking<F, R>(&self, f: F) -> Self::Handle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;

    /// Spawns a [`Task`], which runs on a worker before or after others according to its priority.
    #[track_caller]
    fn spawn_with_priority<T: Task>(&self, task: T, priority: Priority) -> Self::Handle<T::Output>;
}

/// The part of an executor that looks tasks up by their ids.
pub trait TaskManager {
    /// Returns the status of a task, or `None` if the id is unknown or the record has been evicted.
    fn task_status(&self, id: TaskId) -> Option<TaskStatus>;

    /// Returns a copy of a task's record, or `None` if the id is unknown or the record has been evicted.
    fn task_stats(&self, id: TaskId) -> Option<TaskStats>;

    /// Returns copies of the records of all tasks, active and ended.
    fn tasks(&self) -> Vec<TaskStats>;

    /// Asks a queued or running task to stop. Returns `false` if no active task has this id.
    fn cancel_task(&self, id: TaskId) -> bool;

    /// Waits until a task has ended, or until `timeout` has passed since this call, and returns the task's status at that moment.
    /// Without a timeout, it waits without limit.
    ///
    /// Returns `None` if the id is unknown or the record has already been evicted.
    fn wait_for_task(
        &self,
        id: TaskId,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Option<TaskStatus>> + Send + use<Self>;
}

/// The part of an executor that drives it and shuts it down.
pub trait ExecutorControl {
    /// Runs a future on the calling thread until it is ready, and returns its output.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Runs one queued task on the calling thread. Returns `false` if no task was queued.
    ///
    /// It may be any task, so call this only where unrelated work may run, and with no lock held.
    fn try_run(&self) -> bool;

    /// Refuses new tasks, and waits without limit until every active task has ended.
    ///
    /// Inside of a task of the same executor it does not wait, because the task would wait for itself; the shutdown goes on in the
    /// background.
    fn shutdown(&self) -> ShutdownReport;

    /// Refuses new tasks, waits for the active ones for as long as `timeout`, and then cancels those that are queued or waiting.
    /// Returns soon after that, even if a task goes on regardless.
    ///
    /// Inside of a task of the same executor it does not wait, as for [`shutdown`](Self::shutdown).
    fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport;

    /// Returns `true` if a shutdown has begun.
    fn is_shutting_down(&self) -> bool;

    /// Returns the number of workers.
    fn worker_count(&self) -> usize;

    /// Returns the number of tasks that are queued for the workers now.
    fn load(&self) -> usize;
}

/// All parts of an executor. Every type that implements the three traits implements this one.
pub trait Executor: TaskSpawner + TaskManager + ExecutorControl {}

impl<E: TaskSpawner + TaskManager + ExecutorControl> Executor for E {}
