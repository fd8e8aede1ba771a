//! The progress tick: what sees to it that work goes on while workers are stuck, and says in what they are.
//!
//! A worker can be in one task, or in one piece of fork-join work, for seconds. The progress thread looks every [`TICK`] at what each
//! worker is in ([`lanes`]). When a worker has not gone on to something else since the last look, then
//!
//! - what is queued where this worker looks first, and others last or not at all, is put where all look: its queue, its slot;
//! - if work waits and another worker sleeps, that one is woken;
//! - if work waits and no worker has gone on, a *rescuer* is asked for ([`rescue`], [`reserve`]): a thread without a seat, which
//!   takes async tasks from the queues as any thread may that is no worker, and polls them until a worker goes on again. If the rescuer
//!   gets stuck as well, then another comes, up to a limit. A rescuer that is not needed ends after a while;
//! - as many rescuers run parallel closures, and pieces of fork-join work, as threads are *blocked*: stuck, not on a
//!   processor since the last look, and asleep ([`cpu_clock`]). For these others may compute without there being
//!   more threads that compute than there are cores. So rescuers are asked for also when some workers go on and others are blocked;
//! - a poll that goes on past its budget is reported ([`watchdog`]).
//!
//! Idle costs nothing (promise P12):
//!
//! 1. *Armed*, the thread looks once a tick. When it has seen twice in a row that every worker is idle, and no rescuer in anything,
//!    it disarms: it clears `armed`, makes a fence, and looks once more. If somebody is busy now, it arms again; otherwise it sleeps
//!    without limit.
//! 2. A worker that stops being idle makes that visible first (in the word of [`Sleepers`](moirai_scheduler::Sleepers)), makes a
//!    fence, and looks at `armed`. If it is clear, it sets it under the lock, and wakes the thread.
//!
//! One of the two fences is first. If it is the thread's, the worker sees `armed` clear. If it is the worker's, the thread sees the
//! worker busy. So no worker is busy for long while the thread sleeps.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use moirai_core::shim::sync::{Condvar, Mutex};
use moirai_core::{ExecutorConfig, TaskId};

use crate::panics;
use crate::runtime::shared::Shared;

use crate::watchdog::activity::{Lanes, Sight};
use crate::watchdog::arming::Arming;
use crate::watchdog::compensation::Reserve;
use crate::watchdog::cpu_clock::CpuTime;
use crate::watchdog::stalls::{Judged, Watchdog};

/// How often the thread looks. Work waits for at most two of them.
const TICK: Duration = Duration::from_millis(8);

/// How many tasks of one stuck worker are put elsewhere at one look.
const RECLAIM: usize = 256;

/// A thread was blocked if it was on a processor for less than this part of the time.
const BLOCKED: u32 = 8;

/// What the progress thread, the workers and the rescuers share.
pub(crate) struct Progress {
    pub(crate) arming: Arming,
    pub(crate) lanes: Lanes,
    pub(crate) reserve: Reserve,
    pub(crate) watchdog: Watchdog,
    /// How much rescuers have run.
    pub(crate) rescued: AtomicUsize,
    pub(crate) state: Mutex<State>,
    /// The thread was armed, or it is to stop, or it has ended.
    pub(crate) changed: Condvar,
    /// Whether there is a thread at all.
    pub(crate) on: bool,
    pub(crate) rescues: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    stop: bool,
    armed: bool,
    /// The thread runs.
    running: bool,
}

impl Progress {
    /// With up to `rescuers` rescuers.
    pub(crate) fn new(config: &ExecutorConfig, rescuers: usize) -> Self {
        let workers = config.worker_threads;
        let lanes = Lanes::new(workers, rescuers);
        let watchdog = Watchdog::new(config, lanes.len());
        let rescues = rescuers > 0;
        Self {
            arming: Arming::new(),
            lanes,
            reserve: Reserve::new(rescuers, workers),
            rescued: AtomicUsize::new(0),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            on: rescues || watchdog.is_on(),
            rescues,
            watchdog,
        }
    }

    /// A thread takes the seat of `worker`.
    pub(crate) fn enter(&self, worker: usize) {
        self.lanes.lane(worker).enter();
    }

    /// Worker `worker` goes on to something else.
    #[inline]
    pub(crate) fn step(&self, worker: usize) {
        self.lanes.lane(worker).step();
    }

    /// Worker `worker` polls a task.
    #[inline]
    pub(crate) fn in_task(&self, worker: usize, task: TaskId) {
        self.lanes.lane(worker).in_task(task);
    }

    /// Worker `worker` runs a piece of fork-join work.
    pub(crate) fn in_piece(&self, worker: usize) {
        self.lanes.lane(worker).in_piece();
    }

    /// Worker `worker` finds nothing to do.
    pub(crate) fn in_nothing(&self, worker: usize) {
        self.lanes.lane(worker).in_nothing();
    }

    /// A worker is not idle any more. Rule 2.
    #[inline]
    pub(crate) fn busy(&self) {
        if self.on && self.arming.is_to_wake() {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        let mut state = self.state.lock();
        self.arming.arm();
        state.armed = true;
        self.changed.notify_one();
    }

    /// Ends the threads, and waits for the progress thread until `deadline`: it may be inside of somebody's hook.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.reserve.stop();
        let mut state = self.state.lock();
        state.stop = true;
        self.changed.notify_all();
        while state.running {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let _ = self.changed.wait_for(&mut state, left);
        }
    }
}

