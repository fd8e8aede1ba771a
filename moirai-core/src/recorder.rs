//! Where an executor reports what its workers do.

use std::time::Duration;

use crate::{TaskKind, TaskStatus};

/// What a recorder learns of a task that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TaskSample {
    /// What sort of work it was.
    pub kind: TaskKind,
    /// How it ended.
    pub status: TaskStatus,
    /// How long it waited before it was first run; zero if it never was.
    pub queue_time: Duration,
    /// How long it was running on a thread, over all its polls.
    pub busy: Duration,
    /// How often it was polled.
    pub polls: u32,
}

impl TaskSample {
    /// The sample of one task.
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

/// Where an executor reports what its workers do.
///
/// Calls with `worker: Some(i)` come from one thread at a time for each `i`, and each happens before the next: what a
/// recorder keeps for a worker needs no atomic read-modify-write, only to be readable meanwhile. Calls with `None` come
/// from any thread at any time. The methods run on the workers' hot path: they must be short, and must not panic.
pub trait Recorder: std::any::Any + Send + Sync {
    /// The executor starts, with this many workers. Called once, before all else.
    fn start(&self, workers: usize) {
        let _ = workers;
    }

    /// A task has ended.
    fn task_finished(&self, worker: Option<usize>, sample: &TaskSample);

    /// A worker has found nothing to do and goes to sleep.
    fn worker_parked(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker's thread is about to block, and offers the worker's core to another thread. If no thread is to be had, the worker keeps
    /// its core.
    fn core_handed_off(&self, worker: usize) {
        #[expect(deprecated, reason = "recorders that know only the old name are told by it")]
        self.seat_handed_on(worker);
    }

    /// The old name of [`core_handed_off`](Self::core_handed_off).
    #[deprecated(since = "0.1.0", note = "implement `core_handed_off`")]
    fn seat_handed_on(&self, worker: usize) {
        let _ = worker;
    }
}
