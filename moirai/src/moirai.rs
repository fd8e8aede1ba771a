//! The handle to an executor: [`Moirai`], the type that most programs name.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{
    BuildError, CleanupStats, ExecutorControl, Lookup, ManualClock, NotAFuture, Priority,
    ShutdownReport, Stall, Task, TaskId, TaskManager, TaskSpawner, TaskStats, TaskStatus,
};
use moirai_executor::{
    HybridExecutor, HybridExecutorBuilder, Scope, TaskBuilder, TaskGroup, TaskHandle, WeakExecutor,
    box_if_large,
};
use moirai_metrics::{MetricsRecorder, MetricsSnapshot};
use moirai_sync::CancellationToken;

use crate::environment;

/// A handle to a running executor: workers for async tasks and parallel closures, a pool of threads for blocking ones, and the
/// registry, which has a record of every task.
///
/// Clones are handles to the same executor. A handle that [`new`](Self::new) or [`build`](MoiraiBuilder::build) returned, or a
/// clone of one, owns the executor. When the last owner is dropped, the executor shuts down: tasks that are queued or waiting are
/// cancelled, and polls that are in progress are waited for, for at most one second; on a worker or inside of a task they are not
/// waited for at all. The handles that [`current`](Self::current) returns and that a [simulation](crate::sim) gives to its scenario
/// do not own their executor.
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

/// Sets up an executor. [`Moirai::builder`] creates one.
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
    /// Wraps a handle to the same executor. [`metrics`](Moirai::metrics) of the new handle are empty unless the executor was built
    /// with a [`MetricsRecorder`].
    fn from(executor: HybridExecutor) -> Self {
        Self(executor)
    }
}

impl Moirai {
    /// Starts an executor with the default configuration. It has one worker per processor, or as many as the environment variable
    /// `MOIRAI_WORKER_THREADS` says, and keeps the records of ended tasks for five minutes, but of no more than 10,000 tasks.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a thread cannot be started.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Returns a builder with the default configuration.
    ///
    /// The environment variable `MOIRAI_WORKER_THREADS` sets the number of workers, unless the builder is told one, or given a
    /// whole configuration. A value that is not a number from 1 to
    /// [`MAX_WORKER_THREADS`](crate::ExecutorConfig::MAX_WORKER_THREADS) is ignored, and reported once on standard error.
    pub fn builder() -> MoiraiBuilder {
        let builder = HybridExecutor::builder().wrapped_in();
        let builder = builder.recorder(Arc::new(MetricsRecorder::default()));
        match environment::worker_threads() {
            Some(workers) => builder.worker_threads(workers),
            None => builder,
        }
    }

