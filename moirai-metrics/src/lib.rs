//! What the tasks and workers of a [Moirai] executor do, in numbers: counters for each worker, and histograms of queue and
//! execution times for each kind of task.
//!
//! [`MetricsRecorder`] is a [`moirai_core::Recorder`]: the executor reports to it, and [`MetricsRecorder::snapshot`] reads
//! it at any time without stopping anybody. Users of the facade crate call `Moirai::metrics()`. A [`MetricsSnapshot`]
//! prints as a few lines, and writes itself in Prometheus' text format.
//!
//! Recording a task costs a worker some plain loads and stores to memory of its own: no lock, and no atomic
//! read-modify-write. Memory is fixed: a worker takes at most 256 bytes, and a further 8 KiB for each kind of task that it
//! has run; however long the executor runs, and whatever the times are.
//!
//! ```
//! use moirai_core::{Recorder, TaskKind, TaskSample, TaskStatus};
//! use moirai_metrics::MetricsRecorder;
//! use std::time::Duration;
//!
//! let recorder = MetricsRecorder::default();
//! recorder.start(1);
//! let (queued, busy) = (Duration::from_micros(3), Duration::from_micros(40));
//! let sample = TaskSample::new(TaskKind::Async, TaskStatus::Completed, queued, busy, 2);
//! recorder.task_finished(Some(0), &sample);
//!
//! let snapshot = recorder.snapshot();
//! assert_eq!(snapshot.workers[0].completed, 1);
//! assert_eq!(snapshot.workers[0].polls, 2);
//! assert_eq!(snapshot.execution_time.max(), Some(busy));
//! ```
//!
//! [Moirai]: https://docs.rs/moirai
#![forbid(unsafe_code)]

mod access;
mod buckets;
mod distribution;
mod histogram;
mod prometheus;
mod recorder;
mod snapshot;

pub use distribution::HistogramSnapshot;
pub use histogram::Histogram;
pub use recorder::MetricsRecorder;
pub use snapshot::{KindMetrics, MetricsSnapshot, WorkerMetrics};
