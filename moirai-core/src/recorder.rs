//! The interface through which an executor reports what its tasks and workers do.

use std::time::Duration;

use crate::{TaskKind, TaskStatus};

/// What a recorder is given about a task that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TaskSample {
    /// What kind of task it was.
    pub kind: TaskKind,
    /// The terminal status.
    pub status: TaskStatus,
    /// How long the task waited before it was first run; zero if it never ran.
    pub queue_time: Duration,
    /// How long the task was running on a thread, over all its polls.
    pub busy: Duration,
    /// The number of times that the task was polled; zero if it never ran.
    pub polls: u32,
}

impl TaskSample {
    /// Creates the sample of one task.
    #[must_use]
    pub const fn new(
        kind: TaskKind,
        status: TaskStatus,
        queue_time: Duration,
        busy: Duration,
        polls: u32,
    ) -> Self {
        Self { kind, status, queue_time, busy, polls }
    }
}

/// Receives what an executor's tasks and workers do.
///
/// Calls with the index of a worker come from one thread at a time for each worker, and each such call happens before the next. So
/// numbers that a recorder keeps for a worker need no atomic read-modify-write; they only have to be readable meanwhile. Calls with
/// `None` for the worker come from any thread at any time.
///
/// The methods run on the workers' hot path: they must be short. A panic is contained and logged, and what the call reported is
/// then lost.
///
/// ```
/// use moirai_core::{Recorder, TaskSample, TaskStatus};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl Recorder for Failures {
///     fn task_finished(&self, _worker: Option<usize>, sample: &TaskSample) {
///         if sample.status == TaskStatus::Failed {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Recorder: std::any::Any + Send + Sync {
    /// Called once, before every other method, when an executor with this number of workers starts.
    fn start(&self, workers: usize) {
        let _ = workers;
    }

    /// Called when a task has ended, with the index of the worker on which it ended, or `None` if that was another thread.
    fn task_finished(&self, worker: Option<usize>, sample: &TaskSample);

    /// Called when a worker has found nothing to do and is about to sleep.
    fn worker_parked(&self, worker: usize) {
        let _ = worker;
    }

    /// Called when a worker's thread is about to block, before it offers the worker's core to another thread. If no thread can take
    /// the core, the worker keeps it.
    fn core_handed_off(&self, worker: usize) {
        #[expect(deprecated, reason = "recorders that know only the old name are called by it")]
        self.seat_handed_on(worker);
    }

    /// The old name of [`core_handed_off`](Self::core_handed_off).
    #[deprecated(since = "0.1.0", note = "implement `core_handed_off`")]
    fn seat_handed_on(&self, worker: usize) {
        let _ = worker;
    }
}
