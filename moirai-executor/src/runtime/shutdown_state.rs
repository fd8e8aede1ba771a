//! How to shut down, and how far a shutdown has come.

use std::time::Duration;

use moirai_core::{ShutdownReport, TaskStats};
use parking_lot::{Condvar, Mutex};

/// How to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownMode {
    /// Waits until all tasks have ended.
    Wait,
    /// Waits this long, then cancels what is still active.
    Timeout(Duration),
    /// The same, but active tasks may spawn others meanwhile.
    Drain(Duration),
    /// Cancels at once, because the last owner is gone.
    Drop,
}

/// What a shutdown waits for, and the tasks that it has cancelled.
#[derive(Debug, Default)]
pub(crate) struct ShutdownProgress {
    pub(crate) cancelled: Mutex<Vec<TaskStats>>,
    pub(crate) changed: Condvar,
}

impl ShutdownProgress {
    /// Notes that a task has ended during a shutdown.
    pub(crate) fn task_ended(&self) {
        // A notification that comes between the look and the wait is lost; the shutdown looks again soon.
        self.changed.notify_all();
    }

    /// Lists a task that was cancelled by the shutdown, up to a limit.
    pub(crate) fn record(&self, stats: TaskStats) {
        let mut cancelled = self.cancelled.lock();
        if cancelled.len() < ShutdownReport::MAX_LISTED {
            cancelled.push(stats);
        }
    }
}
