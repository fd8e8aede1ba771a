//! The progress tick: what sees to it that tasks are polled while every worker is stuck in something else.
//!
//! A worker can be in one task, or in one piece of fork-join work, for seconds. The progress thread looks every [`TICK`]. If work
//! waits while a worker has not gone on to something else since the last look, then
//!
//! - if another worker sleeps, it is woken: what waits may be in the slot of the one that is stuck;
//! - if none has gone on, a *rescuer* is asked for: a thread without a seat, which takes async tasks from the queues as any thread
//!   may that is no worker, and polls them until a worker goes on again. It leaves parallel closures alone: with more threads
//!   that compute than there are cores everybody would only be slower. If the rescuer gets stuck as well, then another comes, up to a
//!   limit. A rescuer that is not needed ends after a while.
//!
//! Idle costs nothing (promise P12):
//!
//! 1. *Armed*, the thread looks once a tick. When it has seen twice in a row that every worker is idle, it disarms: it clears
//!    `armed`, makes a fence, and looks once more. If somebody is busy now, it arms again; otherwise it sleeps without limit.
//! 2. A worker that stops being idle makes that visible first (in the word of [`Sleepers`](moirai_scheduler::Sleepers)), makes a
//!    fence, and looks at `armed`. If it is clear, it sets it under the lock, and wakes the thread.
//!
//! One of the two fences is first. If it is the thread's, the worker sees `armed` clear. If it is the worker's, the thread sees the
//! worker busy. So no worker is busy for long while the thread sleeps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::TaskKind;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use moirai_core::shim::sync::{Condvar, Mutex};

use crate::context::Context;
use crate::door::Phase;
use crate::panics;
use crate::shared::Shared;
use crate::worker;

/// How often the thread looks. Work waits for at most two of them.
const TICK: Duration = Duration::from_millis(8);

/// How often a rescuer looks for tasks that nobody tells it of.
const LOOK: Duration = Duration::from_millis(1);

/// How long a rescuer is kept that is not needed.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How many parallel closures a rescuer passes over in one look.
const PASS_OVER: usize = 64;

/// What the progress thread, the workers and the rescuers share.
pub(crate) struct Progress {
    arming: Arming,
    /// For each worker, how often it has gone on to something else.
    steps: Box<[CachePadded<AtomicUsize>]>,
    /// How many tasks rescuers have polled.
    rescued: AtomicUsize,
    state: Mutex<State>,
    /// For the progress thread: it was armed, or it is to stop.
    changed: Condvar,
    /// For rescuers: they are needed, or they are to stop.
    needed: Condvar,
    /// How many rescuers there may be.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    armed: bool,
    /// Whether no worker goes on.
    stuck: bool,
    /// The progress thread runs.
    running: bool,
    rescuers: usize,
    /// Rescuers that wait to be needed.
    resting: usize,
    /// Numbers the rescuers, for their names.
    started: usize,
}

/// Rules 1 and 2.
pub(crate) struct Arming(AtomicBool);

impl Arming {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Rule 2: whether the thread has to be woken, for a worker that has made visible that it is busy.
    #[inline]
    pub(crate) fn is_to_wake(&self) -> bool {
        // Ordering: SeqCst pairs with the fence in `disarm`: see the module.
        fence(Ordering::SeqCst);
        // Ordering: Relaxed: the fence.
        !self.0.load(Ordering::Relaxed)
    }

    /// Under the lock.
    pub(crate) fn arm(&self) {
        // Ordering: Relaxed: who sees it a little late arms once more.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Rule 1: clears it, and says whether it stays so. Under the lock.
    pub(crate) fn disarm(&self, all_idle: impl FnOnce() -> bool) -> bool {
        // Ordering: Relaxed: the fence that follows.
        self.0.store(false, Ordering::Relaxed);
        // Ordering: SeqCst pairs with the fence in `is_to_wake`: see the module.
        fence(Ordering::SeqCst);
        let stays = all_idle();
        if !stays {
            self.arm();
        }
        stays
    }
}

impl Progress {
    /// For so many workers, and up to so many rescuers; without any it is off.
    pub(crate) fn new(workers: usize, limit: usize) -> Self {
        Self {
            arming: Arming::new(),
            steps: (0..workers).map(|_| CachePadded::new(AtomicUsize::new(0))).collect(),
            rescued: AtomicUsize::new(0),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            needed: Condvar::new(),
            limit,
        }
    }

