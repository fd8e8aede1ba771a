//! The executor, and the handle to it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use moirai_core::{
    BuildError, CleanupStats, ExecutorControl, Lookup, ManualClock, Priority, Recorder,
    RuntimePhase, RuntimeStats, ShutdownReport, Stall, Task, TaskId, TaskKind, TaskManager,
    TaskSpawner, TaskStats, TaskStatus,
};
use moirai_core::{CancelCause, Scheduler};
use moirai_sync::{CancellationToken, drive};

use crate::box_if_large;
use crate::group::TaskGroup;
use crate::handle::TaskHandle;
use crate::handle::WaitForTask;
use crate::panics::{self, log};
use crate::registry::{ClockListener, sweep_when_due};
use crate::runtime::caller_wait::spin_then_park;
use crate::runtime::context::Context;
use crate::runtime::executors;
use crate::runtime::handoff::{HandedOff, blocking_in_place};
use crate::runtime::scheduler_dispatch::AnyLocal;
use crate::runtime::shared::{BuilderParts, Runnable, Shared, Waited, WorkerCore};
use crate::runtime::shutdown::{drain_in_background, shut_down};
use crate::runtime::shutdown_state::ShutdownMode;
use crate::runtime::worker_thread::WorkerThread;
use crate::runtime::{runtime_stats, stall_report, watchdog_thread, worker};
use crate::spawn::TaskBuilder;
use crate::spawn::check::NeverFails;
use crate::spawn::options::{OnWorker, SpawnOptions};
use crate::spawn::start::{
    spawn_closure, spawn_closure_at, spawn_detached_at, spawn_future_at, spawn_task,
};
use crate::task::trim_memory;

/// A handle to a running executor: workers for async tasks and parallel closures, a pool of threads for blocking ones, and the
/// registry with the records of them all.
///
/// Clones are handles to the same executor. A handle that [`new`](Self::new) or [`build`](crate::HybridExecutorBuilder::build)
/// returned, or a clone of one, owns the executor. When the last owner is dropped, the executor shuts down: tasks that are queued
/// or waiting are cancelled, and polls that are in progress are waited for, for at most one second; on a worker or inside of a task
/// they are not waited for at all.
#[derive(Clone)]
pub struct HybridExecutor {
    shared: Arc<Shared>,
    /// `None` in a handle that does not keep the executor running.
    owner: Option<Arc<Owner>>,
}

// No user code is called in a state that a panic could leave half changed.
impl UnwindSafe for HybridExecutor {}
impl RefUnwindSafe for HybridExecutor {}

/// Shuts the executor down when the last owning handle is dropped.
struct Owner {
    shared: Arc<Shared>,
    /// Whether the executor was let go, so that it shuts down by itself.
    detached: AtomicBool,
}

/// How long an executor that cannot be started waits for the threads that it has started to end. It gives up on those that wait for
/// the caller: `build_with` lets the caller keep workers that it has not run.
const START_FAILED: Duration = Duration::from_secs(10);

impl Drop for Owner {
    fn drop(&mut self) {
        if !*self.detached.get_mut() {
            let _ = shut_down(&self.shared, ShutdownMode::Drop);
        }
    }
}

impl HybridExecutor {
    pub(crate) fn start(
        parts: BuilderParts,
        spawn: &mut dyn FnMut(WorkerThread) -> io::Result<()>,
    ) -> Result<Self, BuildError> {
        let workers = parts.config.worker_threads;
        let queues = parts.scheduler.start(workers);
        if queues.len() != workers {
            return Err(BuildError::invalid(
                "scheduler",
                queues.len(),
                "it made that many local queues, and must make one for each worker thread",
            ));
        }
        let shared = Shared::new(parts);
        if shared.config.capture_panic_location {
            panics::capture_locations();
        }
        if let Some(recorder) = &shared.recorder {
            recorder.start(shared.config.worker_threads);
        }
        // From here on an error drops the owner, which stops what was started.
        let owner = Owner { shared: Arc::clone(&shared), detached: AtomicBool::new(false) };
        let executor = Self { owner: Some(Arc::new(owner)), shared: Arc::clone(&shared) };
        let started = executor
            .start_workers(queues, spawn)
            .and_then(|()| executor.start_watchdog())
            .and_then(|()| executor.start_cleanup());
        if let Err(error) = started {
            let _ = shut_down(&shared, ShutdownMode::Drop);
            // A thread that has not begun to run ends when it does. One that the caller has entered ends when the caller leaves.
            if !Context::is_inside(&shared) {
                let _ = shared.cores.wait_ended(Instant::now().checked_add(START_FAILED));
            }
            return Err(error);
        }
        executors::add(&shared);
        log!(info, workers = shared.config.worker_threads, "started");
        Ok(executor)
    }

