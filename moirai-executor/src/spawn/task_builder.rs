//! Describing a task before it is spawned.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moirai_core::{NotAFuture, Priority, Tags, TaskKind};
use moirai_sync::CancellationToken;

use crate::box_if_large;
use crate::handle::TaskHandle;
use crate::panics::log;
use crate::registry::ClassId;
use crate::runtime::admission::{RefuseReason, TrySpawnError};
use crate::runtime::context::Context;
use crate::runtime::shared::Shared;
use crate::runtime::task_host::reserve_thread;
use crate::spawn::destination::{Destination, FailsOnErr, Standalone};
use crate::spawn::large::Size;
use crate::spawn::launch::refuses_caller;
use crate::spawn::options::{RareOptions, SpawnOptions};
use crate::spawn::refuse::refuse;
use crate::spawn::start::{
    spawn_admitted, spawn_admitted_closure, spawn_closure, spawn_future, try_enter,
};

/// Describes a task before it is spawned: its name, priority, timeout, cancellation token, and the group that it belongs to.
/// `task()` creates one.
///
/// There are three ways to meet a limit on tasks: `spawn_*` refuses the task, `try_spawn_*` gives the work back, and
/// `spawn_*_when_free` waits. The limits are those of the executor,
/// [`max_active_tasks`](moirai_core::ExecutorConfig::max_active_tasks) and the queue for blocking tasks, and that of the group,
/// [`max_tasks`](crate::TaskGroup::max_tasks).
///
/// `D` is the [`Destination`]: it decides whether a spawn returns a [`TaskHandle`] or, for a task in a group, the task's id.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// let handle = executor.task().name("answer").priority(Priority::High).spawn_async(async { 42 });
/// let id = handle.id();
/// assert_eq!(handle.join().unwrap(), 42);
/// assert_eq!(executor.task_stats(id).unwrap().name.as_deref(), Some("answer"));
/// # Ok::<(), BuildError>(())
/// ```
#[must_use = "a builder does nothing until a task is spawned with it"]
pub struct TaskBuilder<'a, D = Standalone> {
    shared: &'a Shared,
    name: Option<Cow<'static, str>>,
    priority: Priority,
    class: ClassId,
    rare: Option<Box<RareOptions>>,
    destination: D,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) const fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            name: None,
            priority: Priority::Normal,
            class: ClassId::DEFAULT,
            rare: None,
            destination: Standalone,
        }
    }
}

