//! The part of an executor that its workers, tasks and handles share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::{
    Clock, ExecutorConfig, LocalQueue, Priority, QueueReason, Recorder, Schedulable, Scheduler,
    TaskId, TaskKind, Visibility,
};
use moirai_scheduler::Sleepers;
use parking_lot::Mutex;

use crate::flight::incident_log::IncidentLog;
use crate::flight::tracks::Tracks;
use crate::fork_join::{SharedJobs, SlotSearch};
use crate::panics::{self, log};
use crate::registry::ClockListener;
use crate::registry::{ActiveRecord, Registry, TaskHints, Writer};
use crate::runtime::admission::Admission;
use crate::runtime::cell_count::CellCount;
use crate::runtime::core_claims::CoreClaims;
use crate::runtime::extensions::Extensions;
use crate::runtime::hook_host::HookHost;
use crate::runtime::lifecycle::Lifecycle;
use crate::runtime::mailbox::Mailboxes;
use crate::runtime::mode::Mode;
use crate::runtime::plugins::Plugins;
use crate::runtime::poll_estimates::PollEstimates;
use crate::runtime::scheduler_dispatch::{AnyLocal, AnyScheduler};
use crate::runtime::shutdown_state::ShutdownProgress;
use crate::runtime::shutdown_token::ShutdownToken;
use crate::runtime::sim_turns::Turns;
use crate::runtime::thread_names::ThreadNames;
use crate::runtime::thread_pool::{PoolLimits, ThreadPool};
use crate::runtime::wait_id::WaitId;
use crate::runtime::watchers::Watchers;
use crate::task::{RawRunnable, TaskRef};
use crate::timer::ExecutorTime;
use crate::watchdog::Watchdog;

/// The part of an executor that everything else points to.
///
/// It is kept alive by handles to the executor, by the executor's threads, and by all tasks together; see
/// [`cell_count`](crate::runtime::cell_count).
pub(crate) struct Shared {
    weak: Weak<Self>,
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    /// The process that started the executor's threads.
    process: u32,
    /// Whether it was warned of a hint that has no effect.
    pub(crate) warned_of_hints: AtomicBool,
    /// Whether it was warned of a task that asks for a retention class which there is not.
    pub(crate) warned_of_retention: AtomicBool,
    pub(crate) time: ExecutorTime,
    /// [`INJECTOR_EVERY`], in ticks of the clock.
    pub(crate) injector_ticks: u64,
    pub(crate) registry: Registry,
    pub(crate) scheduler: AnyScheduler<Runnable>,
    /// What is known of how long polls take; `None` if the scheduler does not ask.
    pub(crate) poll_estimates: Option<PollEstimates>,
    pub(crate) sleepers: Sleepers,
    /// Where idle workers sleep, if not where the executor has them sleep.
    pub(crate) park_hook: Option<HookHost>,
    /// On cache lines of its own: threads that wait write to it, and workers read it between two tasks.
    pub(crate) shared_jobs: CachePadded<SharedJobs>,
    pub(crate) watchdog: Watchdog,
    pub(crate) plugins: Plugins,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    /// What the flight recorder knows of threads; `None` if it is off.
    pub(crate) tracks: Option<Tracks>,
    /// What it has kept.
    pub(crate) incident_log: IncidentLog,
    /// Whether a task that has no options of its own needs nothing but a record and a place in a queue: no plugin is called for it,
    /// no limit on active tasks counts it, and it has and inherits no span.
    pub(crate) is_plain: bool,
    /// Whether the executor runs on threads or in the turns of a simulation.
    pub(crate) mode: SharedMode,
    /// On cache lines of its own, as are the other parts that threads write while each task reads what is around them.
    pub(crate) watchers: CachePadded<Watchers<TaskRef<Self>>>,
    pub(crate) shutdown_progress: ShutdownProgress,
    pub(crate) shutdown_token: ShutdownToken,
    /// Wakes the cleanup thread when a manual clock moves.
    pub(crate) cleanup: Mutex<Option<ClockListener>>,
    /// Threads that hold cores, and cores that wait for a thread.
    pub(crate) cores: CachePadded<ThreadPool<Box<WorkerCore>>>,
    /// Cores whose former holders want them back.
    pub(crate) claims: CoreClaims<Box<WorkerCore>>,
    /// Whether threads get the cores back that they have handed off, so that their worker index stays the same.
    pub(crate) keeps_indices: AtomicBool,
    /// Closures that one worker alone may run.
    pub(crate) mailboxes: Mailboxes<Post>,
    /// What users have hung on the executor.
    pub(crate) extensions: Extensions,
    /// Makes the names of threads.
    pub(crate) thread_names: ThreadNames,
    /// Threads that run blocking tasks, and tasks that wait for a thread.
    pub(crate) blocking: CachePadded<ThreadPool<Runnable>>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) admission: Admission,
    /// The number of cores that have not closed.
    pub(crate) open_cores: AtomicUsize,
    pub(crate) cell_count: CachePadded<CellCount>,
    /// The reference to this that all cells together own, from `Arc::into_raw`; null before the start and after its end.
    pub(crate) cells_ref: AtomicPtr<Self>,
}

