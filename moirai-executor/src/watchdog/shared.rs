//! The state that the watchdog thread, the workers and the compensation threads share.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use moirai_core::ExecutorConfig;
use moirai_core::shim::sync::{Condvar, Mutex};

use super::activity::{Activities, Snapshot};
use super::arming::Arming;
use super::compensation::Compensation;
use super::stall_budgets::StallDetector;

/// The state that the watchdog thread, the workers and the compensation threads share.
pub(crate) struct Watchdog {
    pub(crate) arming: Arming,
    pub(crate) activities: Activities,
    pub(crate) compensation: Compensation,
    pub(crate) stall_detector: StallDetector,
    /// What the watchdog thread saw of each activity at its last tick, and the tick at which it first saw the same. Empty before the
    /// first tick.
    pub(crate) observed: Mutex<Vec<(Snapshot, Instant)>>,
    /// The number of tasks and stolen jobs that compensation threads have run.
    pub(crate) compensated: AtomicUsize,
    pub(crate) state: Mutex<WatchdogState>,
    /// Notified when the watchdog thread is armed or must stop, and when it has ended.
    pub(crate) changed: Condvar,
    /// Whether there is a watchdog thread at all.
    pub(crate) on: bool,
    /// Whether there may be compensation threads.
    pub(crate) compensates: bool,
}

#[derive(Debug, Default)]
pub(crate) struct WatchdogState {
    pub(crate) stop: bool,
    pub(crate) armed: bool,
    /// Whether the watchdog thread runs.
    pub(crate) running: bool,
}

impl Watchdog {
    /// Creates the state for up to `threads` compensation threads.
    pub(crate) fn new(config: &ExecutorConfig, threads: usize) -> Self {
        let workers = config.worker_threads;
        let activities = Activities::new(workers, threads);
        let stall_detector = StallDetector::new(config, activities.len());
        let compensates = threads > 0;
        Self {
            arming: Arming::new(),
            activities,
            compensation: Compensation::new(threads, workers),
            observed: Mutex::new(Vec::new()),
            compensated: AtomicUsize::new(0),
            state: Mutex::new(WatchdogState::default()),
            changed: Condvar::new(),
            on: compensates || stall_detector.is_on(),
            compensates,
            stall_detector,
        }
    }

    /// Notes that `worker` goes on to something else.
    pub(crate) fn step(&self, worker: usize) {
        self.activities.activity(worker).step();
    }

    /// Notes that `worker` runs a stolen job.
    pub(crate) fn in_stolen_job(&self, worker: usize) {
        self.activities.activity(worker).in_stolen_job();
    }

    /// Notes that `worker` runs what the park hook has for it.
    pub(crate) fn in_hook(&self, worker: usize) {
        self.activities.activity(worker).in_hook();
    }

    /// Notes that `worker` has found nothing to do.
    pub(crate) fn in_nothing(&self, worker: usize) {
        self.activities.activity(worker).in_nothing();
    }

    /// Wakes the watchdog thread if it is not armed (rule 2). Must be called by a worker after it has stopped being idle.
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

    /// Makes the watchdog thread and the compensation threads end, and waits for the watchdog thread, but only until `deadline`: it
    /// may be in the hook of a plugin.
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