impl<'a, D> TaskBuilder<'a, D> {
    /// Returns the same builder with another destination.
    pub(crate) fn map_destination<D2>(self, map: impl FnOnce(D) -> D2) -> TaskBuilder<'a, D2> {
        let Self { shared, name, priority, rare, class, destination } = self;
        TaskBuilder { shared, name, priority, rare, class, destination: map(destination) }
    }

    /// Names the task. The record keeps at most [`MAX_NAME_BYTES`](moirai_core::text::MAX_NAME_BYTES) bytes of the name, cut at a
    /// character boundary.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the task's priority. Blocking tasks run in the order in which they were spawned, whatever their priority.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Has the task's record kept by the limits of a retention class, which the executor's builder has named with
    /// [`retention`](crate::HybridExecutorBuilder::retention), instead of by those for all other tasks.
    ///
    /// If the executor has no class of this name, the record is kept as those of other tasks are, and the first such name is warned
    /// of through `tracing`.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::time::Duration;
    ///
    /// let limits = Retention { max_records: 100, max_age: Duration::from_secs(24 * 3600) };
    /// let executor = Moirai::builder().retention("jobs", limits).build()?;
    /// let job = executor.task().retention("jobs").spawn_parallel(|| 6 * 7);
    /// let id = job.id();
    /// assert_eq!(job.join().unwrap(), 42);
    /// for other in (0..20_000).map(|n| executor.spawn_parallel(move || n)).collect::<Vec<_>>() {
    ///     other.join().unwrap();
    /// }
    /// assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn retention(mut self, class: &str) -> Self {
        self.class = self.shared.registry.class(class).unwrap_or_else(|| {
            warn_of_class(self.shared, class);
            ClassId::DEFAULT
        });
        self
    }

    /// Cancels the task when `timeout` has passed since its spawn, by the executor's [time](crate::time).
    ///
    /// The task's record then says `Cancelled`, and its handle returns [`TaskError::TimedOut`](moirai_core::TaskError::TimedOut). A
    /// closure that is running already is not interrupted, but can ask [`is_cancelled`](crate::is_cancelled).
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::time::Duration;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let stuck = executor.task().timeout(Duration::from_millis(1)).spawn_async(std::future::pending::<()>());
    /// assert!(stuck.join().unwrap_err().is_timed_out());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.rare.get_or_insert_default().cancel.timeout = Some(timeout);
        self
    }

    /// Sets the time within which the task should run, counted from its spawn, for schedulers that order tasks by deadline, such as
    /// [`EarliestDeadline`](moirai_scheduler::EarliestDeadline).
    ///
    /// This is a hint: nothing is cancelled when the deadline is missed. To cancel a task, set a [`timeout`](Self::timeout), which is
    /// also the deadline if none is set. The default scheduler reads no deadlines; the first one that is set without effect is
    /// warned of through `tracing`. See [`Scheduler::hints`](moirai_core::Scheduler::hints).
    pub fn deadline(mut self, within: Duration) -> Self {
        self.rare.get_or_insert_default().deadline = Some(within);
        self
    }

    /// Sets the task's affinity, for schedulers that place tasks, such as [`ThreadPerCore`](moirai_scheduler::ThreadPerCore). Tasks
    /// with the same number are best run by the same worker. Like a [`deadline`](Self::deadline), it is a hint, which the default
    /// scheduler does not read.
    pub fn affinity(mut self, number: u64) -> Self {
        self.rare.get_or_insert_default().affinity = Some(number);
        self
    }

    /// Sets how long the task is expected to compute, for schedulers that order tasks by that. Like a [`deadline`](Self::deadline), it
    /// is a hint. None of Moirai's schedulers reads it.
    pub fn expected_duration(mut self, duration: Duration) -> Self {
        self.rare.get_or_insert_default().expected_duration = Some(duration);
        self
    }

    /// Cancels the task when the token is cancelled. If the token is cancelled already, the task never runs.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use moirai::sync::CancellationToken;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let token = CancellationToken::new();
    /// let task = executor.task().cancel_token(token.child_token()).spawn_async(std::future::pending::<()>());
    /// token.cancel();
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn cancel_token(mut self, token: CancellationToken) -> Self {
        self.rare.get_or_insert_default().cancel.token = Some(token);
        self
    }

    /// Adds a tag to the task's record, by which `tasks_tagged` finds the task. A task has at most
    /// [`MAX_TAGS`](Tags::MAX_TAGS); those beyond are dropped.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::new()?;
    /// let task = executor.task().name("pack").tag("order", 4711).spawn_parallel(|| ());
    /// let id = task.id();
    /// task.join().unwrap();
    /// let tasks = executor.tasks_tagged("order", 4711);
    /// assert_eq!((tasks[0].id, tasks[0].tags.get("order")), (id, Some("4711")));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn tag(mut self, key: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        let tags = &mut self.rare.get_or_insert_default().tags;
        if tags.len() < Tags::MAX_TAGS {
            tags.push((key.into(), value.to_string()));
        }
        self
    }

    /// Has the task fail if it returns an `Err`.
    ///
    /// The record then says [`Failed`](moirai_core::TaskStatus::Failed), and has the text of the error, of which at most
    /// [`MAX_MESSAGE_BYTES`](moirai_core::text::MAX_MESSAGE_BYTES) bytes are kept; children are cancelled. The handle returns the
    /// `Err` like any other value.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let task = executor.task().fails_on_err().spawn_async(async { "seven".parse::<u32>() });
    /// let id = task.id();
    /// assert!(task.join().unwrap().is_err());
    /// let stats = executor.task_stats(id).unwrap();
    /// assert_eq!(stats.status, TaskStatus::Failed);
    /// assert_eq!(stats.error.as_deref(), Some("invalid digit found in string"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn fails_on_err(self) -> TaskBuilder<'a, FailsOnErr<D>> {
        self.map_destination(FailsOnErr)
    }

    /// Makes the task a child of the task that runs the calling thread: when that one is cancelled, or fails, this one is cancelled.
    /// When it completes, this one goes on.
    ///
    /// A closure that runs is not interrupted by being cancelled, but its children are cancelled at once, so that it need not wait for
    /// them. Outside of a task of this executor the call has no effect. Where the results of children are wanted, a
    /// [group](crate::TaskGroup) or [`abort_on_drop`](TaskHandle::abort_on_drop) may fit better: they cancel tasks as soon as they are
    /// dropped.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let parent = executor.spawn_blocking(move || {
    ///     let here = Moirai::current().unwrap();
    ///     let child = here.task().child_of_current().spawn_async(std::future::pending::<()>());
    ///     send.send(child.id()).unwrap();
    ///     child.join()
    /// });
    /// let child = receive.recv().unwrap();
    /// parent.cancel();
    /// // The closure runs to its end, because what it waits for is cancelled.
    /// assert!(parent.join().unwrap().unwrap_err().is_cancelled());
    /// assert_eq!(executor.task_stats(child).unwrap().cancelled_by, Some(moirai::CancelCause::Parent));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn child_of_current(mut self) -> Self {
        if let Some(parent) = Context::current_task_of(self.shared) {
            self.rare.get_or_insert_default().cancel.parent = Some(parent);
        }
        self
    }

    /// Spawns a future, which the workers poll.
    #[inline]
    #[track_caller]
    pub fn spawn_async<F>(self, future: F) -> D::Spawned
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        D: Destination<F::Output>,
    {
        let location = Location::caller();
        box_if_large!(
            future: F = Box::pin(future),
            self.spawn(TaskKind::Async, location, future, spawn_future::<_, D::Check>)
        )
    }

    /// Spawns a closure that computes, which a worker runs.
    #[inline]
    #[track_caller]
    pub fn spawn_parallel<F, R, ReturnsNoFuture>(self, f: F) -> D::Spawned
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        let location = Location::caller();
        box_if_large!(
            f: F = Box::new(f),
            self.spawn(TaskKind::Parallel, location, f, spawn_closure::<_, _, D::Check>)
        )
    }

    /// Spawns a closure that may block, which runs on a thread of its own. There are at most
    /// [`max_blocking_threads`](moirai_core::ExecutorConfig::max_blocking_threads) of them. While all are busy and the queue for
    /// them is full, this call waits.
    #[inline]
    #[track_caller]
    pub fn spawn_blocking<F, R, ReturnsNoFuture>(self, f: F) -> D::Spawned
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        let location = Location::caller();
        box_if_large!(
            f: F = Box::new(f),
            self.spawn(TaskKind::Blocking, location, f, spawn_closure::<_, _, D::Check>)
        )
    }

    /// Spawns a future, or gives it back if it is refused.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).max_active_tasks(1).build()?;
    /// let first = executor.task().try_spawn_async(std::future::pending::<()>()).unwrap();
    /// let refused = executor.task().try_spawn_async(async { 7 }).unwrap_err();
    /// assert!(refused.is_at_capacity());
    /// first.cancel();
    /// let second = executor.block_on(executor.task().spawn_async_when_free(refused.into_inner()));
    /// assert_eq!(second.join().unwrap(), 7);
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at a limit on tasks, and when the executor is shutting down.
    #[track_caller]
    pub fn try_spawn_async<F>(self, future: F) -> Result<D::Spawned, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        D: Destination<F::Output>,
    {
        let (kind, location) = (TaskKind::Async, Location::caller());
        if Size::<F>::IS_LARGE {
            // Not pinned yet: it may have to be returned.
            let spawned =
                self.try_spawn(kind, location, Box::new(future), |shared, future, options| {
                    spawn_admitted::<_, D::Check>(shared, Box::into_pin(future), options)
                });
            spawned.map_err(TrySpawnError::unboxed)
        } else {
            self.try_spawn(kind, location, future, spawn_admitted::<_, D::Check>)
        }
    }

    /// Spawns a closure that computes, or gives it back if it is refused.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at a limit on tasks, and when the executor is shutting down.
    #[track_caller]
    pub fn try_spawn_parallel<F, R, ReturnsNoFuture>(
        self,
        f: F,
    ) -> Result<D::Spawned, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        self.try_spawn_closure(TaskKind::Parallel, Location::caller(), f)
    }

    /// Spawns a closure that may block, or gives it back if it is refused. Never waits.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at a limit on tasks, when every thread for blocking tasks is busy and their queue is full, and when the
    /// executor is shutting down.
    #[track_caller]
    pub fn try_spawn_blocking<F, R, ReturnsNoFuture>(
        self,
        f: F,
    ) -> Result<D::Spawned, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        self.try_spawn_closure(TaskKind::Blocking, Location::caller(), f)
    }

    /// Spawns a future once the limits allow it.
    ///
    /// Callers that wait are served in the order in which they came. If the returned future is dropped before it is ready, nothing
    /// is spawned.
    ///
    /// A task that waits here is itself active. If all active tasks do nothing but wait here, none of them is ever served.
    #[track_caller]
    pub fn spawn_async_when_free<F>(
        self,
        future: F,
    ) -> impl Future<Output = D::Spawned> + Send + use<F, D>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        D: Destination<F::Output>,
    {
        let (shared, options, destination) = self.finished(TaskKind::Async, Location::caller());
        when_free(
            counted(shared),
            options,
            destination,
            future,
            |shared, future, options| box_if_large!(future: F = Box::pin(future), spawn_admitted::<_, D::Check>(shared, future, options)),
        )
    }

    /// Spawns a closure that computes once the limits allow it; see [`spawn_async_when_free`](Self::spawn_async_when_free).
    #[track_caller]
    pub fn spawn_parallel_when_free<F, R, ReturnsNoFuture>(
        self,
        f: F,
    ) -> impl Future<Output = D::Spawned> + Send + use<F, R, ReturnsNoFuture, D>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        let (shared, options, destination) = self.finished(TaskKind::Parallel, Location::caller());
        when_free(
            counted(shared),
            options,
            destination,
            f,
            |shared, f, options| box_if_large!(f: F = Box::new(f), spawn_admitted_closure::<_, _, D::Check>(shared, f, options)),
        )
    }

    /// Spawns a closure that may block once there is room in the queue and the limits allow it; see
    /// [`spawn_async_when_free`](Self::spawn_async_when_free). Unlike [`spawn_blocking`](Self::spawn_blocking), it never blocks the
    /// calling thread.
    #[track_caller]
    pub fn spawn_blocking_when_free<F, R, ReturnsNoFuture>(
        self,
        f: F,
    ) -> impl Future<Output = D::Spawned> + Send + use<F, R, ReturnsNoFuture, D>
    where
        F: FnOnce() -> R + Send + 'static,
        R: NotAFuture<ReturnsNoFuture> + Send + 'static,
        D: Destination<R>,
    {
        let (shared, options, destination) = self.finished(TaskKind::Blocking, Location::caller());
        when_free(
            counted(shared),
            options,
            destination,
            f,
            |shared, f, options| box_if_large!(f: F = Box::new(f), spawn_admitted_closure::<_, _, D::Check>(shared, f, options)),
        )
    }

    fn spawn<W, T>(
        self,
        kind: TaskKind,
        location: &'static Location<'static>,
        work: W,
        spawn: impl FnOnce(&Shared, W, SpawnOptions) -> TaskHandle<T>,
    ) -> D::Spawned
    where
        T: Send + 'static,
        D: Destination<T>,
    {
        let (shared, options, destination) = self.finished(kind, location);
        if destination.try_take_place() {
            destination.accept(spawn(shared, work, options))
        } else {
            destination.refuse(refuse(shared, work, RefuseReason::AtCapacity))
        }
    }

    fn try_spawn_closure<F, R>(
        self,
        kind: TaskKind,
        location: &'static Location<'static>,
        f: F,
    ) -> Result<D::Spawned, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
        D: Destination<R>,
    {
        if Size::<F>::IS_LARGE {
            let spawned = self.try_spawn(
                kind,
                location,
                Box::new(f),
                spawn_admitted_closure::<_, _, D::Check>,
            );
            spawned.map_err(TrySpawnError::unboxed)
        } else {
            self.try_spawn(kind, location, f, spawn_admitted_closure::<_, _, D::Check>)
        }
    }

    fn try_spawn<W, T>(
        self,
        kind: TaskKind,
        location: &'static Location<'static>,
        work: W,
        start: impl FnOnce(&Shared, W, SpawnOptions) -> TaskHandle<T>,
    ) -> Result<D::Spawned, TrySpawnError<W>>
    where
        T: Send + 'static,
        D: Destination<T>,
    {
        let (shared, options, destination) = self.finished(kind, location);
        if !destination.try_take_place() {
            return Err(TrySpawnError::new(RefuseReason::AtCapacity, work));
        }
        match try_enter(shared, kind, work) {
            Ok(work) => Ok(destination.accept(start(shared, work, options))),
            Err(refused) => {
                destination.give_place_back();
                Err(refused)
            }
        }
    }

    /// Returns the executor, the options of a task of this kind, and the destination.
    fn finished(
        self,
        kind: TaskKind,
        location: &'static Location<'static>,
    ) -> (&'a Shared, SpawnOptions, D) {
        let Self { shared, name, priority, class, rare, destination } = self;
        let options =
            SpawnOptions { priority, name, class, rare, ..SpawnOptions::at(kind, location) };
        (shared, options, destination)
    }
}

