//! What a shutdown waits on, and what it has to tell.

use std::time::Duration;

use moirai_core::{ShutdownReport, TaskStats};
use parking_lot::{Condvar, Mutex};

/// How to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownMode {
    /// Wait for everything.
    Drain,
    /// Wait this long, then cancel.
    Timeout(Duration),
    /// Cancel at once: the last owner is gone.
    Drop,
}

/// What a shutdown waits on, and what it has to tell.
#[derive(Debug, Default)]
pub(crate) struct ShutdownProgress {
    pub(crate) cancelled: Mutex<Vec<TaskStats>>,
    pub(crate) changed: Condvar,
}

impl ShutdownProgress {
    /// A task has ended while the executor shuts down.
    pub(crate) fn task_ended(&self) {
        // A notification that comes between the look and the wait is made up for by the next look.
        self.changed.notify_all();
    }

    /// A task was cancelled by the shutdown.
    pub(crate) fn record(&self, stats: TaskStats) {
        let mut cancelled = self.cancelled.lock();
        if cancelled.len() < ShutdownReport::MAX_LISTED {
            cancelled.push(stats);
        }
    }
}
