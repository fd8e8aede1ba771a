//! The executor's handle.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{
    BuildError, CleanupStats, ExecutorControl, ManualClock, Priority, ShutdownReport, Stall, Task,
    TaskId, TaskManager, TaskSpawner, TaskStats, TaskStatus,
};
use moirai_executor::{
    HybridExecutor, HybridExecutorBuilder, Scope, TaskBuilder, TaskGroup, TaskHandle,
};
use moirai_metrics::{MetricsRecorder, MetricsSnapshot};

/// A handle to a running executor, for async tasks, parallel closures and blocking work, with every task on the books.
///
/// Clones are handles to the same executor. When the last one that came from [`new`](Self::new) or
/// [`build`](MoiraiBuilder::build), or is a clone of one, is dropped, the executor is shut down: what is queued or waiting is
/// cancelled, and polls in progress are waited for, at most one second, and not at all on a worker or inside a task.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::new()?;
/// let sum = executor.spawn_parallel(|| (1..=100u64).sum::<u64>());
/// let id = sum.id();
/// assert_eq!(sum.join().unwrap(), 5050);
/// assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone)]
pub struct Moirai(HybridExecutor);

/// Sets up an executor. Made by [`Moirai::builder`].
///
/// ```
/// use moirai::prelude::*;
/// use std::time::Duration;
///
/// let executor = Moirai::builder()
///     .worker_threads(2)
///     .cleanup_config(CleanupConfig {
///         task_retention_duration: Duration::from_secs(60),
///         ..CleanupConfig::default()
///     })
///     .build()?;
/// assert_eq!(executor.worker_count(), 2);
///
/// let error = Moirai::builder().worker_threads(0).build().unwrap_err();
/// assert_eq!(error.field(), Some("worker_threads"));
/// # Ok::<(), BuildError>(())
/// ```
pub type MoiraiBuilder = HybridExecutorBuilder<Moirai>;

impl From<HybridExecutor> for Moirai {
    /// A handle to the same executor. Its [`metrics`](Moirai::metrics) are empty unless the executor was built with a
    /// [`MetricsRecorder`].
    fn from(executor: HybridExecutor) -> Self {
        Self(executor)
    }
}

impl Moirai {
    /// Starts an executor with the default configuration: one worker per core, records kept for five minutes, at most 10,000.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a thread cannot be started.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Sets up an executor.
    pub fn builder() -> MoiraiBuilder {
        MoiraiBuilder::default().recorder(Arc::new(MetricsRecorder::default()))
    }

    /// The executor that runs the caller: inside a task, and inside [`block_on`](Self::block_on). The handle does not keep it
    /// running.
    #[must_use]
    pub fn current() -> Option<Self> {
        HybridExecutor::current().map(Self)
    }

    /// Which worker the calling thread is, of the executor that runs the caller; `None` if it is none.
    #[must_use]
    pub fn worker_index() -> Option<usize> {
        HybridExecutor::worker_index()
    }

    /// The executor beneath, for code that is generic over [`moirai_core::Executor`].
    #[must_use]
    pub fn executor(&self) -> &HybridExecutor {
        &self.0
    }

    /// Runs a [`Task`], such as a closure, on the workers.
    ///
    /// After a shutdown the handle resolves to `TaskError::ShutDown`, and at the limit on active tasks, if there is one, to
    /// `TaskError::AtCapacity`; so it does for the other `spawn` methods.
    #[track_caller]
    pub fn spawn<T: Task>(&self, task: T) -> TaskHandle<T::Output> {
        self.0.spawn(task)
    }

    /// Runs a future on the workers.
    #[track_caller]
    pub fn spawn_async<F>(&self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn_async(future)
    }