    fn start_workers(
        &self,
        queues: Vec<AnyLocal<Runnable>>,
        spawn: &mut dyn FnMut(WorkerThread) -> io::Result<()>,
    ) -> Result<(), BuildError> {
        let shared = &self.shared;
        let config = &shared.config;
        // One that is not run closes its core, also if `spawn` panics.
        let threads: Vec<_> = queues
            .into_iter()
            .enumerate()
            .map(|(index, queue)| {
                let writer = shared.registry.writer();
                let core = WorkerCore::new(index, queue, writer);
                WorkerThread::new(Arc::clone(shared), Box::new(core))
            })
            .collect();
        for thread in threads {
            let name = thread.name().to_owned();
            spawn(thread)
                .map_err(|source| BuildError::thread(name, config.thread_stack_size, source))?;
        }
        Ok(())
    }

    fn start_watchdog(&self) -> Result<(), BuildError> {
        let config = &self.shared.config;
        let name = format!("{}-watchdog", config.thread_name_prefix);
        watchdog_thread::start_watchdog(&self.shared, name.clone())
            .map_err(|source| BuildError::thread(name, config.thread_stack_size, source))
    }

    fn start_cleanup(&self) -> Result<(), BuildError> {
        let shared = &self.shared;
        let config = &shared.config;
        if !config.cleanup.enable_automatic_cleanup {
            return Ok(());
        }
        let name = format!("{}-cleanup", config.thread_name_prefix);
        let listener = shared.clock.as_manual().map(|clock| {
            let listening = Arc::downgrade(shared);
            ClockListener::new(clock, move || {
                if let Some(shared) = listening.upgrade() {
                    shared.registry.sweep_signal().recheck();
                }
            })
        });
        shared
            .start_thread(name.clone(), |shared| sweep_when_due(&shared.registry))
            .map_err(|source| BuildError::thread(name, config.thread_stack_size, source))?;
        *shared.cleanup.lock() = listener;
        Ok(())
    }

    /// Creates a handle to a simulated executor.
    pub(crate) fn of_simulation(shared: Arc<Shared>) -> Self {
        Self { shared, owner: None }
    }