/// What a worker owns: its queue, its writer and its counts.
///
/// A worker is a thread that holds a core. When the thread is about to block it hands the core off to another thread.
///
/// It is on cache lines of its own, because its worker writes to it at every step, and an allocator may put cores side by side.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct WorkerCore {
    pub(crate) index: usize,
    pub(crate) queue: AnyLocal<Runnable>,
    pub(crate) writer: Writer,
    /// The number of cells freed by the threads that held the core; see [`cell_count`](crate::runtime::cell_count).
    pub(crate) freed: u64,
    /// Whether `on_worker_start` has been called.
    pub(crate) opened: bool,
    /// When the worker has last looked, between two tasks, for what others have queued or published, in ticks of the clock.
    pub(crate) looked_at: u64,
    /// Its search for public jobs.
    pub(crate) slot_search: SlotSearch,
}

impl WorkerCore {
    pub(crate) fn new(index: usize, queue: AnyLocal<Runnable>, writer: Writer) -> Self {
        Self {
            index,
            queue,
            writer,
            freed: 0,
            opened: false,
            looked_at: 0,
            slot_search: SlotSearch::default(),
        }
    }

    /// Returns whether there is a task that the worker would find. A scheduler that cannot tell has to give it out and take it back: then
    /// it is also returned who finds it now.
    pub(crate) fn has_work(&mut self) -> (bool, Option<Visibility>) {
        match self.queue.has_work() {
            Some(has_work) => (has_work, None),
            None => {
                let pushed = self.queue.pop().map(|task| {
                    let priority = task.priority();
                    self.queue.push(task, priority, QueueReason::Yielded)
                });
                (pushed.is_some(), pushed)
            }
        }
    }
}

/// What schedulers schedule: the right to run one task.
///
/// A scheduler moves it from queue to queue and hands it out; it need not know anything else about it. Dropping it cancels the
/// task.
#[derive(Debug)]
pub struct Runnable(RawRunnable<Shared>);

impl Runnable {
    pub(crate) const fn new(task: RawRunnable<Shared>) -> Self {
        Self(task)
    }

    pub(crate) fn into_raw(self) -> RawRunnable<Shared> {
        self.0
    }

    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// Returns the task's kind.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.0.kind()
    }

    /// Returns the task's priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn hints(&self) -> TaskHints {
        self.0.with_record(ActiveRecord::hints)
    }

    /// How long the next poll is expected to take, in ticks of the executor's clock.
    #[inline]
    fn expected_ticks(&self) -> Option<u64> {
        self.0.executor().poll_estimates.as_ref()?.of(self.0.next_poll())
    }
}

impl Schedulable for Runnable {
    fn number(&self) -> u64 {
        self.id().get()
    }

    fn affinity(&self) -> u64 {
        self.hints().affinity.unwrap_or_else(|| self.id().get())
    }

    fn deadline(&self) -> Option<u64> {
        self.hints().deadline
    }

    fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| self.0.executor().clock.ticks() >= deadline)
    }

    fn expected_duration(&self) -> Option<Duration> {
        self.hints().expected_duration
    }

    fn expected_poll(&self) -> Option<Duration> {
        self.expected_ticks().map(|ticks| self.0.executor().clock.rough_duration(ticks))
    }

    #[inline]
    fn expects_poll_of(&self, nanos: u64) -> bool {
        let is_long = |ticks| self.0.executor().clock.rough_nanos(ticks) >= nanos;
        self.expected_ticks().is_some_and(is_long)
    }

    fn home(&self) -> Option<usize> {
        self.0.with_record(ActiveRecord::worker)
    }
}