    /// Runs a closure that computes on the workers. For one that blocks, use [`spawn_blocking`](Self::spawn_blocking).
    #[track_caller]
    pub fn spawn_parallel<F, R>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.spawn_parallel(f)
    }

    /// Runs a closure that may block on a thread of its own, up to `max_blocking_threads`. While `blocking_queue_limit` of them
    /// wait for a thread, this call waits too; on a worker, the seat goes to another thread meanwhile.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.spawn_blocking(f)
    }

    /// A group of tasks that belong together: waited for together, limited in number, cancelled together. What they return is
    /// dropped as they end, unless the group is asked to keep it.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let mut group = executor.group().keep_results();
    /// for word in ["one", "three"] {
    ///     group.spawn_parallel(move || word.len());
    /// }
    /// let mut lengths: Vec<_> =
    ///     executor.block_on(group.join_all()).into_iter().map(|(_id, result)| result.unwrap()).collect();
    /// lengths.sort_unstable();
    /// assert_eq!(lengths, [3, 5]);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn group<T: Send + 'static>(&self) -> TaskGroup<T> {
        self.0.group()
    }

    /// The tasks whose polls have gone on past their budget, as of now: those that block, or compute, where they should give way.
    ///
    /// Each is also reported once by a `tracing` warning and to [`ExecutorPlugin::on_stall`](moirai_core::ExecutorPlugin::on_stall),
    /// and again when it is over. Async tasks have a budget of [`stall_budget`](moirai_core::ExecutorConfig::stall_budget),
    /// 100 ms; parallel closures have none by default. To see a stall takes some 20 ms more than the budget.
    #[must_use]
    pub fn stalled(&self) -> Vec<Stall> {
        self.0.stalled()
    }

    /// Stops the time of this executor, if it runs, and gives the hand that moves it: for tests; see [`time`](crate::time).
    pub fn pause_time(&self) -> Arc<ManualClock> {
        self.0.pause_time()
    }

    /// Calls both closures, in parallel if a worker is free for the second, and returns what they return.
    ///
    /// The first runs on the calling thread, and so does the second if nobody has taken it by then; both may borrow from the
    /// caller. Within a recursion a call costs a few nanoseconds if nobody takes the second.
    ///
    /// - While it waits for a second closure that runs elsewhere, the thread runs pieces of that very work, or gives its seat to
    ///   another thread and sleeps; it runs nothing else. So a lock may be held across the call.
    /// - A thread that is no worker takes part, and counts as one of the workers meanwhile.
    /// - Inside a task that was cancelled it unwinds, and the task ends as cancelled.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let mut numbers = [3, 1, 4, 1, 5, 9, 2, 6];
    /// let (left, right) = numbers.split_at_mut(4);
    /// executor.join(|| left.sort_unstable(), || right.sort_unstable());
    /// assert_eq!(numbers, [1, 1, 3, 4, 2, 5, 6, 9]);
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If a closure does, when both have ended: with what the first one's panic carried, if both have.
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.0.join(a, b)
    }

    /// Calls `f` with a scope, in which closures can be spawned that borrow from the caller, and returns when all of them have
    /// ended.
    ///
    /// `f` runs on the calling thread and need not be `Send`. What is said of [`join`](Self::join) about waiting, about threads
    /// that are no workers, and about cancelled tasks, holds here too.
    ///
    /// There is no scope for futures that borrow: its own future could be leaked before it ends, and what was borrowed would be
    /// gone while the tasks still run. Give such tasks what they need by `Arc`, or call `scope` or `join` inside of one.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let words = ["one", "three", "five"];
    /// let mut lengths = [0; 3];
    /// executor.scope(|s| {
    ///     for (length, word) in lengths.iter_mut().zip(&words) {
    ///         s.spawn(move |_| *length = word.len());
    ///     }
    /// });
    /// assert_eq!(lengths, [3, 5, 4]);
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` or one of the closures does, when all have ended: with what the panic of `f` carried, or else one of theirs.
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
    {
        self.0.scope(f)
    }

    /// Runs a [`Task`] on the workers, ahead of or behind others.
    #[track_caller]
    pub fn spawn_with_priority<T: Task>(
        &self,
        task: T,
        priority: Priority,
    ) -> TaskHandle<T::Output> {
        self.0.spawn_with_priority(task, priority)
    }

    /// Spawns a task with a name, or a priority.
    pub fn task(&self) -> TaskBuilder<'_> {
        self.0.task()
    }

    /// Runs a future on the calling thread until it is done. Inside a task the worker's seat goes to another thread while the
    /// future waits.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Runs one queued task on the calling thread, if there is one, and says whether there was.
    ///
    /// Any task that is queued may be the one: call it where unrelated work is welcome, with no lock held.
    pub fn try_run(&self) -> bool {
        self.0.try_run()
    }

    /// Where the task stands; `None` if the id is unknown or its record has been dropped.
    #[must_use]
    pub fn task_status(&self, id: TaskId) -> Option<TaskStatus> {
        self.0.task_status(id)
    }

    /// The task's record; `None` if the id is unknown or its record has been dropped.
    #[must_use]
    pub fn task_stats(&self, id: TaskId) -> Option<TaskStats> {
        self.0.task_stats(id)
    }

    /// The records of all tasks, active and retained: a snapshot.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStats> {
        self.0.tasks()
    }

    /// Asks a queued or running task to stop, and says whether there was one to ask; see [`TaskHandle::cancel`].
    pub fn cancel_task(&self, id: TaskId) -> bool {
        self.0.cancel_task(id)
    }

    /// Waits until the task has ended, or the timeout has passed, and gives its status at that moment; `None` if the id is
    /// unknown or its record has been dropped already. The terminal status is delivered also if the record is dropped at once.
    pub fn wait_for_task(
        &self,
        id: TaskId,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Option<TaskStatus>> + Send + use<> {
        self.0.wait_for_task(id, timeout)
    }

    /// Drops the records of tasks that have ended and are older than `task_retention_duration`, or more than
    /// `max_retained_tasks`, and says how many. Works with automatic cleanup off, too.
    pub fn cleanup_completed_tasks(&self) -> usize {
        self.0.cleanup_completed_tasks()
    }

    /// What the registry holds now, and what has been dropped from it.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        self.0.cleanup_stats()
    }

    /// Refuses new tasks, and waits without limit until every active one has ended.
    ///
    /// May be called more than once and from several threads: each call waits and reports. Inside a task of this executor it
    /// returns at once, because the task would wait for itself; the shutdown goes on in the background.
    pub fn shutdown(&self) -> ShutdownReport {
        self.0.shutdown()
    }

    /// Refuses new tasks, waits for the active ones for as long as `timeout`, then cancels what is queued or waiting, and
    /// returns within 50 ms more, also if a task goes on regardless. Inside a task of this executor it returns at once, and
    /// the shutdown goes on in the background.
    pub fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport {
        self.0.shutdown_timeout(timeout)
    }

    /// Has Ctrl-C shut the executor down, as [`shutdown_timeout`](Self::shutdown_timeout) does; a second Ctrl-C ends the process
    /// at once, with status 130. A process can have one handler for Ctrl-C.
    ///
    /// The handler does not keep the executor running. If it is shut down already when Ctrl-C comes, the process ends.
    ///
    /// ```no_run
    /// # use moirai::prelude::*;
    /// # use std::time::Duration;
    /// let executor = Moirai::new()?;
    /// let stopped = executor.shutdown_on_ctrl_c(Duration::from_secs(10)).unwrap();
    /// executor.spawn_async(async { /* serve */ });
    /// println!("{}", stopped.wait());
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has a handler for Ctrl-C already, or the system does not let it have one.
    #[cfg(feature = "ctrl-c")]
    pub fn shutdown_on_ctrl_c(&self, timeout: Duration) -> Result<crate::CtrlC, crate::CtrlCError> {
        crate::ctrl_c::install(self.0.without_owner(), timeout)
    }

    /// Whether a shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.is_shutting_down()
    }

    /// How many workers there are.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.0.worker_count()
    }

    /// How many tasks are queued for the workers now.
    #[must_use]
    pub fn load(&self) -> usize {
        self.0.load()
    }

    /// What tasks and workers have done so far. Empty if `record_metrics` is off.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.0.recorder().map(MetricsRecorder::snapshot).unwrap_or_default()
    }
}

impl fmt::Debug for Moirai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moirai").field(&self.0).finish()
    }
}