    /// Creates a group, whose tasks are waited for, limited and cancelled together.
    #[must_use]
    pub fn group<T: Send + 'static>(&self) -> TaskGroup<T> {
        TaskGroup::new(self.counted())
    }

    /// Returns a handle that does not keep the executor running.
    #[must_use]
    pub fn without_owner(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), owner: None }
    }

    /// Lets active tasks end their work, for at most `timeout`; see [`Moirai::drain`].
    ///
    /// [`Moirai::drain`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.drain
    pub fn drain(&self, timeout: Duration) -> ShutdownReport {
        shut_down(&self.shared, ShutdownMode::Drain(timeout))
    }

    /// Returns the records of the tasks that were spawned with this tag.
    #[must_use]
    pub fn tasks_tagged(&self, key: &str, value: impl fmt::Display) -> Vec<TaskStats> {
        let value = value.to_string();
        let mut tasks = self.shared.registry.snapshot();
        tasks.retain(|task| task.tags.contains(key, &value));
        tasks
    }

    /// Returns whether the executor runs, shuts down or has stopped.
    #[must_use]
    pub fn phase(&self) -> RuntimePhase {
        runtime_stats::phase(&self.shared)
    }

    /// Calls `f` with a copy of the record of each task, active and retained, until it breaks; see [`Moirai::each_task`].
    ///
    /// [`Moirai::each_task`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.each_task
    pub fn each_task(&self, f: impl FnMut(TaskStats) -> ControlFlow<()>) -> ControlFlow<()> {
        self.shared.registry.each_record(f)
    }

    /// Waits until a shutdown has begun, of whatever kind.
    pub fn shutting_down(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.shutdown_token.cancelled()
    }

    /// Returns a token that is cancelled when a shutdown begins.
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shared.shutdown_token.give()
    }

    /// Returns a reference that keeps neither the executor running nor its records.
    #[must_use]
    pub fn downgrade(&self) -> WeakExecutor {
        WeakExecutor(Arc::downgrade(&self.shared))
    }

    /// Returns whether both are handles to the same executor.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn counted(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The part that the executor's handles, tasks and threads share.
    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns the executor that runs the calling thread, which is inside of a task or of `block_on`. The handle does not keep it
    /// running.
    #[must_use]
    pub fn current() -> Option<Self> {
        Some(Self { shared: Context::current()?, owner: None })
    }

    /// Returns the index of the worker that the calling thread is, in the executor that runs it.
    #[must_use]
    pub fn worker_index() -> Option<usize> {
        Context::worker_index()
    }

    /// Returns the index of the worker that the calling thread is, like [`worker_index`](Self::worker_index), and makes it last: from
    /// here on, a thread of this executor that waits or announces that it blocks goes on as the worker that it was, as if
    /// [`stable_worker_index`](moirai_core::ExecutorConfig::stable_worker_index) had been set.
    #[must_use]
    pub fn lasting_worker_index() -> Option<usize> {
        Context::with(|context| {
            let context = context?;
            let index = context.worker()?;
            // All workers read it, and it is asked for in loops, so it is written once.
            if !context.shared().keeps_indices() {
                // Ordering: Relaxed: see `Shared::keeps_indices`.
                context.shared().keeps_indices.store(true, Ordering::Relaxed);
            }
            Some(index)
        })
    }

    /// Returns the value of a type that was added to the executor with
    /// [`extension`](crate::HybridExecutorBuilder::extension).
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.shared.extensions.get()
    }

    /// Spawns a parallel closure that the given worker runs, and no other; see [`Moirai::spawn_on_worker`].
    ///
    /// [`Moirai::spawn_on_worker`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.spawn_on_worker
    #[track_caller]
    pub fn spawn_on_worker<F, R>(&self, worker: usize, f: F) -> Option<TaskHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        if worker >= self.worker_count() {
            return None;
        }
        let mut options = SpawnOptions::new(TaskKind::Parallel);
        options.rare.get_or_insert_default().worker = Some(OnWorker { worker, waited: Waited::No });
        Some(spawn_closure::<_, _, NeverFails>(&self.shared, f, options))
    }

    /// Lets the executor go: active tasks go on, may spawn others, and when none is left, the executor stops, while nobody waits for it;
    /// see [`Moirai::drain_in_background`].
    ///
    /// [`Moirai::drain_in_background`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.drain_in_background
    pub fn drain_in_background(self) {
        let Some(owner) = &self.owner else { return };
        if !drain_in_background(&self.shared) {
            // Nothing is active. There may be other owners, so their drop is not waited for.
            let _ = shut_down(&self.shared, ShutdownMode::Drop);
        }
        // Ordering: Relaxed: the count of the owners orders it before the drop of the last one.
        owner.detached.store(true, Ordering::Relaxed);
    }

    /// Spawns a future whose result nobody wants, and returns the task's id.
    ///
    /// It is what `spawn_async` is when its handle is dropped at once, and costs a little less. The task keeps its record, by which it
    /// can be watched and cancelled. If it panics, the panic is logged. If it is refused, its future is dropped, the id names no
    /// record, and never will, and the task is counted as refused.
    #[inline(always)]
    #[track_caller]
    pub fn spawn_detached<F>(&self, future: F) -> TaskId
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        box_if_large!(future: F = Box::pin(future), spawn_detached_at(&self.shared, future, location))
    }

    /// Returns a builder for a task, which sets its name, priority, timeout and more before it is spawned.
    pub fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder::new(&self.shared)
    }

    /// Returns what is known of an id: a copy of the task's record, or else whether a task of this executor had the id.
    ///
    /// An id of another executor is answered as if it were one of this. See
    /// [`Registry::lookup`](crate::registry::Registry::lookup).
    #[must_use]
    pub fn lookup(&self, id: TaskId) -> Lookup {
        self.shared.registry.lookup(id)
    }

    /// Drops the records of ended tasks that are older than `task_retention_duration`, or are more than `max_retained_tasks`, and
    /// returns how many it dropped. It does so with automatic cleanup turned off, too. Records of retention classes are dropped by
    /// the limits of their classes.
    pub fn cleanup_completed_tasks(&self) -> usize {
        let dropped = self.shared.registry.cleanup_now();
        trim_memory();
        dropped
    }

    /// Returns what the registry holds now, and what has been dropped from it.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        self.shared.registry.cleanup_stats()
    }

    /// Returns what the executor is doing now: its active tasks, records, threads and workers.
    #[must_use]
    pub fn runtime_stats(&self) -> RuntimeStats {
        runtime_stats::runtime_stats(&self.shared)
    }

    /// Returns the tasks whose current polls exceed their budget; see
    /// [`ExecutorConfig::stall_budget`](moirai_core::ExecutorConfig::stall_budget).
    #[must_use]
    pub fn stalled(&self) -> Vec<Stall> {
        stall_report::stalled(&self.shared)
    }

    /// Stops this executor's time, if it is running, and returns the clock that moves it. For tests; see [`time`](crate::time).
    pub fn pause_time(&self) -> Arc<ManualClock> {
        self.shared.time.pause()
    }

    /// Returns the recorder, if the executor has one of type `R` and
    /// [`record_metrics`](moirai_core::ExecutorConfig::record_metrics) is set.
    #[must_use]
    pub fn recorder<R: Recorder>(&self) -> Option<&R> {
        let recorder: &dyn Any = self.shared.recorder.as_deref()?;
        recorder.downcast_ref()
    }
}