    /// Worker `worker` goes on to something else.
    #[inline]
    pub(crate) fn step(&self, worker: usize) {
        let steps = &self.steps[worker];
        // Ordering: Relaxed: only the thread in the seat writes it, and the progress thread only compares.
        steps.store(steps.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// A worker is not idle any more. Rule 2.
    #[inline]
    pub(crate) fn busy(&self) {
        if self.limit > 0 && self.arming.is_to_wake() {
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

    /// Ends the threads, and waits for the progress thread.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stop = true;
        self.changed.notify_all();
        self.needed.notify_all();
        while state.running {
            self.changed.wait(&mut state);
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

/// What the progress thread has seen at its last look.
struct Seen {
    steps: Vec<usize>,
    rescued: usize,
    idle: usize,
}

impl Shared {
    /// Starts the progress thread.
    pub(crate) fn start_progress(&self, name: String) -> io::Result<()> {
        if self.progress.limit == 0 {
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
        let workers = progress.steps.len();
        let mut seen = Seen { steps: vec![0; workers], rescued: 0, idle: 0 };
        let mut state = progress.state.lock();
        while !state.stop {
            if state.armed {
                let _ = progress.changed.wait_for(&mut state, TICK);
                if !state.stop {
                    drop(state);
                    let stuck = self.look_for_progress(&mut seen);
                    state = progress.state.lock();
                    state.stuck = stuck;
                    if seen.idle >= 2 {
                        let idle = || self.sleepers.idle() == workers;
                        state.armed = !progress.arming.disarm(idle);
                        seen.idle = 0;
                    }
                }
            } else {
                state.stuck = false;
                progress.changed.wait(&mut state);
            }
        }
    }

    /// One look; says whether a rescuer is needed.
    fn look_for_progress(&self, seen: &mut Seen) -> bool {
        let progress = &self.progress;
        let idle = self.sleepers.idle();
        if idle == progress.steps.len() {
            seen.idle += 1;
            return false;
        }
        seen.idle = 0;
        let mut moved = 0;
        for (steps, before) in progress.steps.iter().zip(&mut seen.steps) {
            // Ordering: Relaxed: only compared; a step that is seen late is seen at the next look.
            let now = steps.load(Ordering::Relaxed);
            moved += usize::from(now != *before);
            *before = now;
        }
        // Ordering: Relaxed, as above.
        let rescued = progress.rescued.load(Ordering::Relaxed);
        let rescuing = rescued != seen.rescued;
        seen.rescued = rescued;
        if moved > 0 && idle == 0 {
            return false;
        }
        let waits = self.scheduler.len() > 0;
        if idle > 0 {
            if waits {
                self.sleepers.notify();
            }
            return false;
        }
        if waits && !rescuing {
            self.ask_for_a_rescuer();
        }
        true
    }

    /// Wakes a rescuer, or starts one.
    fn ask_for_a_rescuer(&self) {
        let progress = &self.progress;
        let mut state = progress.state.lock();
        state.stuck = true;
        if state.resting > 0 {
            progress.needed.notify_one();
            return;
        }
        if state.rescuers == progress.limit {
            return;
        }
        state.rescuers += 1;
        state.started += 1;
        let name = format!("{}-rescue-{}", self.config.thread_name_prefix, state.started);
        drop(state);
        tracing::debug!(target: "moirai", "all workers are stuck while tasks wait: a thread helps out");
        let started = self.start_thread(name, |shared| {
            let panicked = panics::message_of(|| shared.rescue());
            shared.progress.state.lock().rescuers -= 1;
            if let Some(message) = panicked {
                tracing::error!(target: "moirai", panic = &*message, "a rescuer panicked");
            }
        });
        if let Err(error) = started {
            progress.state.lock().rescuers -= 1;
            tracing::warn!(target: "moirai", %error, "a thread could not be started");
        }
    }

    /// The body of a rescuer.
    fn rescue(self: &Arc<Self>) {
        let context = Context::new(Arc::clone(self));
        context.enter(|| {
            let progress = &self.progress;
            loop {
                while self.rescue_one(&context) {}
                let mut state = progress.state.lock();
                if state.stop {
                    break;
                }
                if state.stuck {
                    let _ = progress.needed.wait_for(&mut state, LOOK);
                    continue;
                }
                state.resting += 1;
                let timed_out = progress.needed.wait_for(&mut state, KEEP_ALIVE).timed_out();
                state.resting -= 1;
                if state.stop || (timed_out && !state.stuck) {
                    break;
                }
            }
        });
    }

    /// Polls one async task, and says whether there was one.
    fn rescue_one(&self, context: &Context) -> bool {
        if !self.progress.state.lock().stuck || self.door.phase() == Phase::Stopped {
            return false;
        }
        let mut passed_over = Vec::new();
        let mut found = None;
        while passed_over.len() < PASS_OVER
            && let Some(task) = self.scheduler.take()
        {
            if task.kind() == TaskKind::Async || self.door.phase() >= Phase::Cancelling {
                found = Some(task);
                break;
            }
            passed_over.push(task);
        }
        for task in passed_over {
            let priority = task.priority();
            self.queue_from_outside(task, priority);
        }
        let Some(task) = found else {
            return false;
        };
        // Ordering: Relaxed: only compared.
        self.progress.rescued.fetch_add(1, Ordering::Relaxed);
        context.ticks.set(self.clock.ticks());
        if let Some(message) = panics::message_of(|| worker::run_task(context, task)) {
            tracing::error!(target: "moirai", panic = &*message, "a rescuer panicked, and goes on");
        }
        true
    }
}

#[cfg(all(test, moirai_loom))]
mod loom_models {
    use super::*;
    use moirai_core::shim::sync::Arc;
    use moirai_core::shim::thread;

    #[test]
    fn loom_progress_disarming_against_a_worker_that_gets_busy() {
        loom::model(|| {
            let arming = Arc::new((Arming::new(), AtomicUsize::new(1), Mutex::new(true)));
            arming.0.arm();
            let worker = thread::spawn({
                let arming = Arc::clone(&arming);
                move || {
                    let (arming, idle, armed) = &*arming;
                    idle.store(0, Ordering::Relaxed);
                    if arming.is_to_wake() {
                        let mut armed = armed.lock();
                        arming.arm();
                        *armed = true;
                    }
                }
            });
            {
                let (arming, idle, armed) = &*arming;
                let mut armed = armed.lock();
                *armed = !arming.disarm(|| idle.load(Ordering::Relaxed) == 1);
            }
            worker.join().unwrap();
            assert!(*arming.2.lock(), "the worker is busy, and nobody looks");
            assert!(!arming.0.is_to_wake());
        });
    }
}