/// Says that the progress thread has ended, however it does.
struct Ended<'a>(&'a Progress);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.changed.notify_all();
    }
}

/// What the progress thread has seen up to its last look.
struct Seen {
    lanes: Vec<SeenLane>,
    rescued: usize,
    /// Looks in a row at which nobody was in anything.
    idle: usize,
}

/// What it has seen of one lane.
#[derive(Clone, Copy)]
struct SeenLane {
    sight: Sight,
    /// The first look at which it was so.
    since: Instant,
    /// At the last look, once it was the same twice.
    cpu: Option<(CpuTime, Instant)>,
    judged: Judged,
}

/// What a look has found.
#[derive(Default)]
struct Found {
    /// Workers that have gone on.
    moved: usize,
    /// Threads that are stuck, and not on a processor.
    blocked: usize,
}

impl Shared {
    /// Starts the progress thread.
    pub(crate) fn start_progress(&self, name: String) -> io::Result<()> {
        if !self.progress.on {
            return Ok(());
        }
        self.progress.state.lock().running = true;
        let started = self.start_thread(name, |shared| {
            let _ended = Ended(&shared.progress);
            // What may panic is the code of a scheduler, or of a `tracing` subscriber.
            while let Some(message) = panics::message_of(|| shared.watch_progress()) {
                tracing::error!(target: "moirai", panic = &*message, "the progress thread panicked, and goes on");
            }
        });
        if started.is_err() {
            self.progress.state.lock().running = false;
        }
        started
    }

    /// The body of the progress thread.
    fn watch_progress(&self) {
        let progress = &self.progress;
        let unseen = SeenLane {
            sight: Sight::default(),
            since: Instant::now(),
            cpu: None,
            judged: Judged::NotYet,
        };
        let mut seen = Seen { lanes: vec![unseen; progress.lanes.len()], rescued: 0, idle: 0 };
        let mut state = progress.state.lock();
        while !state.stop {
            if state.armed {
                let _ = progress.changed.wait_for(&mut state, TICK);
                if !state.stop {
                    drop(state);
                    self.look_for_progress(&mut seen);
                    state = progress.state.lock();
                    if seen.idle >= 2 {
                        state.armed = !progress.arming.disarm(|| self.nobody_is_busy());
                        seen.idle = 0;
                    }
                }
            } else {
                progress.changed.wait(&mut state);
            }
        }
    }

    fn nobody_is_busy(&self) -> bool {
        let lanes = &self.progress.lanes;
        self.sleepers.idle() == lanes.workers() && lanes.rescuers_rest()
    }

    /// One look.
    fn look_for_progress(&self, seen: &mut Seen) {
        let progress = &self.progress;
        let found = self.look_at_lanes(seen);
        // Ordering: Relaxed: only compared.
        let rescued = progress.rescued.load(Ordering::Relaxed);
        let rescuing = std::mem::replace(&mut seen.rescued, rescued) != rescued;
        if self.nobody_is_busy() {
            seen.idle += 1;
            progress.reserve.report(false, 0);
            return;
        }
        seen.idle = 0;
        let pieces = found.blocked > 0 && self.board.has_pieces();
        let waits = pieces || self.scheduler.len() > 0;
        if self.sleepers.idle() > 0 {
            progress.reserve.report(false, 0);
            if waits {
                self.sleepers.notify();
            }
            return;
        }
        let stuck = progress.rescues && (found.moved == 0 || found.blocked > 0);
        progress.reserve.report(stuck, found.blocked);
        let helped =
            if found.moved == 0 { rescuing } else { progress.reserve.awake() >= found.blocked };
        if stuck && waits && !helped {
            self.ask_for_a_rescuer();
        }
    }

    /// Looks at every lane, and does for each what its being stuck asks for.
    fn look_at_lanes(&self, seen: &mut Seen) -> Found {
        let lanes = &self.progress.lanes;
        let now = Instant::now();
        let mut found = Found::default();
        for (index, seen) in seen.lanes.iter_mut().enumerate() {
            let lane = lanes.lane(index);
            let sight = lane.sight();
            if sight != seen.sight {
                found.moved += usize::from(index < lanes.workers());
                *seen = SeenLane { sight, since: now, cpu: None, judged: Judged::NotYet };
                self.stall_over(index);
                continue;
            }
            if !sight.is_busy() {
                continue;
            }
            if index < lanes.workers() {
                self.reclaim(index);
            }
            let cpu = lane.cpu_time();
            let computes = seen.cpu.zip(cpu).map(|((before, then), cpu)| {
                let least = now.saturating_duration_since(then) / BLOCKED;
                cpu.saturating_sub(before) >= least || !lane.sleeps()
            });
            seen.cpu = cpu.map(|cpu| (cpu, now));
            found.blocked += usize::from(computes == Some(false));
            if seen.judged == Judged::NotYet
                && let Some(task) = sight.task()
                && self.progress.watchdog.may_be_stall(now.saturating_duration_since(seen.since))
            {
                seen.judged = self.judge(index, task, seen.since, computes);
            }
        }
        found
    }

    /// Puts what is queued at a stuck worker where all look.
    fn reclaim(&self, worker: usize) {
        for _ in 0..RECLAIM {
            let Some(task) = self.scheduler.reclaim(worker) else {
                return;
            };
            let priority = task.priority();
            self.queue_from_outside(task, priority);
        }
    }
}
