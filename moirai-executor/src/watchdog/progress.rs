//! What the progress thread, the workers and the rescuers share.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use moirai_core::shim::sync::{Condvar, Mutex};
use moirai_core::{ExecutorConfig, TaskId};

use super::activity::Lanes;
use super::arming::Arming;
use super::compensation::Reserve;
use super::stalls::Watchdog;

/// What the progress thread, the workers and the rescuers share.
pub(crate) struct Progress {
    pub(crate) arming: Arming,
    pub(crate) lanes: Lanes,
    pub(crate) reserve: Reserve,
    pub(crate) watchdog: Watchdog,
    /// ShutdownMode much rescuers have run.
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
    pub(crate) stop: bool,
    pub(crate) armed: bool,
    /// The thread runs.
    pub(crate) running: bool,
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

    /// A thread takes the core of `worker`.
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
    pub(crate) fn in_stolen_job(&self, worker: usize) {
        self.lanes.lane(worker).in_stolen_job();
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
