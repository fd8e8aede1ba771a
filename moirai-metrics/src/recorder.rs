//! The recorder, which the executor calls.

use std::array;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use crossbeam_utils::CachePadded;
use moirai_core::{Recorder, TaskKind, TaskSample, TaskStatus};

use crate::access::{Access, Exclusive, SharedAccess, read};
use crate::distribution::HistogramSnapshot;
use crate::histogram::Histogram;
use crate::snapshot::{KindMetrics, MetricsSnapshot, WorkerMetrics};

/// Counts what an executor's workers do, and how long its tasks wait and run.
///
/// Each executor needs a recorder of its own; if two share one, counts are lost. What is recorded before
/// [`start`](Recorder::start), or for a worker beyond the number that was given to `start`, is counted as
/// [`foreign`](MetricsSnapshot::foreign).
///
/// It takes at most 256 bytes for each worker and for all other threads together, and a further 8 KiB for each kind of task that
/// one of these has run, which are allocated at the first such task.
#[derive(Default)]
pub struct MetricsRecorder {
    workers: OnceLock<Box<[CachePadded<Counters>]>>,
    /// The counters of all threads that are not workers: the blocking pool, compensation threads, and threads that run or cancel
    /// tasks from outside.
    foreign: CachePadded<Counters>,
}

/// The counters of one worker. Only the thread that holds the worker's core writes them; those of other threads, which share one,
/// are written by several.
#[derive(Default)]
struct Counters {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    polls: AtomicU64,
    parks: AtomicU64,
    cores_handed_off: AtomicU64,
    /// By kind, at the index of [`slot_of`]. Allocated on first use, because a worker runs no blocking tasks, and many programs
    /// have tasks of one kind alone.
    times: [OnceLock<Box<CachePadded<Times>>>; SLOTS],
}

/// The times of the tasks of one kind that one worker has run.
#[derive(Default)]
struct Times {
    queue: Histogram,
    execution: Histogram,
}

/// The kinds, in the order of their slots.
const KINDS: [TaskKind; 3] = [TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking];

/// One slot for each kind, and one for all kinds that this crate does not know yet, which are part of the sums alone.
const SLOTS: usize = KINDS.len() + 1;

/// Returns the slot of a kind: its index in [`KINDS`], or the last one.
const fn slot_of(kind: TaskKind) -> usize {
    match kind {
        TaskKind::Async => 0,
        TaskKind::Parallel => 1,
        TaskKind::Blocking => 2,
        _ => KINDS.len(),
    }
}

impl Counters {
    #[inline]
    fn task_finished<A: Access>(&self, sample: &TaskSample) {
        let by_status = match sample.status {
            TaskStatus::Completed => &self.completed,
            TaskStatus::Failed => &self.failed,
            TaskStatus::Cancelled => &self.cancelled,
            // The task has not ended, contrary to what the caller says.
            TaskStatus::Queued | TaskStatus::Running => return,
        };
        A::add(by_status, 1);
        // A task that was cancelled before it ran has no times. Counted as zero, they would hide those of the others.
        if sample.polls > 0 {
            A::add(&self.polls, u64::from(sample.polls));
            let times = self.times[slot_of(sample.kind)].get_or_init(Box::default);
            times.queue.count::<A>(sample.queue_time);
            times.execution.count::<A>(sample.busy);
        }
    }
}

impl MetricsRecorder {
    /// Creates a recorder that has recorded nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what has been recorded so far.
    ///
    /// The workers go on meanwhile, so each number is right by itself, but two of them may differ by what happened in between. This
    /// costs the workers nothing, and the caller some microseconds for each worker.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let mut times: [_; SLOTS] = array::from_fn(|_| Sums::default());
        let workers = self.workers.get().map_or(&[][..], |workers| workers);
        let workers = workers.iter().map(|counters| counters.read(&mut times)).collect();
        let foreign = self.foreign.read(&mut times);

        let mut all = Sums::default();
        for slot in &times {
            all.merge(slot);
        }
        let kinds = KINDS.into_iter().zip(times).filter(|(_, sums)| !sums.queue.is_empty());
        let kinds = kinds.map(|(kind, Sums { queue, execution })| KindMetrics {
            kind,
            queue_time: queue,
            execution_time: execution,
        });
        MetricsSnapshot {
            workers,
            foreign,
            queue_time: all.queue,
            execution_time: all.execution,
            kinds: kinds.collect(),
        }
    }

    fn worker(&self, worker: usize) -> Option<&Counters> {
        self.workers.get()?.get(worker).map(|counters| &**counters)
    }
}

/// The times of several workers together.
#[derive(Default)]
struct Sums {
    queue: HistogramSnapshot,
    execution: HistogramSnapshot,
}

impl Sums {
    fn merge(&mut self, other: &Self) {
        self.queue.merge(&other.queue);
        self.execution.merge(&other.execution);
    }
}

impl Counters {
    /// Returns the values of the counters, and adds the times to `sums`, which are for all workers.
    fn read(&self, sums: &mut [Sums; SLOTS]) -> WorkerMetrics {
        let mut metrics = WorkerMetrics {
            completed: read(&self.completed),
            failed: read(&self.failed),
            cancelled: read(&self.cancelled),
            polls: read(&self.polls),
            parks: read(&self.parks),
            cores_handed_off: read(&self.cores_handed_off),
            ..WorkerMetrics::default()
        };
        for (times, sums) in self.times.iter().zip(sums) {
            if let Some(times) = times.get() {
                let times =
                    Sums { queue: times.queue.snapshot(), execution: times.execution.snapshot() };
                metrics.busy = metrics.busy.saturating_add(times.execution.sum());
                sums.merge(&times);
            }
        }
        metrics
    }
}

impl Recorder for MetricsRecorder {
    fn start(&self, workers: usize) {
        let counters = (0..workers).map(|_| CachePadded::default()).collect();
        // The executor calls this once. A second call has no effect.
        let _ = self.workers.set(counters);
    }

    #[inline]
    fn task_finished(&self, worker: Option<usize>, sample: &TaskSample) {
        match worker.and_then(|worker| self.worker(worker)) {
            Some(counters) => counters.task_finished::<Exclusive>(sample),
            None => self.foreign.task_finished::<SharedAccess>(sample),
        }
    }

    fn worker_parked(&self, worker: usize) {
        match self.worker(worker) {
            Some(counters) => Exclusive::add(&counters.parks, 1),
            None => SharedAccess::add(&self.foreign.parks, 1),
        };
    }

    fn seat_handed_on(&self, worker: usize) {
        self.core_handed_off(worker);
    }

    fn core_handed_off(&self, worker: usize) {
        match self.worker(worker) {
            Some(counters) => Exclusive::add(&counters.cores_handed_off, 1),
            None => SharedAccess::add(&self.foreign.cores_handed_off, 1),
        };
    }
}

impl fmt::Debug for MetricsRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("MetricsRecorder").field("snapshot", &snapshot).finish()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests;
