//! What an executor's workers had done at one moment.

use std::fmt;
use std::time::Duration;

use moirai_core::TaskKind;

use crate::distribution::HistogramSnapshot;

/// What an executor's tasks and workers had done at one moment, since its start.
///
/// Its `Display` is a few lines for a person to read; [`to_prometheus`](Self::to_prometheus) writes it for a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// What each worker has done, by its index.
    pub workers: Vec<WorkerMetrics>,
    /// What was done on other threads: blocking tasks, tasks that a foreign thread ran or cancelled.
    pub foreign: WorkerMetrics,
    /// How long the tasks that have ended waited for their first run. One that never ran is not in it.
    pub queue_time: HistogramSnapshot,
    /// How long the tasks that have ended were running on a thread, over all their polls. One that never ran is not in it.
    pub execution_time: HistogramSnapshot,
    /// The same times for each kind of task that there was.
    pub kinds: Vec<KindMetrics>,
}

/// The times of one kind of task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct KindMetrics {
    /// The kind.
    pub kind: TaskKind,
    /// As [`MetricsSnapshot::queue_time`].
    pub queue_time: HistogramSnapshot,
    /// As [`MetricsSnapshot::execution_time`].
    pub execution_time: HistogramSnapshot,
}

/// What one worker has done, whichever threads have sat in its seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Tasks that returned a value here.
    pub completed: u64,
    /// Tasks that panicked here.
    pub failed: u64,
    /// Tasks that were cancelled here.
    pub cancelled: u64,
    /// How often the tasks that ended here were polled, wherever that was.
    pub polls: u64,
    /// How long the tasks that ended here were running, wherever that was.
    pub busy: Duration,
    /// How often it found nothing to do and went to sleep.
    pub parks: u64,
    /// How often its thread gave the seat to another because it was about to block.
    pub cores_handed_off: u64,
}

impl WorkerMetrics {
    /// All tasks that ended here.
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
    /// What all workers and the foreign threads have done together.
    #[must_use]
    pub fn total(&self) -> WorkerMetrics {
        let mut total = self.foreign;
        for worker in &self.workers {
            total.merge(worker);
        }
        total
    }

    /// The times of one kind of task; `None` if none has run.
    #[must_use]
    pub fn kind(&self, kind: TaskKind) -> Option<&KindMetrics> {
        self.kinds.iter().find(|metrics| metrics.kind == kind)
    }

    /// Adds what another executor, or the same one before a restart, has done: worker by worker.
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
            "{} tasks ({} completed, {} failed, {} cancelled), {} polls, busy {:.1?}, parked {}×, handed on {}×",
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
        /// How many workers are printed.
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
