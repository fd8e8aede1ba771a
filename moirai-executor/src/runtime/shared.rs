//! The part of an executor that its workers, its tasks and its handles share.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::{
    Clock, ExecutorConfig, Priority, Ready, Recorder, TaskId, TaskKind, TaskSample, TaskStatus,
    Visibility,
};
use moirai_scheduler::Sleepers;
use parking_lot::Mutex;

use crate::fork_join::Board;
use crate::handle::Watchers;
use crate::panics;
use crate::registry::sweeper::CleanupWorker;
use crate::registry::{End, Entry, Registry};
use crate::runtime::admission::Admission;
use crate::runtime::cell_count::{Last, LiveCells};
use crate::runtime::context::Context;
use crate::runtime::lifecycle::{Door, Phase};
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler::{AnyScheduler, Runnable};
use crate::runtime::seat::Seat;
use crate::runtime::shutdown::Closing;
use crate::runtime::thread_pool::{Limits, Pool, Refused};
use crate::runtime::watchdog_thread::Progress;
use crate::runtime::worker;
use crate::sim::Sim;
use crate::task::{Asker, Host, RawRunnable, TaskRef, Verdict};
use crate::time::TimeSource;

/// The part of an executor that everything else points to.
///
/// It is kept alive by handles to the executor, by the executor's threads, and by all tasks together; see [`live`](crate::runtime::cell_count).
pub(crate) struct Shared {
    weak: Weak<Self>,
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    pub(crate) time: TimeSource,
    /// [`OUTSIDE_EVERY`], in ticks of the clock.
    pub(crate) outside_ticks: u64,
    pub(crate) registry: Registry,
    pub(crate) scheduler: AnyScheduler,
    pub(crate) sleepers: Sleepers,
    /// On lines of its own: it is written by threads that wait, and read between two tasks.
    pub(crate) board: CachePadded<Board>,
    pub(crate) progress: Progress,
    pub(crate) plugins: Plugins,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    /// What stands for threads, if there are none.
    pub(crate) sim: Option<Box<Sim>>,
    pub(crate) watchers: Watchers,
    pub(crate) closing: Closing,
    pub(crate) cleanup: Mutex<Option<CleanupWorker>>,
    /// Threads that sit in seats, and seats that wait for one.
    pub(crate) seats: Pool<Box<Seat>>,
    /// Threads that run blocking tasks, and tasks that wait for one.
    pub(crate) blocking: Pool<Runnable>,
    pub(crate) door: Door,
    pub(crate) admission: Admission,
    /// Seats that have not closed.
    open_seats: AtomicUsize,
    live: LiveCells,
    /// The reference to this that all cells together own, as from `Arc::into_raw`; null before the start and after its end.
    cells: AtomicPtr<Self>,
}

/// What the builder has chosen.
pub(crate) struct Parts {
    pub(crate) config: ExecutorConfig,
    pub(crate) clock: Clock,
    pub(crate) scheduler: AnyScheduler,
    pub(crate) plugins: Plugins,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) sim: Option<Box<Sim>>,
}

/// After how long a worker whose tasks take long looks first for what came from threads that are no workers, whatever it has
/// queued itself: what a timer or a driver of sockets has woken, say.
const OUTSIDE_EVERY: Duration = Duration::from_micros(200);

/// How many reserve threads there may be when the configuration does not say.
const DEFAULT_RESERVE: usize = 512;

/// How many rescuers there may be at least when the configuration does not say.
const MIN_RESCUERS: usize = 4;

