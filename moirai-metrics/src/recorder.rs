//! Where the executor reports to.

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
/// Make one for each executor: of two that report to the same one, counts would be lost. What is reported before
/// [`start`](Recorder::start), or for a worker that `start` did not announce, counts as foreign.
///
/// Memory: at most 256 bytes for each worker and for all foreign threads together, and a further 8 KiB, taken at the first task,
/// for each kind of task that the worker runs.
#[derive(Default)]
pub struct MetricsRecorder {
    workers: OnceLock<Box<[CachePadded<Counters>]>>,
    /// Of threads that are no workers: the blocking pool, and whoever runs or cancels tasks from outside.
    foreign: CachePadded<Counters>,
}

/// What one worker has done. Written by the thread in the worker's seat alone, except for the foreign one.
#[derive(Default)]
struct Counters {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    polls: AtomicU64,
    parks: AtomicU64,
    cores_handed_off: AtomicU64,
    /// By kind. A worker runs no blocking tasks, and many programs have tasks of one kind alone.
    times: [OnceLock<Box<CachePadded<Times>>>; SLOTS],
}

/// The tasks of one kind that one worker has run.
#[derive(Default)]
struct Times {
    queue: Histogram,
    execution: Histogram,
}

/// The kinds, in the order of their slots.
const KINDS: [TaskKind; 3] = [TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking];

/// One for each kind, and one for kinds that this crate does not know yet: those count in the sums alone.
const SLOTS: usize = KINDS.len() + 1;

fn slot_of(kind: TaskKind) -> usize {
    KINDS.iter().position(|&known| known == kind).unwrap_or(KINDS.len())
}

impl Counters {
    #[inline]
    fn task_finished<A: Access>(&self, sample: &TaskSample) {
        let by_status = match sample.status {
            TaskStatus::Completed => &self.completed,
            TaskStatus::Failed => &self.failed,
            TaskStatus::Cancelled => &self.cancelled,
            // Not finished, whatever the caller says.
            TaskStatus::Queued | TaskStatus::Running => return,
        };
        A::add(by_status, 1);
        // A task that was cancelled before it ran has no times; counted as zero they would hide those of the others.
        if sample.polls > 0 {
            A::add(&self.polls, u64::from(sample.polls));
            let times = self.times[slot_of(sample.kind)].get_or_init(Box::default);
            times.queue.count::<A>(sample.queue_time);
            times.execution.count::<A>(sample.busy);
        }
    }
}

impl MetricsRecorder {
    /// A recorder that has recorded nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been recorded so far.
    ///
    /// It is read while the workers go on: each number is right by itself, and two of them may be apart by what was
    /// going on meanwhile. That costs the workers nothing, and the caller some microseconds for each of them.
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

/// The times of several workers.
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
    /// Reads the counters, and adds the times to those of the other workers.
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
        // Called once; were it called again, the first call would hold.
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
