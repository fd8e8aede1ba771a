//! Metrics of a Moirai executor: counters for each worker, and histograms of queue and execution times for each kind of task.
//!
//! [`MetricsRecorder`] is a [`moirai_core::Recorder`], which the executor calls. [`MetricsRecorder::snapshot`] reads what it has
//! recorded, at any time and without stopping any thread. Users of the facade crate call `Moirai::metrics()`. A [`MetricsSnapshot`]
//! prints as a few lines, and [`prometheus`] writes it, and what the executor is doing now, as the page that Prometheus scrapes.
//!
//! To record a task, a worker does some plain loads and stores to memory of its own; it takes no lock, and executes no atomic
//! read-modify-write. The memory is bounded, however long the executor runs and whatever the times are: at most 256 bytes for each
//! worker, and a further 8 KiB for each kind of task that the worker has run.
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
#![forbid(unsafe_code)]

mod access;
mod buckets;
mod distribution;
mod histogram;
mod observable;
#[cfg(feature = "page")]
pub mod page;
pub mod prometheus;
mod queues;
mod recorder;
mod snapshot;
#[cfg(feature = "trace")]
pub mod trace;

pub use distribution::HistogramSnapshot;
pub use histogram::Histogram;
pub use observable::{Observable, Observer};
pub use queues::{DeadJob, QueueSource, QueueStats};
pub use recorder::MetricsRecorder;
pub use snapshot::{KindMetrics, MetricsSnapshot, WorkerMetrics};