/// A task that one worker alone may run.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) task: Runnable,
    pub(crate) waited: Waited,
}

impl Post {
    /// Notes that a wait of the worker is over.
    pub(crate) fn end_wait(&mut self, wait: WaitId) {
        if matches!(self.waited, Waited::By(it) if it == wait) {
            self.waited = Waited::No;
        }
    }
}

/// Who waits for a posted task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    /// Nobody that the worker knows of.
    No,
    /// A broadcast, which needs every worker.
    Broadcast,
    /// The worker itself, in another executor: the task was installed by a part of that.
    By(WaitId),
}

/// Whether an executor runs on threads or in turns.
pub(crate) type SharedMode = Mode<Runnable, Box<WorkerCore>, Shared>;

/// The simulated part of an executor.
pub(crate) type SharedTurns = Turns<Runnable, Box<WorkerCore>, Shared>;

/// What an executor is built from.
pub(crate) struct BuilderParts {
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    pub(crate) scheduler: AnyScheduler<Runnable>,
    pub(crate) plugins: Plugins,
    pub(crate) park_hook: Option<HookHost>,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) mode: SharedMode,
    pub(crate) extensions: Extensions,
    pub(crate) thread_names: ThreadNames,
}

/// How long a worker whose tasks take long may run tasks of its own queue before it looks into the injector first, where tasks are
/// that other threads have queued: those that a timer or an I/O driver has woken, for example.
const INJECTOR_EVERY: Duration = Duration::from_micros(200);

impl Shared {
    pub(crate) fn new(parts: BuilderParts) -> Arc<Self> {
        let BuilderParts {
            config,
            clock,
            scheduler,
            plugins,
            park_hook,
            recorder,
            mode,
            extensions,
            thread_names,
        } = parts;
        let workers = config.worker_threads;
        let keep_alive = config.blocking_keep_alive;
        let (spare, compensation) = thread_limits(&config);
        let registry = Registry::with_retention(
            config.cleanup.clone(),
            workers,
            clock.clone(),
            &config.retention,
            config.retain_failures,
        );
        let registry =
            if mode.has_threads() { registry } else { registry.with_one_shared_writer() };
        let poll_estimates = scheduler.hints().poll_estimates.then(|| PollEstimates::new(&clock));
        let sleepers = Sleepers::new(config.worker_threads);
        let sleepers = match &park_hook {
            Some(hook) => {
                let hook = hook.clone();
                sleepers.with_unpark(move |worker| hook.unpark(worker))
            }
            None => sleepers,
        };
        let is_plain = plugins.is_empty()
            && config.max_active_tasks.is_none()
            && !config.inherit_spans
            && !config.task_spans;
        let shared = Arc::new_cyclic(|weak| Self {
            weak: Weak::clone(weak),
            is_plain,
            process: std::process::id(),
            warned_of_hints: AtomicBool::new(false),
            warned_of_retention: AtomicBool::new(false),
            registry,
            poll_estimates,
            sleepers,
            park_hook,
            shared_jobs: CachePadded::new(SharedJobs::new(workers)),
            watchdog: Watchdog::new(&config, compensation),
            tracks: Tracks::new(&config.flight_recorder),
            incident_log: IncidentLog::new(&config.flight_recorder),
            time: ExecutorTime::of(&clock),
            injector_ticks: clock.rough_ticks(INJECTOR_EVERY),
            watchers: CachePadded::default(),
            shutdown_progress: ShutdownProgress::default(),
            shutdown_token: ShutdownToken::default(),
            cleanup: Mutex::new(None),
            cores: CachePadded::new(ThreadPool::new(PoolLimits {
                threads: workers.saturating_add(spare),
                queue: 0,
                keep_alive,
            })),
            blocking: CachePadded::new(ThreadPool::new(PoolLimits {
                threads: config.max_blocking_threads,
                // `admission` limits the number of tasks.
                queue: usize::MAX,
                keep_alive,
            })),
            claims: CoreClaims::new(workers),
            keeps_indices: AtomicBool::new(config.stable_worker_index),
            mailboxes: Mailboxes::new(workers),
            extensions,
            thread_names,
            admission: Admission::new(&config),
            lifecycle: Lifecycle::new(),
            open_cores: AtomicUsize::new(workers),
            cell_count: CachePadded::new(CellCount::new()),
            cells_ref: AtomicPtr::default(),
            config,
            clock,
            scheduler,
            plugins,
            recorder,
            mode,
        });
        // Ordering: Relaxed: no other thread has the pointer yet.
        shared.cells_ref.store(Arc::into_raw(Arc::clone(&shared)).cast_mut(), Ordering::Relaxed);
        shared
    }