/// How many rescuers there may be at most: each has a lane that is looked at.
const MAX_RESCUERS: usize = 1_024;

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { config, clock, scheduler, plugins, recorder, sim } = parts;
        let workers = config.worker_threads;
        let keep_alive = config.blocking_keep_alive;
        let reserve = config.reserve_workers.unwrap_or(DEFAULT_RESERVE);
        let registry = Registry::new(config.cleanup.clone(), workers, clock.clone());
        let registry = if sim.is_some() { registry.with_one_guest() } else { registry };
        let shared = Arc::new_cyclic(|weak| Self {
            weak: Weak::clone(weak),
            registry,
            sleepers: Sleepers::new(workers),
            board: CachePadded::new(Board::new()),
            progress: Progress::new(
                &config,
                config.reserve_workers.unwrap_or(workers.max(MIN_RESCUERS)).min(MAX_RESCUERS),
            ),
            time: TimeSource::of(&clock),
            outside_ticks: clock.rough_ticks(OUTSIDE_EVERY),
            watchers: Watchers::default(),
            closing: Closing::default(),
            cleanup: Mutex::new(None),
            seats: Pool::new(Limits {
                threads: workers.saturating_add(reserve),
                queue: 0,
                keep_alive,
            }),
            blocking: Pool::new(Limits {
                threads: config.max_blocking_threads,
                // How many there may be is for `admission` to say.
                queue: usize::MAX,
                keep_alive,
            }),
            admission: Admission::new(&config),
            door: Door::new(),
            open_seats: AtomicUsize::new(workers),
            live: LiveCells::new(),
            cells: AtomicPtr::default(),
            config,
            clock,
            scheduler,
            plugins,
            recorder,
            sim,
        });
        // Ordering: Relaxed: nobody else has the pointer yet.
        shared.cells.store(Arc::into_raw(Arc::clone(&shared)).cast_mut(), Ordering::Relaxed);
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

    /// Gives a seat to another thread, because the caller is about to block. It comes back if no thread is to be had.
    pub(crate) fn hand_on(&self, seat: Box<Seat>) -> Result<(), Box<Seat>> {
        if self.sim.is_some() {
            // Nobody else needs it while the caller has the turn.
            return Err(seat);
        }
        // Said while the seat is still the caller's: recorders count on one writer a worker.
        self.record("seat_handed_on", |recorder| recorder.seat_handed_on(seat.index));
        let submitted = self.seats.submit(seat, |number| {
            let name = format!("{}-reserve-{number}", self.config.thread_name_prefix);
            self.start_thread(name, |shared| worker::run(shared, None))
        });
        submitted.map_err(|(Refused::Full(seat) | Refused::Never(seat))| {
            // What is in its private slot is for others to take now: they look there when they find nothing else.
            self.sleepers.notify();
            seat
        })
    }

    /// Tells the recorder, if there is one. A panic of it is contained.
    #[inline]
    pub(crate) fn record(&self, call: &str, record: impl FnOnce(&dyn Recorder)) {
        if let Some(recorder) = &self.recorder
            && let Some(message) = panics::message_of(|| record(&**recorder))
        {
            tracing::error!(target: "moirai", call, panic = &*message, "the recorder panicked");
        }
    }

    /// Takes back a seat that was handed on, if nobody has sat down yet.
    pub(crate) fn take_seat_back(&self, index: usize) -> Option<Box<Seat>> {
        self.seats.take_back(|seat| seat.index == index)
    }

    /// Queues a blocking task.
    pub(crate) fn queue_blocking(&self, task: Runnable) {
        if self.sim.is_some() {
            let priority = task.priority();
            return self.queue_from_outside(task, priority);
        }
        let start = |number| {
            let name = format!("{}-blocking-{number}", self.config.thread_name_prefix);
            self.start_thread(name, worker::run_blocking)
        };
        // Refused at shutdown, or because no thread can be started: dropping it ends the task.
        drop(self.blocking.submit(task, start));
    }

    /// Queues a task that is new.
    pub(crate) fn queue_new(&self, task: RawRunnable<Self>) {
        let ready = newly_ready(task.kind());
        self.queue_ready(task, ready);
    }

    fn queue_ready(&self, task: RawRunnable<Self>, ready: Ready) {
        let priority = task.priority();
        let task = Runnable::new(task);
        Context::with(|context| match context.and_then(|context| context.seat_of(self)) {
            Some(mut seat) => {
                let visibility = seat.queue.push(task, priority, ready);
                let worker = seat.index;
                drop(seat);
                self.wake_for(visibility, worker);
            }
            None => self.queue_from_outside(task, priority),
        });
    }

    /// Wakes who is to run what worker `pusher`, who calls, has pushed.
    #[inline]
    pub(crate) fn wake_for(&self, visibility: Visibility, pusher: usize) {
        match visibility {
            Visibility::Shared => self.sleepers.notify(),
            Visibility::Slot => {}
            Visibility::Worker(worker) if worker == pusher => {}
            Visibility::Worker(worker) => self.sleepers.notify_worker(worker),
        }
    }

    pub(crate) fn queue_from_outside(&self, task: Runnable, priority: Priority) {
        // The fence of either is the one that the door asks for.
        match self.scheduler.push(task, priority) {
            Visibility::Worker(worker) => self.sleepers.notify_worker(worker),
            Visibility::Shared | Visibility::Slot => self.sleepers.notify(),
        }
        self.door.queued_behind_a_fence(|| self.bury());
    }

    /// A seat has closed. The last one ends the executor's work.
    pub(crate) fn seat_closed(&self, seat: Box<Seat>) {
        self.live.merge(seat.freed);
        drop(seat);
        // Ordering: Release and Acquire: what was done in all the seats happens before the end of the last.
        if self.open_seats.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.door.last_seat_closed(|| self.bury());
        // The door is shut, and was before the first seat closed: no cell can be made any more.
        if self.live.settle(self.registry.totals().spawned) == Last::Yes {
            drop(self.give_up_cells());
        }
    }

    /// Ends tasks that became ready when no worker was left.
    fn bury(&self) {
        worker::bury(self);
    }

    /// The reference that all cells together own; the caller has seen that there are none left.
    fn give_up_cells(&self) -> Option<Arc<Self>> {
        // Ordering: AcqRel: once only, and after everything that was done for cells.
        let cells = self.cells.swap(std::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the pointer is from `Arc::into_raw`, and the swap makes sure that it is turned back once.
        (!cells.is_null()).then(|| unsafe { Arc::from_raw(cells) })
    }

    /// How many cells' worth of work is queued for the workers.
    pub(crate) fn load(&self) -> usize {
        self.scheduler.len()
    }

    /// Records what can be known of a task only before its verdict is published.
    fn before_verdict(&self, entry: &Entry, verdict: &Verdict, ticks: u64) {
        let by_shutdown =
            verdict.status == TaskStatus::Cancelled && verdict.asker == Asker::Shutdown;
        let unseen_panic = verdict.status == TaskStatus::Failed && verdict.detached;
        if !(by_shutdown || unseen_panic) {
            return;
        }
        let Some(mut stats) = self.registry.stats(entry.id()) else {
            return;
        };
        if unseen_panic {
            tracing::warn!(
                target: "moirai",
                id = entry.id().get(),
                name = stats.name.as_deref(),
                kind = %stats.kind,
                location = %stats.location,
                panic = verdict.error.as_deref(),
                "a task panicked whose handle is gone",
            );
        }
        if let Some(sim) = self.sim.as_ref().filter(|_| unseen_panic) {
            stats.error.clone_from(&verdict.error);
            sim.unseen_panic(&stats);
        }
        if by_shutdown {
            stats.status = verdict.status;
            stats.finished_at = Some(self.clock.converter().timestamp(ticks));
            self.closing.record(stats);
        }
    }
}

