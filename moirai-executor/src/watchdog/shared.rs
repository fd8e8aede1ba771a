//! What the watchdog thread, the workers and the rescuers share.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use moirai_core::shim::sync::{Condvar, Mutex};
use moirai_core::{ExecutorConfig, TaskId};

use super::activity::Activities;
use super::arming::Arming;
use super::compensation::Compensation;
use super::stalls::StallDetector;

/// What the watchdog thread, the workers and the rescuers share.
pub(crate) struct Watchdog {
    pub(crate) arming: Arming,
    pub(crate) activities: Activities,
    pub(crate) compensation: Compensation,
    pub(crate) stall_detector: StallDetector,
    /// How much rescuers have run.
    pub(crate) compensated: AtomicUsize,
    pub(crate) state: Mutex<WatchdogState>,
    /// The thread was armed, or it is to stop, or it has ended.
    pub(crate) changed: Condvar,
    /// Whether there is a thread at all.
    pub(crate) on: bool,
    pub(crate) compensates: bool,
}

#[derive(Debug, Default)]
pub(crate) struct WatchdogState {
    pub(crate) stop: bool,
    pub(crate) armed: bool,
    /// The thread runs.
    pub(crate) running: bool,
}

impl Watchdog {
    /// With up to `rescuers` rescuers.
    pub(crate) fn new(config: &ExecutorConfig, rescuers: usize) -> Self {
        let workers = config.worker_threads;
        let activities = Activities::new(workers, rescuers);
        let stall_detector = StallDetector::new(config, activities.len());
        let compensates = rescuers > 0;
        Self {
            arming: Arming::new(),
            activities,
            compensation: Compensation::new(rescuers, workers),
            compensated: AtomicUsize::new(0),
            state: Mutex::new(WatchdogState::default()),
            changed: Condvar::new(),
            on: compensates || stall_detector.is_on(),
            compensates,
            stall_detector,
        }
    }

    /// A thread takes the core of `worker`.
    pub(crate) fn enter(&self, worker: usize) {
        self.activities.activity(worker).enter();
    }

    /// Worker `worker` goes on to something else.
    #[inline]
    pub(crate) fn step(&self, worker: usize) {
        self.activities.activity(worker).step();
    }

    /// Worker `worker` polls a task.
    #[inline]
    pub(crate) fn in_task(&self, worker: usize, task: TaskId) {
        self.activities.activity(worker).in_task(task);
    }

    /// Worker `worker` runs a piece of fork-join work.
    pub(crate) fn in_stolen_job(&self, worker: usize) {
        self.activities.activity(worker).in_stolen_job();
    }

    /// Worker `worker` finds nothing to do.
    pub(crate) fn in_nothing(&self, worker: usize) {
        self.activities.activity(worker).in_nothing();
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

    /// Ends the threads, and waits for the watchdog thread until `deadline`: it may be inside of somebody's hook.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.compensation.stop();
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