    /// Returns the executor that runs the calling thread: inside of a task, of [`block_on`](Self::block_on), and of
    /// [`join`](Self::join) and [`scope`](Self::scope). The handle does not keep the executor running.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let task = executor.spawn_parallel(|| Moirai::current().map(|executor| executor.worker_count()));
    /// assert_eq!(task.join().unwrap(), Some(executor.worker_count()));
    /// assert!(Moirai::current().is_none(), "no executor runs the main thread");
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        HybridExecutor::current().map(Self)
    }

    /// Returns the index of the worker that the calling thread is, in the executor that runs it; `None` if the thread is not one of
    /// that executor's workers.
    #[must_use]
    pub fn worker_index() -> Option<usize> {
        HybridExecutor::worker_index()
    }

    /// Returns a handle that does not keep the executor running. Keep such a handle where a task, or what a task owns, refers to
    /// its executor: otherwise the executor would never end by itself.
    #[must_use]
    pub fn without_owner(&self) -> Self {
        Self(self.0.without_owner())
    }

    /// Returns a reference that keeps neither the executor running nor its records in memory.
    #[must_use]
    pub fn downgrade(&self) -> WeakMoirai {
        WeakMoirai(self.0.downgrade())
    }

    /// Returns the wrapped executor, for code that is generic over [`moirai_core::Executor`].
    #[must_use]
    pub fn executor(&self) -> &HybridExecutor {
        &self.0
    }

    pub(crate) fn into_executor(self) -> HybridExecutor {
        self.0
    }

    /// Spawns a [`Task`], such as a closure, which a worker runs.
    ///
    /// If the task is refused, its handle returns [`TaskError::ShutDown`](crate::TaskError::ShutDown) once the executor is shutting
    /// down, and [`TaskError::AtCapacity`](crate::TaskError::AtCapacity) at the limit on active tasks, if there is one. This is
    /// true of all `spawn` methods; [`TaskBuilder`] has others, which give the work back or wait.
    ///
    /// What a task or a closure returns must not be a future, which nobody would poll; see [`NotAFuture`]. To run a future, use
    /// [`spawn_async`](Self::spawn_async).
    ///
    /// ```compile_fail,E0277
    /// # let executor = moirai::Moirai::new().unwrap();
    /// executor.spawn(async { 6 * 7 });
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn<T, ReturnsNoFuture>(&self, task: T) -> TaskHandle<T::Output>
    where
        T: Send + Task<Output: NotAFuture<ReturnsNoFuture>>,
    {
        box_if_large!(task: T = { let task = Box::new(task); move || task.run() }, self.0.spawn(task))
    }

    /// Spawns a future, which the workers poll.
    ///
    /// A future of more than 16 KiB, or 2 KiB in a debug build, is moved to the heap first, so that large futures need little
    /// stack. The same is true of closures, and of [`block_on`](Self::block_on).
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let double = executor.spawn_async(async { 21 * 2 });
    /// let sum = executor.spawn_async(async move { double.await.unwrap() + 1 });
    /// assert_eq!(sum.join().unwrap(), 43);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn_async<F>(&self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        box_if_large!(future: F = Box::pin(future), self.0.spawn_async(future))
    }

    /// Spawns a future whose result nobody wants, and returns the task's id.
    ///
    /// It is what [`spawn_async`](Self::spawn_async) is when its handle is dropped at once, and costs a little less. The task keeps
    /// its record, by which it can be watched and cancelled. If it panics, the panic is logged. If it is refused, its future is
    /// dropped, the id names no record, and never will, and the task is counted as refused.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let id = executor.spawn_detached(async { 6 * 7 });
    /// let ended = executor.block_on(executor.wait_for_task(id, None));
    /// assert_eq!(ended, Some(TaskStatus::Completed));
    /// # Ok::<(), BuildError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn_detached<F>(&self, future: F) -> TaskId
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        box_if_large!(future: F = Box::pin(future), self.0.spawn_detached(future))
    }

    /// Spawns a closure that computes, which a worker runs. For one that blocks, use [`spawn_blocking`](Self::spawn_blocking).
    ///
    /// A closure that returns a future does not compile, because nobody would poll that future:
    ///
    /// ```compile_fail,E0282
    /// # let executor = moirai::Moirai::new().unwrap();
    /// executor.spawn_parallel(|| async { 6 * 7 });
    /// ```
    ///
    /// Spawn the future itself, with [`spawn_async`](Self::spawn_async). If it is to be returned nevertheless, name
    /// [`EvenAFuture`](crate::EvenAFuture):
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// use moirai::EvenAFuture;
    ///
    /// # let executor = Moirai::new()?;
    /// let inner = executor.clone();
    /// let outer = executor.spawn_parallel::<_, _, EvenAFuture>(move || inner.spawn_parallel(|| 7));
    /// let handle: TaskHandle<i32> = outer.join().unwrap();
    /// assert_eq!(handle.join().unwrap(), 7);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn_parallel<F, R, ReturnsNoFuture>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
    {
        box_if_large!(f: F = Box::new(f), self.0.spawn_parallel(f))
    }

    /// Spawns a closure that may block, which runs on a thread of its own. There are at most
    /// [`max_blocking_threads`](crate::ExecutorConfig::max_blocking_threads) such threads. While
    /// [`blocking_queue_limit`](crate::ExecutorConfig::blocking_queue_limit) tasks wait for one, this call waits too; if it was
    /// made on a worker, the worker's core is handed off to another thread meanwhile.
    ///
    /// A closure that returns a future does not compile; see [`spawn_parallel`](Self::spawn_parallel).
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let file = executor.spawn_blocking(|| std::fs::read_to_string("Cargo.toml"));
    /// assert!(file.join().unwrap()?.contains("moirai"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn_blocking<F, R, ReturnsNoFuture>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
    {
        box_if_large!(f: F = Box::new(f), self.0.spawn_blocking(f))
    }

    /// Spawns a future that need not be `Send`: `create` makes it on a thread of the executor, on which it stays.
    ///
    /// The thread is one of those that run blocking tasks, and is the future's alone until that has ended. Inside of it,
    /// [`spawn_local`](crate::local::spawn_local) spawns others beside it. Cancelling the task drops the future, at its next `.await`,
    /// on its own thread. The record of the task does not tell how long the future was polled.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// use std::rc::Rc;
    ///
    /// let executor = Moirai::new()?;
    /// let task = executor.spawn_pinned(|| async {
    ///     let shared = Rc::new(7);
    ///     let child = moirai::local::spawn_local({
    ///         let shared = Rc::clone(&shared);
    ///         async move { *shared * 6 }
    ///     });
    ///     child.await.unwrap()
    /// });
    /// assert_eq!(task.join().unwrap(), 42);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[cfg(feature = "local")]
    #[track_caller]
    pub fn spawn_pinned<C, F>(&self, create: C) -> TaskHandle<F::Output>
    where
        C: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        crate::local::spawn_pinned(&self.0, create)
    }

    /// Creates a group, whose tasks are waited for, limited in number and cancelled together. The results of its tasks are dropped
    /// as the tasks end, unless the group is asked to keep them.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let mut group = executor.group().keep_results();
    /// for word in ["one", "three"] {
    ///     group.spawn_parallel(move || word.len());
    /// }
    /// let results = executor.block_on(group.join_all());
    /// let mut lengths: Vec<_> = results.into_iter().map(|(_id, result)| result.unwrap()).collect();
    /// lengths.sort_unstable();
    /// assert_eq!(lengths, [3, 5]);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn group<T: Send + 'static>(&self) -> TaskGroup<T> {
        self.0.group()
    }

    /// Returns the tasks whose current polls exceed their budget: tasks that block or compute where they should yield.
    ///
    /// Each such poll is also reported once, by a `tracing` warning and to
    /// [`ExecutorPlugin::on_stall`](crate::ExecutorPlugin::on_stall), and once more when it is over. Async tasks have a budget of
    /// [`stall_budget`](crate::ExecutorConfig::stall_budget), 100 ms by default; parallel closures have none by default. A stall is
    /// noticed some 20 ms after the budget is exceeded.
    #[must_use]
    pub fn stalled(&self) -> Vec<Stall> {
        self.0.stalled()
    }

    /// Stops this executor's time, if it is running, and returns the clock that moves it. For tests; see [`time`](crate::time).
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// # use std::time::Duration;
    /// let executor = Moirai::new()?;
    /// let clock = executor.pause_time();
    /// let task = executor.task().timeout(Duration::from_secs(60)).spawn_async(std::future::pending::<()>());
    /// clock.advance(Duration::from_secs(60));
    /// assert!(task.join().unwrap_err().is_timed_out());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn pause_time(&self) -> Arc<ManualClock> {
        self.0.pause_time()
    }

    /// Calls both closures, in parallel if a worker is free for the second, and returns both results.
    ///
    /// The first closure runs on the calling thread. The second does too if no other thread has taken it by then. Both may borrow
    /// from the caller. Within a recursion a call costs a few nanoseconds if no thread takes the second closure.
    ///
    /// - While the calling thread waits for a second closure that runs elsewhere, it runs parts of that same work, or sleeps; a
    ///   worker that sleeps may hand off its core to another thread. It runs nothing else, so the caller may hold a lock across the
    ///   call.
    /// - A thread that is not a worker takes part in the work, and counts as one of the workers meanwhile.
    /// - Inside of a task that was cancelled the call unwinds, and the task ends as cancelled.
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
    /// If a closure panics, once both have ended. If both panic, with the payload of the first.
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
    /// `f` runs on the calling thread and need not be `Send`. What [`join`](Self::join) says about waiting, about threads that are
    /// not workers, and about cancelled tasks is true here too.
    ///
    /// There is no scope for futures that borrow. The future of such a scope could be leaked before it ends, and the tasks would go
    /// on to use what they had borrowed after it is gone. Pass such tasks what they need in an `Arc`, or call `scope` or `join`
    /// inside of a task.
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
    /// If `f` or one of the closures panics, once all have ended: with the payload of `f`, or else with the first one of a closure.
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        self.0.scope(f)
    }

    /// Spawns a [`Task`] with a priority. The default scheduler takes tasks of a higher priority first, within a bound that keeps
    /// the others moving.
    #[inline]
    #[track_caller]
    pub fn spawn_with_priority<T, ReturnsNoFuture>(
        &self,
        task: T,
        priority: Priority,
    ) -> TaskHandle<T::Output>
    where
        T: Send + Task<Output: NotAFuture<ReturnsNoFuture>>,
    {
        box_if_large!(task: T = { let task = Box::new(task); move || task.run() }, self.0.spawn_with_priority(task, priority))
    }

    /// Returns a builder for a task, which sets its name, priority, timeout and more before it is spawned.
    pub fn task(&self) -> TaskBuilder<'_> {
        self.0.task()
    }

    /// Runs a future on the calling thread until it is done, and returns its output. Inside of a task, the worker's core is handed
    /// off to another thread while the future waits.
    ///
    /// Inside of a task of another runtime, that runtime is not told that its thread blocks. If the future waits for a task of that
    /// same runtime, this can hang without a sign; await the future there instead.
    #[inline]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        box_if_large!(future: F = Box::pin(future), self.0.block_on(future))
    }

    /// Runs one queued task on the calling thread, if there is one, and returns whether there was one.
    ///
    /// It may be any task that is queued. Inside of 32 tasks that run each other like this it runs none, so that the stack is
    /// bounded. Call this only where unrelated work may run, and with no lock held.
    pub fn try_run(&self) -> bool {
        self.0.try_run()
    }

    /// Returns the task's status; `None` if the id is unknown or the task's record has been dropped. [`lookup`](Self::lookup) tells
    /// these two apart.
    #[must_use]
    pub fn task_status(&self, id: TaskId) -> Option<TaskStatus> {
        self.0.task_status(id)
    }

    /// Returns the task's record; `None` if the id is unknown or the record has been dropped.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let task = executor.task().name("sum").spawn_parallel(|| (1..=100).sum::<u64>());
    /// let id = task.id();
    /// task.join().unwrap();
    /// let stats = executor.task_stats(id).expect("the record is kept for five minutes");
    /// assert_eq!((stats.name.as_deref(), stats.status), (Some("sum"), TaskStatus::Completed));
    /// println!("spawned at {}, waited {:?}, ran {:?}", stats.location, stats.queue_time(), stats.busy);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn task_stats(&self, id: TaskId) -> Option<TaskStats> {
        self.0.task_stats(id)
    }

    /// Returns what is known of an id: a copy of the task's record, or, if there is none, whether a task had this id.
    ///
    /// The id of a task that has ended is [`Lookup::Evicted`] from the eviction of its record on. An id that was not given out yet,
    /// and that of a task that was refused, is [`Lookup::Unknown`]. So is any number that was made up, almost always: of memory
    /// that was released after a burst of tasks it is not known any more which of the ids in it were given out, and such an id is
    /// taken for one that was. An id of another executor is answered as if it were one of this executor.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let config = CleanupConfig { max_retained_tasks: 1, ..CleanupConfig::default() };
    /// let executor = Moirai::builder().cleanup_config(config).build()?;
    /// let [first, second] = [1, 2].map(|n| {
    ///     let task = executor.spawn_parallel(move || n);
    ///     let id = task.id();
    ///     task.join().unwrap();
    ///     id
    /// });
    /// assert!(executor.lookup(first).is_evicted());
    /// assert!(matches!(executor.lookup(second), Lookup::Found(task) if task.status == TaskStatus::Completed));
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn lookup(&self, id: TaskId) -> Lookup {
        self.0.lookup(id)
    }

    /// Returns a snapshot of the records of all tasks, active and retained.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStats> {
        self.0.tasks()
    }

    /// Returns the records of the tasks that were spawned with this [tag](TaskBuilder::tag), active and retained. It looks at all records.
    #[must_use]
    pub fn tasks_tagged(&self, key: &str, value: impl fmt::Display) -> Vec<TaskStats> {
        self.0.tasks_tagged(key, value)
    }

    /// Asks a queued or running task to stop, as [`TaskHandle::cancel`] does. Returns `false` if the id belongs to no active task.
    pub fn cancel_task(&self, id: TaskId) -> bool {
        self.0.cancel_task(id)
    }

    /// Waits until the task has ended or the timeout has passed, and returns the task's status at that moment; `None` if the id is
    /// unknown or the record has been dropped already. The terminal status is returned even if the record is dropped as soon as the
    /// task has ended.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let task = executor.spawn_async(async { "done" });
    /// let id = task.id();
    /// drop(task);
    /// let status = executor.block_on(executor.wait_for_task(id, None));
    /// assert_eq!(status, Some(TaskStatus::Completed));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn wait_for_task(
        &self,
        id: TaskId,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Option<TaskStatus>> + Send + use<> {
        self.0.wait_for_task(id, timeout)
    }

    /// Drops the records of ended tasks that are older than `task_retention_duration`, or are more than `max_retained_tasks`, and
    /// returns how many it dropped. It does so with automatic cleanup turned off, too. Records of retention classes are dropped by
    /// the limits of their classes.
    pub fn cleanup_completed_tasks(&self) -> usize {
        self.0.cleanup_completed_tasks()
    }

    /// Returns what the registry holds now, and what has been dropped from it.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        self.0.cleanup_stats()
    }

    /// Refuses new tasks, waits without a time limit until every active one has ended, and returns what became of all tasks.
    ///
    /// It may be called more than once, and by several threads: each call waits and returns a report. Inside of a task of this
    /// executor the call returns at once, because the task would wait for itself; the shutdown goes on in the background.
    pub fn shutdown(&self) -> ShutdownReport {
        self.0.shutdown()
    }

    /// Refuses new tasks, waits for the active ones for at most `timeout`, then cancels those that are queued or waiting, and
    /// returns within another 50 ms, even if a task does not stop. Inside of a task of this executor it returns at once, and the
    /// shutdown goes on in the background.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// # use std::time::Duration;
    /// let executor = Moirai::new()?;
    /// executor.task().name("forever").spawn_async(std::future::pending::<()>());
    /// let report = executor.shutdown_timeout(Duration::from_millis(10));
    /// assert_eq!((report.cancelled, report.still_active), (1, 0));
    /// assert_eq!(report.cancelled_tasks[0].name.as_deref(), Some("forever"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport {
        self.0.shutdown_timeout(timeout)
    }

    /// Lets active tasks end their work, and refuses other work. If they take longer than `timeout`, cancels what is left, as
    /// [`shutdown_timeout`](Self::shutdown_timeout) does, and returns within another 50 ms.
    ///
    /// - The drain begins by telling the tasks: the futures of [`shutting_down`](Self::shutting_down) become ready, and the
    ///   [tokens](Self::shutdown_token) are cancelled. Endless tasks, such as those that accept connections, have to end by that.
    /// - Until the last task has ended, tasks may spawn others, and so may tasks of tokio's on executors with that driver. What others
    ///   spawn is refused: threads outside of tasks, also in [`block_on`](Self::block_on) and so in the body of `#[moirai::main]`, and
    ///   callbacks of the shutdown.
    /// - [`shutdown_timeout`](Self::shutdown_timeout) differs in this: it refuses what tasks spawn, too, so a task that spawns to end
    ///   its work cannot.
    ///
    /// Inside of a task of this executor it returns at once, and the drain goes on in the background.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// # use std::time::Duration;
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let (stage, stages) = std::sync::mpsc::channel();
    /// executor.spawn_async(async move {
    ///     // Here this would accept connections.
    ///     moirai::shutting_down().await;
    ///     let flush = moirai::spawn_async(async { "flushed" });
    ///     stage.send(flush.await.unwrap()).unwrap();
    /// });
    /// let report = executor.drain(Duration::from_secs(10));
    /// assert!(report.is_clean() && report.elapsed < Duration::from_secs(10));
    /// assert_eq!(stages.recv(), Ok("flushed"));
    /// assert!(executor.spawn_async(async {}).join().unwrap_err().is_shut_down());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn drain(&self, timeout: Duration) -> ShutdownReport {
        self.0.drain(timeout)
    }

    /// Waits until a shutdown has begun: a [`drain`](Self::drain), one of the other shutdowns, or the drop of the last owner. The future
    /// does not keep the executor running.
    ///
    /// This ends what has no end of its own, such as `axum::serve(…).with_graceful_shutdown(moirai::shutting_down())`, or a loop that
    /// accepts connections.
    pub fn shutting_down(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.shutting_down()
    }

    /// Returns a token that is cancelled when a shutdown begins. Cancelling the token itself does not shut the executor down.
    ///
    /// A [callback](crate::sync::CancellationToken::on_cancel) of the token is called on another thread, if the shutdown has a deadline.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// let token = executor.shutdown_token();
    /// let polling = executor.spawn_parallel(move || while !token.is_cancelled() { std::thread::yield_now() });
    /// executor.shutdown();
    /// polling.join().unwrap();
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.0.shutdown_token()
    }

    /// Drains the executor when the process is asked to end: by SIGTERM, or by SIGINT, which is Ctrl-C. A second such signal ends the
    /// process at once, with status 143 or 130.
    ///
    /// The first signal begins a [`drain`](Self::drain) with this timeout, unless the executor is shutting down already. The handler does
    /// not keep the executor running. Once the executor has been shut down, a signal ends the process, unless the program has a
    /// [`Signal`](crate::signal::Signal) that listens for it. Where several executors are to be drained, one signal begins all drains.
    ///
    /// The future also resolves when the executor has been shut down without a signal.
    ///
    /// Signals are received as those of [`signal`](crate::signal) are. Other listeners of the same signals are told, too.
    ///
    /// ```no_run
    /// # use moirai::prelude::*;
    /// # use std::time::Duration;
    /// let executor = Moirai::new()?;
    /// let drained = executor.shutdown_on_signals(Duration::from_secs(10))?;
    /// executor.spawn_async(async { /* serve until moirai::shutting_down() */ });
    /// println!("{}", drained.wait());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the system refuses the handlers, or the thread that receives signals.
    #[cfg(all(unix, feature = "signal"))]
    pub fn shutdown_on_signals(
        &self,
        timeout: Duration,
    ) -> std::io::Result<crate::signal::Drained> {
        crate::signal::drain_on_signals(&self.0, timeout)
    }

    /// Installs a handler for Ctrl-C that shuts the executor down as [`shutdown_timeout`](Self::shutdown_timeout) does. A second
    /// Ctrl-C ends the process at once, with status 130. A process can have one handler for Ctrl-C.
    ///
    /// The handler does not keep the executor running. If the executor is already shutting down, or has shut down, when the first
    /// Ctrl-C comes, that one ends the process.
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
    /// If the process has a handler for Ctrl-C already, or the system refuses the handler.
    #[cfg(feature = "ctrl-c")]
    pub fn shutdown_on_ctrl_c(&self, timeout: Duration) -> Result<crate::CtrlC, crate::CtrlCError> {
        crate::ctrl_c::install(self.0.without_owner(), timeout)
    }

    /// Returns whether a shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.is_shutting_down()
    }

    /// Returns the number of workers.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.0.worker_count()
    }

    /// Returns the number of tasks that are queued for the workers now. Blocking tasks that wait for a thread are not among them.
    #[must_use]
    pub fn load(&self) -> usize {
        self.0.load()
    }

    /// Returns what tasks and workers have done so far. It is empty if [`record_metrics`](crate::ExecutorConfig::record_metrics) is
    /// off.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let executor = Moirai::new()?;
    /// executor.spawn_parallel(|| ()).join().unwrap();
    /// let metrics = executor.metrics();
    /// println!("{metrics}");
    /// assert_eq!(metrics.execution_time.count(), 1);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.0.recorder().map(MetricsRecorder::snapshot).unwrap_or_default()
    }
}

/// A reference to an executor that keeps neither the executor running nor its records in memory. [`Moirai::downgrade`] creates one.
///
/// Keep one where something looks at an executor from outside and is to end with it, such as a thread that exports its metrics.
///
/// ```
/// # use moirai::prelude::*;
/// let executor = Moirai::new()?;
/// let weak = executor.downgrade();
/// assert!(weak.upgrade().is_some_and(|same| same.worker_count() == executor.worker_count()));
/// executor.shutdown();
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeakMoirai(WeakExecutor);

impl WeakMoirai {
    /// Returns a handle that does not keep the executor running, as [`Moirai::without_owner`] does; `None` once the executor is gone:
    /// its threads have ended, and so have all of its handles and tasks.
    #[must_use]
    pub fn upgrade(&self) -> Option<Moirai> {
        self.0.upgrade().map(Moirai::from)
    }

    /// Returns whether [`upgrade`](Self::upgrade) would return a handle now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}

impl fmt::Debug for Moirai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moirai").field(&self.0).finish()
    }
}
