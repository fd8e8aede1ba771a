//! Snapshots of all metrics of an executor.

use std::fmt;
use std::time::Duration;

use moirai_core::TaskKind;

use crate::distribution::HistogramSnapshot;

/// What an executor's tasks and workers had done at one moment, since the executor was started.
///
/// Its `Display` is a few lines for people to read; [`to_prometheus`](Self::to_prometheus) writes it for machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// What each worker has done, at the worker's index.
    pub workers: Vec<WorkerMetrics>,
    /// What threads that are not workers have done together: blocking threads, compensation threads, and threads that run or cancel
    /// tasks from outside.
    pub foreign: WorkerMetrics,
    /// How long the tasks that have ended waited before they were first run. A task that never ran is not included.
    pub queue_time: HistogramSnapshot,
    /// How long the tasks that have ended were running on a thread, each over all its polls. A task that never ran is not included.
    pub execution_time: HistogramSnapshot,
    /// The same times by kind of task, for each kind of which a task has run and ended.
    pub kinds: Vec<KindMetrics>,
}

/// The times of one kind of task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct KindMetrics {
    /// The kind of task.
    pub kind: TaskKind,
    /// As [`MetricsSnapshot::queue_time`], for this kind.
    pub queue_time: HistogramSnapshot,
    /// As [`MetricsSnapshot::execution_time`], for this kind.
    pub execution_time: HistogramSnapshot,
}

/// What one worker has done, whichever threads have held its core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// The number of tasks that returned a value on this worker.
    pub completed: u64,
    /// The number of tasks that panicked on this worker.
    pub failed: u64,
    /// The number of tasks whose cancellation took effect on this worker.
    pub cancelled: u64,
    /// The number of polls of the tasks that ended on this worker, wherever they were polled.
    pub polls: u64,
    /// How long the tasks that ended on this worker were running, wherever that was.
    pub busy: Duration,
    /// The number of times that the worker found nothing to do and went to sleep.
    pub parks: u64,
    /// The number of times that the worker's thread offered the core to another thread because it was about to block.
    pub cores_handed_off: u64,
}

impl WorkerMetrics {
    /// Returns the number of tasks that ended on this worker.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Adds what another worker has done.
    pub fn merge(&mut self, other: &Self) {
        let Self { completed, failed, cancelled, polls, busy, parks, cores_handed_off } = self;
        *completed += other.completed;
        *failed += other.failed;
        *cancelled += other.cancelled;
        *polls += other.polls;
        *busy = busy.saturating_add(other.busy);
        *parks += other.parks;
        *cores_handed_off += other.cores_handed_off;
    }
}

impl MetricsSnapshot {
    /// Returns what all workers and all other threads have done together.
    #[must_use]
    pub fn total(&self) -> WorkerMetrics {
        let mut total = self.foreign;
        for worker in &self.workers {
            total.merge(worker);
        }
        total
    }

    /// Returns the times of one kind of task, or `None` if no task of this kind has run and ended.
    #[must_use]
    pub fn kind(&self, kind: TaskKind) -> Option<&KindMetrics> {
        self.kinds.iter().find(|metrics| metrics.kind == kind)
    }

    /// Adds, worker by worker, what another executor has done, or the same one before a restart.
    pub fn merge(&mut self, other: &Self) {
        if self.workers.len() < other.workers.len() {
            self.workers.resize_with(other.workers.len(), WorkerMetrics::default);
        }
        for (mine, theirs) in self.workers.iter_mut().zip(&other.workers) {
            mine.merge(theirs);
        }
        self.foreign.merge(&other.foreign);
        self.queue_time.merge(&other.queue_time);
        self.execution_time.merge(&other.execution_time);
        for theirs in &other.kinds {
            match self.kinds.iter_mut().find(|mine| mine.kind == theirs.kind) {
                Some(mine) => {
                    mine.queue_time.merge(&theirs.queue_time);
                    mine.execution_time.merge(&theirs.execution_time);
                }
                None => self.kinds.push(theirs.clone()),
            }
        }
    }
}