impl TaskSpawner for HybridExecutor {
    type Handle<T: Send + 'static> = TaskHandle<T>;

    #[inline]
    fn spawn<T: Task>(&self, task: T) -> TaskHandle<T::Output> {
        let options = SpawnOptions::new(TaskKind::Parallel);
        box_if_large!(
            task: T = { let task = Box::new(task); move || task.run() }, spawn_task(&self.shared, task, options))
    }

    #[inline(always)]
    fn spawn_async<F>(&self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        box_if_large!(future: F = Box::pin(future), spawn_future_at(&self.shared, future, location))
    }

    #[inline(always)]
    fn spawn_parallel<F, R>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let location = Location::caller();
        box_if_large!(f: F = Box::new(f), spawn_closure_at(&self.shared, f, location))
    }

    #[inline]
    fn spawn_blocking<F, R>(&self, f: F) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let options = SpawnOptions::new(TaskKind::Blocking);
        box_if_large!(f: F = Box::new(f), spawn_closure::<_, _, NeverFails>(&self.shared, f, options))
    }

    #[inline]
    fn spawn_with_priority<T: Task>(&self, task: T, priority: Priority) -> TaskHandle<T::Output> {
        let options = SpawnOptions { priority, ..SpawnOptions::new(TaskKind::Parallel) };
        box_if_large!(
            task: T = { let task = Box::new(task); move || task.run() }, spawn_task(&self.shared, task, options))
    }
}

impl TaskManager for HybridExecutor {
    fn task_status(&self, id: TaskId) -> Option<TaskStatus> {
        self.shared.registry.status(id)
    }

    fn task_stats(&self, id: TaskId) -> Option<TaskStats> {
        self.shared.registry.stats(id)
    }

