//! Setting up an executor.

use std::sync::Arc;
use std::time::Duration;

use moirai_core::{BuildError, CleanupConfig, Clock, ExecutorConfig, ExecutorPlugin, Scheduler};
use moirai_executor::{HybridExecutor, HybridExecutorBuilder, Runnable};
use moirai_metrics::MetricsRecorder;

use crate::Moirai;

/// Sets up an executor. Made by [`Moirai::builder`].
///
/// ```
/// use moirai::prelude::*;
/// use std::time::Duration;
///
/// let moirai = Moirai::builder()
///     .worker_threads(2)
///     .cleanup_config(CleanupConfig {
///         task_retention_duration: Duration::from_secs(60),
///         ..CleanupConfig::default()
///     })
///     .build()?;
/// assert_eq!(moirai.worker_count(), 2);
///
/// let error = Moirai::builder().worker_threads(0).build().unwrap_err();
/// assert_eq!(error.field(), Some("worker_threads"));
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MoiraiBuilder(HybridExecutorBuilder);

impl MoiraiBuilder {
    pub(crate) fn new() -> Self {
        Self(HybridExecutor::builder().recorder(Arc::new(MetricsRecorder::default())))
    }

    /// Sets all fields of the configuration at once.
    pub fn config(self, config: ExecutorConfig) -> Self {
        Self(self.0.config(config))
    }

    /// How many workers run async tasks and parallel closures; see [`ExecutorConfig::worker_threads`].
    pub fn worker_threads(self, workers: usize) -> Self {
        Self(self.0.worker_threads(workers))
    }

    /// What the names of the executor's threads begin with; see [`ExecutorConfig::thread_name_prefix`].
    pub fn thread_name_prefix(self, prefix: impl Into<String>) -> Self {
        Self(self.0.thread_name_prefix(prefix))
    }

    /// The stack size of the executor's threads, in bytes; see [`ExecutorConfig::thread_stack_size`].
    pub fn thread_stack_size(self, bytes: usize) -> Self {
        Self(self.0.thread_stack_size(bytes))
    }

    /// How long, and how many, records of ended tasks are kept.
    pub fn cleanup_config(self, cleanup: CleanupConfig) -> Self {
        Self(self.0.cleanup_config(cleanup))
    }

    /// How many threads may run blocking tasks at once; see [`ExecutorConfig::max_blocking_threads`].
    pub fn max_blocking_threads(self, threads: usize) -> Self {
        Self(self.0.max_blocking_threads(threads))
    }

    /// How long an idle thread of the blocking pool, or of the reserve, is kept; see
    /// [`ExecutorConfig::blocking_keep_alive`].
    pub fn blocking_keep_alive(self, keep_alive: Duration) -> Self {
        Self(self.0.blocking_keep_alive(keep_alive))
    }

    /// How many blocking tasks may wait for a thread; see [`ExecutorConfig::blocking_queue_limit`].
    pub fn blocking_queue_limit(self, tasks: usize) -> Self {
        Self(self.0.blocking_queue_limit(tasks))
    }

    /// How many tasks may be active; see [`ExecutorConfig::max_active_tasks`].
    pub fn max_active_tasks(self, tasks: usize) -> Self {
        Self(self.0.max_active_tasks(tasks))
    }

    /// How many threads may take the seats of workers that block; see [`ExecutorConfig::reserve_workers`].
    pub fn reserve_workers(self, threads: usize) -> Self {
        Self(self.0.reserve_workers(threads))
    }

    /// How long a poll of an async task may take before it is reported as a stall; see [`ExecutorConfig::stall_budget`].
    pub fn stall_budget(self, budget: impl Into<Option<Duration>>) -> Self {
        Self(self.0.stall_budget(budget))
    }

    /// How long a parallel closure may take before it is reported as a stall; see
    /// [`ExecutorConfig::parallel_stall_budget`].
    pub fn parallel_stall_budget(self, budget: impl Into<Option<Duration>>) -> Self {
        Self(self.0.parallel_stall_budget(budget))
    }

    /// Whether to learn where panics happen, by chaining onto the process's panic hook; see
    /// [`ExecutorConfig::capture_panic_location`].
    pub fn capture_panic_location(self, capture: bool) -> Self {
        Self(self.0.capture_panic_location(capture))
    }

    /// Whether each task runs inside the `tracing` span that was current where it was spawned; see
    /// [`ExecutorConfig::inherit_spans`].
    pub fn inherit_spans(self, inherit: bool) -> Self {
        Self(self.0.inherit_spans(inherit))
    }

    /// Whether queue and execution times of all tasks are recorded, for [`Moirai::metrics`]; see
    /// [`ExecutorConfig::record_metrics`].
    pub fn record_metrics(self, record: bool) -> Self {
        Self(self.0.record_metrics(record))
    }

    /// Runs tasks in the order that `scheduler` decides, instead of the default, work stealing.
    pub fn scheduler(self, scheduler: impl Scheduler<Runnable>) -> Self {
        Self(self.0.scheduler(scheduler))
    }

    /// Adds a plugin. Hooks are called in the order in which plugins were added.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// #[derive(Default)]
    /// struct Failures(AtomicU64);
    ///
    /// impl ExecutorPlugin for Failures {
    ///     fn after_complete(&self, _: TaskId, outcome: TaskStatus) {
    ///         if outcome == TaskStatus::Failed {
    ///             self.0.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// let failures = Arc::new(Failures::default());
    /// let moirai = Moirai::builder().plugin(Arc::clone(&failures)).build()?;
    /// let task = moirai.spawn_parallel(|| std::panic::resume_unwind(Box::new("quietly")));
    /// assert!(task.join().is_err());
    /// assert_eq!(failures.0.load(Ordering::Relaxed), 1);
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn plugin(self, plugin: impl ExecutorPlugin) -> Self {
        Self(self.0.plugin(plugin))
    }

    /// Takes the time from `clock`: a manual one, in tests.
    pub fn clock(self, clock: Clock) -> Self {
        Self(self.0.clock(clock))
    }

    /// Starts the executor.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the field that was refused, or the thread that could not be started. Nothing stays behind.
    pub fn build(self) -> Result<Moirai, BuildError> {
        self.0.build().map(Moirai::from_executor)
    }
}