/// Why a new task is queued.
pub(crate) fn newly_ready(kind: TaskKind) -> Ready {
    if kind == TaskKind::Async { Ready::Spawned } else { Ready::Offered }
}

impl Host for Shared {
    type Entry = Entry;
    type Env = Context;

    fn queue(&self, task: RawRunnable<Self>, ready: Ready) {
        self.queue_ready(task, ready);
    }

    #[inline]
    fn is_cancelling(&self) -> bool {
        self.door.phase() >= Phase::Cancelling
    }

    fn abandoned_by(&self) -> Asker {
        // A scheduler may drop a task at any time, and a pool may have no thread for one.
        if self.door.is_shut() { Asker::Shutdown } else { Asker::User }
    }

    fn wants_panic_locations(&self) -> bool {
        self.config.capture_panic_location
    }

    #[inline]
    fn before_poll(&self, context: &Context, entry: &Entry, first: bool) {
        if first {
            if !self.plugins.is_empty() {
                self.plugins.call("before_execute", |plugin| plugin.before_execute(entry.id()));
            }
            entry.start(context.worker(), context.ticks.get());
        }
    }

    #[inline]
    fn after_poll(&self, context: &Context, entry: &Entry) {
        let now = self.clock.ticks();
        entry.polled(now.saturating_sub(context.ticks.replace(now)));
    }

    fn finish(&self, context: Option<&Context>, entry: Entry, verdict: Verdict) {
        let id = entry.id();
        let status = verdict.status;
        let now = self.clock.ticks();
        if let Some(context) = context {
            let before = context.ticks.replace(now);
            // A task that is cancelled is so between two polls.
            if status != TaskStatus::Cancelled {
                entry.polled(now.saturating_sub(before));
            }
        }
        self.before_verdict(&entry, &verdict, now);
        let end = End { status, ticks: now, error: verdict.error };
        let (finished, worker) =
            Context::with(|innermost| match innermost.and_then(|context| context.seat_of(self)) {
                Some(mut seat) => {
                    let seat = &mut *seat;
                    (self.registry.finish(&mut seat.books, entry, end), Some(seat.index))
                }
                None => {
                    let finish = |books: &mut _| self.registry.finish(books, entry, end);
                    (self.registry.with_guest(finish), None)
                }
            });
        self.admission.leave(finished.kind);
        if self.recorder.is_some() {
            let sample = TaskSample::new(
                finished.kind,
                status,
                self.clock.rough_duration(finished.queue_ticks),
                self.clock.rough_duration(finished.busy_ticks),
                finished.polls,
            );
            self.record("task_finished", |recorder| recorder.task_finished(worker, &sample));
        }
        if !self.plugins.is_empty() {
            self.plugins.call("after_complete", |plugin| plugin.after_complete(id, status));
        }
        if self.door.is_shut() {
            self.closing.progress();
        }
    }

    fn tell_watchers(&self, id: TaskId, status: TaskStatus) {
        self.watchers.tell(id, status);
    }

    fn note(&self, id: TaskId, message: Arc<str>) {
        self.registry.note(id, message);
    }

    unsafe fn cell_freed(host: NonNull<Self>) {
        let last = {
            // SAFETY: the cell that was freed was counted until now, so the cells' reference is still there.
            let shared = unsafe { host.as_ref() };
            match Context::with_seat_of(shared, |seat| seat.freed += 1) {
                Some(()) => return,
                None if shared.live.freed() == Last::Yes => shared.give_up_cells(),
                None => return,
            }
        };
        // The shared part may go here, and with it plugins, the scheduler and the recorder, whose destructors are not the
        // problem of whoever dropped the last handle or waker. Nothing refers to it any more.
        if let Some(message) = panics::message_of(|| drop(last)) {
            tracing::error!(target: "moirai", panic = &*message, "a destructor panicked at the end of an executor");
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("phase", &self.door.phase())
            .field("workers", &self.config.worker_threads)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