    fn tasks(&self) -> Vec<TaskStats> {
        self.shared.registry.snapshot()
    }

    fn cancel_task(&self, id: TaskId) -> bool {
        match self.shared.task_ref(id) {
            Some(task) => {
                task.cancel(CancelCause::Id);
                true
            }
            None => false,
        }
    }

    fn wait_for_task(
        &self,
        id: TaskId,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Option<TaskStatus>> + Send + use<> {
        WaitForTask::new(&self.shared, id, timeout)
    }
}

/// A reference to an executor that keeps neither the executor running nor its records. [`HybridExecutor::downgrade`] creates one.
#[derive(Clone)]
pub struct WeakExecutor(Weak<Shared>);

impl WeakExecutor {
    /// Returns a handle that does not keep the executor running; `None` once its threads have ended, and all handles are gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<HybridExecutor> {
        Some(HybridExecutor { shared: self.0.upgrade()?, owner: None })
    }

    /// Returns whether [`upgrade`](Self::upgrade) would return a handle now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for WeakExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakExecutor").finish_non_exhaustive()
    }
}

impl ExecutorControl for HybridExecutor {
    #[inline]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        box_if_large!(future: F = Box::pin(future), block_on(&self.shared, pin!(future)))
    }

    fn try_run(&self) -> bool {
        worker::try_run(&self.shared)
    }

    fn shutdown(&self) -> ShutdownReport {
        shut_down(&self.shared, ShutdownMode::Wait)
    }

    fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport {
        shut_down(&self.shared, ShutdownMode::Timeout(timeout))
    }

    fn is_shutting_down(&self) -> bool {
        self.shared.lifecycle.is_shutting_down()
    }

    fn worker_count(&self) -> usize {
        self.shared.config.worker_threads
    }

    fn load(&self) -> usize {
        self.shared.queued()
    }
}

/// Polls a future until it is done, inside of a context of the executor.
fn block_on<F: Future>(shared: &Arc<Shared>, future: Pin<&mut F>) -> F::Output {
    let inside = Context::with(|context| {
        context.is_some_and(|context| Arc::ptr_eq(context.shared(), shared))
    });
    if inside {
        block_on_inside(shared, future)
    } else {
        let context = Context::new(Arc::clone(shared));
        context.enter(|| block_on_inside(shared, future))
    }
}

/// Polls a future until it is done. Hands off the thread's cores the first time that the future waits.
fn block_on_inside<F: Future>(shared: &Shared, future: Pin<&mut F>) -> F::Output {
    let mut handed_off = None;
    let output = drive(future, |parker| {
        handed_off.get_or_insert_with(HandedOff::all);
        spin_then_park(parker, shared, || false);
        true
    });
    output.unwrap_or_else(|| unreachable!("the wait above never gives up"))
}

/// Calls a closure that blocks, on the calling thread.
///
/// Inside of a task the worker's core is handed off to another thread meanwhile, so the executor does not lose a worker. On any
/// other thread this just calls the closure. Unlike with `spawn_blocking`, the closure may borrow from the caller, and the task
/// waits for it.
///
/// # Panics
///
/// If `f` panics.
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    blocking_in_place(f)
}

/// Returns whether the task that runs the calling thread was asked to stop: by its handle, by its id, by its token, by its
/// timeout, or by a shutdown. Outside of a task it returns `false`.
///
/// It is meant for closures that compute for long; an async task is dropped at its next `.await`. Inside of fork-join work the
/// answer is that of the task to which the work belongs.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// let task = executor.spawn_parallel(|| while !moirai::is_cancelled() { std::hint::spin_loop() });
/// task.cancel();
/// # Ok::<(), BuildError>(())
/// ```
#[must_use]
pub fn is_cancelled() -> bool {
    Context::is_cancelled()
}

impl fmt::Debug for HybridExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridExecutor")
            .field("workers", &self.worker_count())
            .field("phase", &self.shared.lifecycle.phase())
            .field("load", &self.load())
            .field("owner", &self.owner.is_some())
            .finish()
    }
}