impl fmt::Display for WorkerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks ({} completed, {} failed, {} cancelled), {} polls, busy {:.1?}, parked {}×, core handed off {}×",
            self.tasks(),
            self.completed,
            self.failed,
            self.cancelled,
            self.polls,
            self.busy,
            self.parks,
            self.cores_handed_off,
        )
    }
}

impl fmt::Display for MetricsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The largest number of workers that are printed.
        const LINES: usize = 16;
        write!(f, "all:       {}", self.total())?;
        for (index, worker) in self.workers.iter().enumerate().take(LINES) {
            write!(f, "\nworker {index:<3} {worker}")?;
        }
        if let Some(more @ 1..) = self.workers.len().checked_sub(LINES) {
            write!(f, "\nand {more} more workers")?;
        }
        write!(f, "\nothers:    {}", self.foreign)?;
        write!(f, "\nqueue time:     {}", self.queue_time)?;
        write!(f, "\nexecution time: {}", self.execution_time)?;
        for KindMetrics { kind, queue_time, execution_time } in &self.kinds {
            write!(f, "\n  {kind} queue:     {queue_time}")?;
            write!(f, "\n  {kind} execution: {execution_time}")?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use crate::Histogram;

    fn one(nanos: u64) -> HistogramSnapshot {
        let histogram = Histogram::new();
        histogram.record(Duration::from_nanos(nanos));
        histogram.snapshot()
    }

    fn snapshot(workers: usize, kind: TaskKind) -> MetricsSnapshot {
        let worker = WorkerMetrics { completed: 1, polls: 2, parks: 3, ..Default::default() };
        MetricsSnapshot {
            workers: vec![worker; workers],
            foreign: WorkerMetrics { failed: 1, ..Default::default() },
            queue_time: one(1_000),
            execution_time: one(2_000),
            kinds: vec![KindMetrics { kind, queue_time: one(1_000), execution_time: one(2_000) }],
        }
    }

    #[test]
    fn merging_adds_up_worker_by_worker_and_kind_by_kind() {
        let mut sum = snapshot(1, TaskKind::Async);
        sum.merge(&snapshot(2, TaskKind::Async));
        sum.merge(&snapshot(1, TaskKind::Blocking));
        let completed: Vec<u64> = sum.workers.iter().map(|worker| worker.completed).collect();
        assert_eq!(completed, [3, 1]);
        assert_eq!((sum.total().tasks(), sum.total().polls, sum.foreign.failed), (7, 8, 3));
        assert_eq!(sum.queue_time.count(), 3);
        assert_eq!(sum.kind(TaskKind::Async).unwrap().queue_time.count(), 2);
        assert_eq!(sum.kind(TaskKind::Blocking).unwrap().execution_time.count(), 1);
    }

    #[test]
    fn it_prints_as_a_few_lines_however_many_workers_there_are() {
        let text = snapshot(2, TaskKind::Async).to_string();
        assert!(
            text.starts_with("all:       3 tasks (2 completed, 1 failed, 0 cancelled)"),
            "{text}"
        );
        assert!(text.contains("\nworker 1   1 tasks"), "{text}");
        assert!(text.contains("\nqueue time:     1 times: min 1.0µs"), "{text}");
        assert_eq!(text.lines().count(), 8);

        let text = snapshot(4_096, TaskKind::Async).to_string();
        assert!(text.contains("\nand 4080 more workers"), "{text}");
        assert!(text.lines().count() < 30);
        assert_eq!(MetricsSnapshot::default().to_string().lines().count(), 4);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_read_back_as_it_was_written() {
        let snapshot = snapshot(2, TaskKind::Parallel);
        let text = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<MetricsSnapshot>(&text).unwrap(), snapshot);
    }
}