    /// Returns a counted reference to this, or `None` while it is being dropped.
    pub(crate) fn arc(&self) -> Option<Arc<Self>> {
        self.weak.upgrade()
    }

    /// Returns the task with this id, if it has not ended.
    pub(crate) fn task_ref(&self, id: TaskId) -> Option<TaskRef<Self>> {
        self.registry.with_task(id, |task| {
            // SAFETY: the registry publishes the address of a cell of this executor, and the cell is alive during the call: a task
            // is unpublished before it gives up its own reference.
            unsafe { TaskRef::acquire(task.cast()) }
        })
    }

    /// Returns whether the calling process is a fork of the one that started the executor. It has none of the executor's threads.
    pub(crate) fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Calls the recorder, if there is one. Panics are contained.
    #[inline]
    pub(crate) fn notify_recorder(&self, call: &str, record: impl FnOnce(&dyn Recorder)) {
        if let Some(recorder) = &self.recorder
            && let Some(message) = panics::contain(|| record(&**recorder))
        {
            log!(error, call, panic = &*message, "the recorder panicked");
        }
    }

    /// Returns whether fork-join work runs inside of the `tracing` span of the call.
    pub(crate) fn carries_spans(&self) -> bool {
        self.config.inherit_spans || self.config.task_spans
    }

    /// Returns the number of tasks that are queued for the workers.
    pub(crate) fn queued(&self) -> usize {
        self.scheduler.len() + self.mailboxes.len()
    }

    /// Returns whether threads get the cores back that they hand off.
    pub(crate) fn keeps_indices(&self) -> bool {
        // Ordering: Relaxed: a thread sees what it has set itself; what others set concerns their own cores.
        self.keeps_indices.load(Ordering::Relaxed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Plugins and the scheduler contain the panics of their destructors themselves.
        let recorder = self.recorder.take();
        if let Some(message) = panics::contain(|| drop(recorder)) {
            log!(error, panic = &*message, "the destructor of the recorder panicked");
        }
        for extension in self.extensions.take() {
            if let Some(message) = panics::contain(|| drop(extension)) {
                log!(error, panic = &*message, "the destructor of an extension panicked");
            }
        }
    }
}

/// Returns the limits on the number of spare threads and of compensation threads.
fn thread_limits(config: &ExecutorConfig) -> (usize, usize) {
    /// The least number of compensation threads, if the configuration does not set one.
    const MIN_COMPENSATION: usize = 4;
    #[expect(deprecated, reason = "the old name of both settings")]
    let both = config.reserve_workers;
    let spare = both.unwrap_or(config.spare_threads);
    let compensation = both.or(config.compensation_threads);
    let compensation = compensation.unwrap_or(config.worker_threads.max(MIN_COMPENSATION));
    (spare, compensation.min(ExecutorConfig::MAX_COMPENSATION_THREADS))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("phase", &self.lifecycle.phase())
            .field("workers", &self.config.worker_threads)
            .field("load", &self.queued())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use crate::tests::{assert_apart, place};

    #[test]
    fn what_many_threads_write_is_on_no_line_that_every_task_reads() {
        let written = [
            place!(Shared, sleepers),
            place!(Shared, shared_jobs),
            place!(Shared, watchers),
            place!(Shared, cores),
            place!(Shared, blocking),
            place!(Shared, cell_count),
            place!(Shared, admission.blocking),
            place!(Shared, admission.refused),
        ];
        let read = [
            place!(Shared, admission.active),
            place!(Shared, registry),
            place!(Shared, clock),
            place!(Shared, injector_ticks),
            place!(Shared, scheduler),
            place!(Shared, plugins),
            place!(Shared, recorder),
            place!(Shared, is_plain),
            place!(Shared, mode),
            place!(Shared, lifecycle),
            place!(Shared, watchdog),
        ];
        assert_apart(&written, &read);
    }
}
