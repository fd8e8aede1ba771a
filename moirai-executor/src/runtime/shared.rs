//! The part of an executor that its workers, its tasks and its handles share.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::{
    Clock, ExecutorConfig, Priority, Recorder, Schedulable, Scheduler, TaskId, TaskKind,
};
use moirai_scheduler::Sleepers;
use parking_lot::Mutex;

use crate::fork_join::SharedJobs;
use crate::panics;
use crate::registry::ClockListener;
use crate::registry::{ActiveRecord, Hints, Registry, Writer};
use crate::runtime::admission::Admission;
use crate::runtime::cell_count::CellCount;
use crate::runtime::lifecycle::Lifecycle;
use crate::runtime::mode::Mode;
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler::{AnyLocal, AnyScheduler};
use crate::runtime::shutdown_state::ShutdownProgress;
use crate::runtime::thread_pool::{PoolLimits, ThreadPool};
use crate::runtime::turns::Turns;
use crate::runtime::watchers::Watchers;
use crate::task::{RawRunnable, TaskRef};
use crate::timer::ExecutorTime;
use crate::watchdog::Watchdog;

/// The part of an executor that everything else points to.
///
/// It is kept alive by handles to the executor, by the executor's threads, and by all tasks together; see [`cell_count`](crate::runtime::cell_count).
pub(crate) struct Shared {
    weak: Weak<Self>,
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    pub(crate) time: ExecutorTime,
    /// [`INJECTOR_EVERY`], in ticks of the clock.
    pub(crate) injector_ticks: u64,
    pub(crate) registry: Registry,
    pub(crate) scheduler: AnyScheduler<Runnable>,
    pub(crate) sleepers: Sleepers,
    /// On lines of its own: it is written by threads that wait, and read between two tasks.
    pub(crate) shared_jobs: CachePadded<SharedJobs>,
    pub(crate) watchdog: Watchdog,
    pub(crate) plugins: Plugins,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    /// Threads, or the turns of a simulation.
    pub(crate) mode: SharedMode,
    pub(crate) watchers: Watchers,
    pub(crate) shutdown_progress: ShutdownProgress,
    /// Wakes the cleanup thread when a manual clock moves.
    pub(crate) cleanup: Mutex<Option<ClockListener>>,
    /// Threads that sit in cores, and cores that wait for one.
    pub(crate) cores: ThreadPool<Box<WorkerCore>>,
    /// Threads that run blocking tasks, and tasks that wait for one.
    pub(crate) blocking: ThreadPool<Runnable>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) admission: Admission,
    /// Seats that have not closed.
    pub(crate) open_cores: AtomicUsize,
    pub(crate) cell_count: CellCount,
    /// The reference to this that all cells together own, as from `Arc::into_raw`; null before the start and after its end.
    pub(crate) cells_ref: AtomicPtr<Self>,
}

/// What a worker owns: its queue, its place in the writer, its counts. A worker is a thread in a core; when the thread is
/// about to block it gives the core to another, and only the right to use it moves.
///
/// On cache lines of its own: its worker writes to it at every step, and an allocator puts the cores side by side.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct WorkerCore {
    pub(crate) index: usize,
    pub(crate) queue: AnyLocal<Runnable>,
    pub(crate) writer: Writer,
    /// Cells freed by whoever was in the core; see [`cell_count`](crate::runtime::cell_count).
    pub(crate) freed: u64,
    /// Whether `on_worker_start` was called.
    pub(crate) opened: bool,
}

/// What schedulers schedule: the right to run one task.
///
/// A scheduler moves it from queue to queue and hands it out; it need not know more. One that is dropped ends its task as
/// cancelled.
#[derive(Debug)]
pub struct Runnable(RawRunnable<Shared>);

impl Runnable {
    pub(crate) const fn new(task: RawRunnable<Shared>) -> Self {
        Self(task)
    }