/// Warns of the first name that no retention class has.
#[cold]
fn warn_of_class(shared: &Shared, class: &str) {
    // Ordering: Relaxed: the flag protects nothing. (A `Once` would be held while the subscriber runs, which may spawn a task.)
    if !shared.warned_of_retention.swap(true, Ordering::Relaxed) {
        log!(
            warn,
            class,
            "a task asks for a retention class that the executor does not have, and its record is kept as those of other tasks \
             are; add the class to the builder with `retention`",
        );
    }
}

/// Returns a counted reference to the executor.
fn counted(shared: &Shared) -> Arc<Shared> {
    shared.arc().expect("a caller that spawns has a reference to the executor")
}

/// Waits for a place at the destination and for the executor to admit the task, then starts the task.
#[allow(clippy::async_yields_async)] // The caller asks for the handle, and not for the task's result.
async fn when_free<W, T, D>(
    shared: Arc<Shared>,
    options: SpawnOptions,
    destination: D,
    work: W,
    start: impl FnOnce(&Shared, W, SpawnOptions) -> TaskHandle<T> + Send,
) -> D::Spawned
where
    W: Send + 'static,
    T: Send + 'static,
    D: Destination<T>,
{
    destination.take_place().await;
    let place = TakenPlace::<T, D>::new(&destination);
    let admitted = if refuses_caller(&shared) {
        Err(RefuseReason::ShutDown)
    } else {
        shared.admission.wait(options.kind).await
    };
    place.keep();
    destination.accept(match admitted.and_then(|()| reserve_thread(&shared, options.kind)) {
        Ok(()) => start(&shared, work, options),
        Err(reason) => refuse(&shared, work, reason),
    })
}

/// A place that was taken for a task that has not come yet. Dropping it gives the place back.
struct TakenPlace<'a, T: Send + 'static, D: Destination<T>>(&'a D, PhantomData<fn(T)>);

impl<'a, T: Send + 'static, D: Destination<T>> TakenPlace<'a, T, D> {
    const fn new(destination: &'a D) -> Self {
        Self(destination, PhantomData)
    }

    /// Keeps the place, because the task has come.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl<T: Send + 'static, D: Destination<T>> Drop for TakenPlace<'_, T, D> {
    fn drop(&mut self) {
        self.0.give_place_back();
    }
}

impl<D> fmt::Debug for TaskBuilder<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
