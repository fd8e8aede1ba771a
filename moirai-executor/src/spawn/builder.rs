//! Spawning a task with a name, a priority, a limit.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{Priority, TaskKind};
use moirai_sync::CancellationToken;

use crate::handle::TaskHandle;
use crate::runtime::admission::TrySpawnError;
use crate::runtime::shared::Shared;
use crate::spawn::Description;
use crate::spawn::cancel_on::Wishes;

/// Spawns a task with a name, a priority, a deadline, a token. Made by `task()`.
///
/// What happens at a limit on tasks is the caller's choice: `spawn_*` is refused, `try_spawn_*` gives the work back, and
/// `spawn_*_when_free` waits.
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
    wishes: Option<Box<Wishes>>,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) const fn new(shared: &'a Shared) -> Self {
        Self { shared, name: None, priority: Priority::Normal, wishes: None }
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

    /// How long the task may take, from its spawn on, by the executor's [time](crate::time). After that it is cancelled as by its
    /// handle: `Cancelled` in the books, [`TaskError::TimedOut`](moirai_core::TaskError::TimedOut) at the handle. A closure that
    /// runs already is not interrupted, but can ask [`is_cancelled`](crate::is_cancelled).
    ///
    /// ```
    /// # use moirai_executor::HybridExecutor;
    /// # use std::time::Duration;
    /// let executor = HybridExecutor::builder().worker_threads(1).build()?;
    /// let stuck = executor.task().timeout(Duration::from_millis(1)).spawn_async(std::future::pending::<()>());
    /// assert!(stuck.join().unwrap_err().is_timed_out());
    /// # Ok::<(), moirai_core::BuildError>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wishes.get_or_insert_default().timeout = Some(timeout);
        self
    }

    /// By when the task should have run, from its spawn on: for a scheduler that goes by deadlines, such as
    /// [`EarliestDeadline`](moirai_scheduler::EarliestDeadline). Nothing is cancelled when it is missed. Without it, the
    /// [`timeout`](Self::timeout) counts as deadline.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.wishes.get_or_insert_default().deadline = Some(within);
        self
    }

    /// Tasks with the same number are best run by the same worker: for a scheduler that places tasks, such as
    /// [`ThreadPerCore`](moirai_scheduler::ThreadPerCore).
    pub fn affinity(mut self, number: u64) -> Self {
        self.wishes.get_or_insert_default().affinity = Some(number);
        self
    }

    /// How long the task is expected to compute: for a scheduler that goes by it.
    pub fn expected_duration(mut self, duration: Duration) -> Self {
        self.wishes.get_or_insert_default().expected_duration = Some(duration);
        self
    }

    /// Cancels the task when the token is cancelled. With a token that is cancelled already the task never runs.
    ///
    /// ```
    /// # use moirai_executor::HybridExecutor;
    /// # use moirai_sync::CancellationToken;
    /// let executor = HybridExecutor::builder().worker_threads(1).build()?;
    /// let token = CancellationToken::new();
    /// let task = executor.task().cancel_token(token.child_token()).spawn_async(std::future::pending::<()>());
    /// token.cancel();
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// # Ok::<(), moirai_core::BuildError>(())
    /// ```
    pub fn cancel_token(mut self, token: CancellationToken) -> Self {
        self.wishes.get_or_insert_default().token = Some(token);
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

    /// As [`spawn_async`](Self::spawn_async), but gives the future back if it is refused.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at the limit on active tasks, and when the executor is shutting down.
    #[track_caller]
    pub fn try_spawn_async<F>(self, future: F) -> Result<TaskHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let about = self.description(TaskKind::Async, Location::caller());
        let future = self.shared.try_enter(about.kind, future)?;
        Ok(self.shared.start_future(future, about))
    }

    /// As [`spawn_parallel`](Self::spawn_parallel), but gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async).
    #[track_caller]
    pub fn try_spawn_parallel<F, R>(self, f: F) -> Result<TaskHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Parallel, Location::caller());
        let f = self.shared.try_enter(about.kind, f)?;
        Ok(self.shared.start_closure(f, about))
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but never waits: gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async), and when all threads for blocking tasks are taken and their queue is full.
    #[track_caller]
    pub fn try_spawn_blocking<F, R>(self, f: F) -> Result<TaskHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Blocking, Location::caller());
        let f = self.shared.try_enter(about.kind, f)?;
        Ok(self.shared.start_closure(f, about))
    }

    /// As [`spawn_async`](Self::spawn_async), once the limit on active tasks allows it. Those who wait are served in the order in
    /// which they came. Dropped before, it spawns nothing.
    ///
    /// A task that waits for room holds a place itself: if all active tasks do nothing but wait for room, nobody gets any.
    #[track_caller]
    pub fn spawn_async_when_free<F>(
        self,
        future: F,
    ) -> impl Future<Output = TaskHandle<F::Output>> + Send + use<F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let about = self.description(TaskKind::Async, Location::caller());
        when_free(self.counted(), future, about, Shared::start_future)
    }

    /// As [`spawn_parallel`](Self::spawn_parallel), once the limit on active tasks allows it; see
    /// [`spawn_async_when_free`](Self::spawn_async_when_free).
    #[track_caller]
    pub fn spawn_parallel_when_free<F, R>(
        self,
        f: F,
    ) -> impl Future<Output = TaskHandle<R>> + Send + use<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Parallel, Location::caller());
        when_free(self.counted(), f, about, Shared::start_closure)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), once there is room in the queue and the limit on active tasks allows it; see
    /// [`spawn_async_when_free`](Self::spawn_async_when_free). Unlike `spawn_blocking` it does not block the caller.
    #[track_caller]
    pub fn spawn_blocking_when_free<F, R>(
        self,
        f: F,
    ) -> impl Future<Output = TaskHandle<R>> + Send + use<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let about = self.description(TaskKind::Blocking, Location::caller());
        when_free(self.counted(), f, about, Shared::start_closure)
    }

    fn counted(&self) -> Arc<Shared> {
        self.shared.arc().expect("whoever spawns has a reference to the executor")
    }

    fn description(&self, kind: TaskKind, location: &'static Location<'static>) -> Description {
        let mut about = Description::at(kind, location);
        about.priority = self.priority;
        about.name = self.name.clone();
        about.wishes = self.wishes.clone();
        about
    }
}

/// Waits for room, then starts the work.
#[allow(clippy::async_yields_async)] // The handle is what was asked for, not its result.
async fn when_free<W: Send + 'static, T>(
    shared: Arc<Shared>,
    work: W,
    about: Description,
    start: impl FnOnce(&Shared, W, Description) -> TaskHandle<T> + Send,
) -> TaskHandle<T> {
    match shared.admission.wait(about.kind).await {
        Ok(()) => start(&shared, work, about),
        Err(why) => shared.refuse(work, why),
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