    pub(crate) fn into_raw(self) -> RawRunnable<Shared> {
        self.0
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// What sort of work it is.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.0.kind()
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn hints(&self) -> Hints {
        self.0.with_record(ActiveRecord::hints)
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

    fn home(&self) -> Option<usize> {
        self.0.with_record(ActiveRecord::worker)
    }
}

/// How an executor runs: on threads, or by turns.
pub(crate) type SharedMode = Mode<Runnable, Box<WorkerCore>, Shared>;

/// What a simulated executor has in place of threads.
pub(crate) type SharedTurns = Turns<Runnable, Box<WorkerCore>, Shared>;

/// What the builder has chosen.
pub(crate) struct BuilderParts {
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    pub(crate) scheduler: AnyScheduler<Runnable>,
    pub(crate) plugins: Plugins,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) mode: SharedMode,
}

/// After how long a worker whose tasks take long looks first for what came from threads that are no workers, whatever it has
/// queued itself: what a timer or a driver of sockets has woken, say.
const INJECTOR_EVERY: Duration = Duration::from_micros(200);

impl Shared {
    pub(crate) fn new(parts: BuilderParts) -> Arc<Self> {
        let BuilderParts { config, clock, scheduler, plugins, recorder, mode } = parts;
        let workers = config.worker_threads;
        let keep_alive = config.blocking_keep_alive;
        let (spare, compensation) = thread_limits(&config);
        let registry = Registry::new(config.cleanup.clone(), workers, clock.clone());
        let registry =
            if mode.has_threads() { registry } else { registry.with_one_shared_writer() };
        let shared = Arc::new_cyclic(|weak| Self {
            weak: Weak::clone(weak),
            registry,
            sleepers: Sleepers::new(workers),
            shared_jobs: CachePadded::new(SharedJobs::new()),
            watchdog: Watchdog::new(&config, compensation),
            time: ExecutorTime::of(&clock),
            injector_ticks: clock.rough_ticks(INJECTOR_EVERY),
            watchers: Watchers::default(),
            shutdown_progress: ShutdownProgress::default(),
            cleanup: Mutex::new(None),
            cores: ThreadPool::new(PoolLimits {
                threads: workers.saturating_add(spare),
                queue: 0,
                keep_alive,
            }),
            blocking: ThreadPool::new(PoolLimits {
                threads: config.max_blocking_threads,
                // How many there may be is for `admission` to say.
                queue: usize::MAX,
                keep_alive,
            }),
            admission: Admission::new(&config),
            lifecycle: Lifecycle::new(),
            open_cores: AtomicUsize::new(workers),
            cell_count: CellCount::new(),
            cells_ref: AtomicPtr::default(),
            config,
            clock,
            scheduler,
            plugins,
            recorder,
            mode,
        });
        // Ordering: Relaxed: nobody else has the pointer yet.
        shared.cells_ref.store(Arc::into_raw(Arc::clone(&shared)).cast_mut(), Ordering::Relaxed);
        shared
    }

    /// This, counted; `None` while it is being dropped.
    pub(crate) fn arc(&self) -> Option<Arc<Self>> {
        self.weak.upgrade()
    }

    /// The task with this id, if it has not ended.
    pub(crate) fn task_ref(&self, id: TaskId) -> Option<TaskRef<Self>> {
        self.registry.with_task(id, |task| {
            // SAFETY: what is listed is the address of a cell of this executor, and it is alive during the call: the task
            // is unlisted before it gives up its own reference.
            unsafe { TaskRef::acquire(task.cast()) }
        })
    }

    /// Starts a thread of the executor.
    pub(crate) fn start_thread(
        &self,
        name: String,
        body: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> io::Result<()> {
        // A thread that works for the executor keeps it; who calls this has a reference.
        let Some(shared) = self.arc() else {
            return Err(io::Error::other("the executor is gone"));
        };
        let mut builder = std::thread::Builder::new().name(name);
        if let Some(size) = self.config.thread_stack_size {
            builder = builder.stack_size(size);
        }
        builder.spawn(move || body(shared)).map(drop)
    }

    /// Tells the recorder, if there is one. A panic of it is contained.
    #[inline]
    pub(crate) fn notify_recorder(&self, call: &str, record: impl FnOnce(&dyn Recorder)) {
        if let Some(recorder) = &self.recorder
            && let Some(message) = panics::contain(|| record(&**recorder))
        {
            tracing::error!(target: "moirai", call, panic = &*message, "the recorder panicked");
        }
    }

    /// How many cells' worth of work is queued for the workers.
    pub(crate) fn queued(&self) -> usize {
        self.scheduler.len()
    }
}

/// How many spare threads and how many compensation threads there may be.
fn thread_limits(config: &ExecutorConfig) -> (usize, usize) {
    /// How many compensation threads there may be at least, if the configuration does not say.
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
