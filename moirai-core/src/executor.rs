//! The configuration of an executor, and the traits through which it is used.

use std::time::Duration;

use crate::{BuildError, FlightRecorderConfig};

mod retention;
mod traits;

pub use retention::{Retention, RetentionClass};
pub use traits::{Executor, ExecutorControl, TaskManager, TaskSpawner};

/// The limits on how long, and how many, records of ended tasks are kept.
///
/// A record that exceeds either limit is evicted. The records of queued and running tasks are never evicted. Tasks of a [retention
/// class](ExecutorConfig::retention) are kept by the limits of their class, and neither count here nor are evicted by these limits.
///
/// ```
/// use moirai_core::CleanupConfig;
/// use std::time::Duration;
/// let config = CleanupConfig { max_retained_tasks: 1_000, ..CleanupConfig::default() };
/// assert_eq!(config.task_retention_duration, Duration::from_secs(300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct CleanupConfig {
    /// How long the record of an ended task is kept, counted from the task's end. Default: 5 minutes.
    ///
    /// Every duration is allowed. A record that is older is evicted by the next sweep, so it may stay for up to one
    /// [`cleanup_interval`](Self::cleanup_interval) longer. With zero, it is evicted by the next sweep after the task's end. With
    /// [`Duration::MAX`] no record is ever too old, and only [`max_retained_tasks`](Self::max_retained_tasks) limits them.
    pub task_retention_duration: Duration,
    /// How long the cleanup thread waits between two sweeps, in which it evicts the records that are too old. Default: 30 seconds.
    ///
    /// While automatic cleanup is on, [`validate`](Self::validate) refuses zero. With a duration beyond what the system's clock can
    /// express, such as [`Duration::MAX`], the thread never sweeps. While no record of an ended task is retained, the thread sleeps
    /// without a limit.
    pub cleanup_interval: Duration,
    /// Whether records are evicted without a request: those beyond [`max_retained_tasks`](Self::max_retained_tasks) when further
    /// tasks end, and those that are too old by the cleanup thread. Default: `true`.
    ///
    /// If `false`, there is no cleanup thread, and every record, also that of a task of a retention class, is kept until
    /// `cleanup_completed_tasks` is called, which applies both limits, and those of each class.
    pub enable_automatic_cleanup: bool,
    /// The number of records of ended tasks that are kept: those of the tasks that ended last. Default: 10,000.
    ///
    /// Zero keeps none, and `usize::MAX` as many as [`task_retention_duration`](Self::task_retention_duration) allows. When there
    /// are more, the records of the tasks that ended first are evicted. A limit of fewer than 56 + 24 × workers is kept exactly. A
    /// larger one may be exceeded for a while, by at most an eighth, and by at most 64 records for each worker.
    pub max_retained_tasks: usize,
}

impl Default for CleanupConfig {
    fn default() -> Self {
        Self {
            task_retention_duration: Duration::from_secs(5 * 60),
            cleanup_interval: Duration::from_secs(30),
            enable_automatic_cleanup: true,
            max_retained_tasks: 10_000,
        }
    }
}

impl CleanupConfig {
    /// Checks that every field has a value that makes sense.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidField`] for an interval of zero while automatic cleanup is on.
    pub fn validate(&self) -> Result<(), BuildError> {
        if self.enable_automatic_cleanup && self.cleanup_interval.is_zero() {
            return Err(BuildError::invalid(
                "cleanup.cleanup_interval",
                self.cleanup_interval,
                "must be longer than zero; to keep no records set `max_retained_tasks` to 0, to sweep only when asked \
                 turn `enable_automatic_cleanup` off",
            ));
        }
        Ok(())
    }
}

/// A snapshot of what the registry holds now, and of what has been evicted from it since the executor was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CleanupStats {
    /// The number of records in the registry: those of active, completed, cancelled and failed tasks together. Here and below, the
    /// records of all retention classes are counted with the others.
    pub total_tasks: usize,
    /// The number of queued and running tasks.
    pub active_tasks: usize,
    /// The number of records of tasks that returned a value.
    pub completed_tasks: usize,
    /// The number of records of tasks that were cancelled.
    pub cancelled_tasks: usize,
    /// The number of records of tasks that have failed.
    pub failed_tasks: usize,
    /// How long ago the task ended whose record is the oldest one retained; `None` if no record of an ended task is retained.
    pub oldest_completed_task_age: Option<Duration>,
    /// The number of bytes that the registry holds.
    pub memory_bytes: usize,
    /// The number of records that were evicted because they were older than `task_retention_duration`, or than the `max_age` of
    /// their class.
    pub evicted_by_age: u64,
    /// The number of records that were evicted because there were more than `max_retained_tasks`, or than the `max_records` of
    /// their class.
    pub evicted_by_count: u64,
    /// The number of records that were evicted by `cleanup_completed_tasks()`.
    pub evicted_by_request: u64,
    /// How long the last sweep took; `None` before the first one.
    pub last_sweep: Option<Duration>,
}

/// The configuration of an executor.
///
/// The default suits a service. Each field can also be set by a method of the builder. A value that is not allowed makes `build()`
/// fail, with an error that names the field; see [`validate`](Self::validate).
///
/// ```
/// use moirai_core::ExecutorConfig;
/// let config = ExecutorConfig { worker_threads: 2, ..Default::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct ExecutorConfig {
    /// The number of workers, which run async tasks and parallel closures.
    ///
    /// Default: what [`available_parallelism`](std::thread::available_parallelism) returns, or 1 if that fails. Must be from 1 to
    /// [`MAX_WORKER_THREADS`](Self::MAX_WORKER_THREADS).
    pub worker_threads: usize,
    /// What the names of the executor's threads begin with. Default: `"moirai"`, so the first worker's name is `moirai-worker-0`.
    /// Linux shows 15 bytes of a name, for example in `top -H`. There a longer name is shortened to the prefix, the initial of what
    /// the thread is for, and its number: `moirai-w12`, `moirai-b3`.
    ///
    /// Must not be empty, contain NUL bytes, or be longer than [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES) bytes. The system
    /// may show less of it: Linux shows the first 15 bytes of a thread's name.
    pub thread_name_prefix: String,
    /// The stack size of the executor's threads, in bytes. Default: `None`, the standard library's choice (2 MiB).
    ///
    /// Must not be zero. If the system cannot start a thread with a stack of this size, `build()` fails.
    pub thread_stack_size: Option<usize>,
    /// How long, and how many, records of ended tasks are kept.
    pub cleanup: CleanupConfig,
    /// Retention classes: the records of tasks that ask for one by its name are kept by its limits instead of those of
    /// [`cleanup`](Self::cleanup), so that a flood of other tasks does not evict them. Default: none.
    ///
    /// The names must not be empty, and no two must be the same. There can be [`RetentionClass::MAX_CLASSES`].
    pub retention: Vec<RetentionClass>,
    /// The limits for the records of tasks that panicked, and that have no class of their own, so that a flood of other tasks does
    /// not evict them. Default: `None`, which keeps them by the limits of [`cleanup`](Self::cleanup), as those of other tasks.
    pub retain_failures: Option<Retention>,
    /// The largest number of threads that run blocking tasks at the same time. Default: 512. Must be at least 1.
    ///
    /// The threads are started when they are needed. Blocking tasks beyond their number are queued. A thread whose task waits for
    /// another task, in `join` or `block_on`, does not count meanwhile; no more than as many again are started for that reason.
    pub max_blocking_threads: usize,
    /// How long a blocking thread or a spare thread that has nothing to do is kept before it ends. Default: 10 seconds.
    ///
    /// With zero it ends at once, and with [`Duration::MAX`] when the executor is shut down.
    pub blocking_keep_alive: Duration,
    /// The largest number of blocking tasks that wait for a thread. Default: 100,000. Must be at least 1.
    ///
    /// While there are as many, `spawn_blocking` blocks its caller, `try_spawn_blocking` returns the closure, and
    /// `spawn_blocking_when_free` waits.
    pub blocking_queue_limit: usize,
    /// The largest number of active tasks, queued and running ones together. Default: `None`, which is no limit, and then active
    /// tasks are not counted. Must not be zero.
    ///
    /// At the limit, a plain `spawn` is refused, and its handle returns [`TaskError::AtCapacity`](crate::TaskError::AtCapacity);
    /// `try_spawn_*` returns the work, and `spawn_*_when_free` waits.
    pub max_active_tasks: Option<usize>,
    /// The largest number of spare threads. Default: 512.
    ///
    /// A worker that blocks in `join`, `block_on` or `block_in_place` hands its core off to a spare thread, so that the executor
    /// does not lose a worker meanwhile. With zero, or when all spare threads are in use, it keeps its core, and the executor has
    /// one worker less until it goes on.
    pub spare_threads: usize,
    /// The largest number of compensation threads. Default: `None`, which is the number of workers, and at least 4. Zero turns
    /// compensation threads off. A number above [`MAX_COMPENSATION_THREADS`](Self::MAX_COMPENSATION_THREADS) is lowered to that.
    ///
    /// While workers are stuck without having handed off their cores, compensation threads run what is queued: async tasks always,
    /// and parallel closures in place of workers that are blocked rather than computing.
    pub compensation_threads: Option<usize>,
    /// The old name of two settings. If it is set, it takes the place of both [`spare_threads`](Self::spare_threads) and
    /// [`compensation_threads`](Self::compensation_threads). Default: `None`.
    #[deprecated(since = "0.1.0", note = "set `spare_threads` and `compensation_threads`")]
    pub reserve_workers: Option<usize>,
    /// How long a poll of an async task may take before it is reported as a [`Stall`](crate::Stall). Default: `Some`, with 100 ms.
    /// `None` turns the reports off.
    ///
    /// Stalls are noticed some 20 ms late, so a budget below that is of little use.
    pub stall_budget: Option<Duration>,
    /// How long a parallel closure may take before it is reported as a [`Stall`](crate::Stall). Default: `None`, which is forever,
    /// because closures are there to compute.
    pub parallel_stall_budget: Option<Duration>,
    /// Whether the locations of panics are recorded; see [`Panic::location`](crate::Panic::location). Default: `false`.
    ///
    /// If `true`, the executor chains onto the panic hook of the process, once, and does not undo that when it ends.
    pub capture_panic_location: bool,
    /// Whether each task runs inside of the `tracing` span that was current where it was spawned, and each closure of fork-join work
    /// inside of that of the call. Default: `false`.
    pub inherit_spans: bool,
    /// Whether each task runs inside of a `tracing` span of its own, and each closure of fork-join work inside of the span of the call.
    /// Default: `false`.
    ///
    /// The span is called `task`, its level is INFO, and its target is `moirai::task`. Its fields are the task's `id`, `kind` and
    /// `location`, and its `name` if it has one. With [`inherit_spans`](Self::inherit_spans) its parent is the span that was current
    /// where the task was spawned, and otherwise it has none. It is closed when the task has ended.
    pub task_spans: bool,
    /// Whether a thread that waits, or announces that it blocks, goes on as the worker that it was. Default: `false`.
    ///
    /// Meanwhile another thread is that worker. By default, a thread goes on at once, as no worker if another thread still is the one
    /// that it was, and is a worker again when its task has ended. If this is `true`, it first waits until the other thread has ended
    /// the task that it runs. Then `worker_index` does not change within a task's poll or closure, as code expects that has data for
    /// each worker. In the waits of fork-join work, no other thread is the worker meanwhile.
    ///
    /// A thread that holds a lock while it waits for a task, or announces that it blocks, may have to wait for one that wants this
    /// lock. In the waits of fork-join work that cannot happen.
    pub stable_worker_index: bool,
    /// What the flight recorder keeps: what each thread did lately, for [`Flight`](crate::Flight)s and
    /// [`Incident`](crate::Incident)s. It is on by default, with 256 KiB for each thread.
    pub flight_recorder: FlightRecorderConfig,
    /// Whether what tasks and workers do is recorded, including the queue and execution times of all tasks. Default: `true`.
    ///
    /// If `false`, the executor's [`Recorder`](crate::Recorder) is not called, and the numbers that `Moirai::metrics()` returns
    /// stay zero.
    pub record_metrics: bool,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            worker_threads: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(Self::MAX_WORKER_THREADS),
            thread_name_prefix: "moirai".to_owned(),
            thread_stack_size: None,
            cleanup: CleanupConfig::default(),
            retention: Vec::new(),
            retain_failures: None,
            max_blocking_threads: 512,
            blocking_keep_alive: Duration::from_secs(10),
            blocking_queue_limit: 100_000,
            max_active_tasks: None,
            spare_threads: 512,
            compensation_threads: None,
            #[allow(deprecated)]
            reserve_workers: None,
            stall_budget: Some(Duration::from_millis(100)),
            parallel_stall_budget: None,
            capture_panic_location: false,
            inherit_spans: false,
            task_spans: false,
            stable_worker_index: false,
            flight_recorder: FlightRecorderConfig::default(),
            record_metrics: true,
        }
    }
}

impl ExecutorConfig {
    /// The largest number of workers that an executor can have.
    pub const MAX_WORKER_THREADS: usize = 4_096;

    /// The largest number of compensation threads that an executor can have. It is limited because the watchdog looks at an entry
    /// for each of them.
    pub const MAX_COMPENSATION_THREADS: usize = 1_024;

    /// Checks that every field has a value that makes sense. `build()` calls this before it starts anything.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidField`] for the first field that has not.
    pub fn validate(&self) -> Result<(), BuildError> {
        if !(1..=Self::MAX_WORKER_THREADS).contains(&self.worker_threads) {
            return Err(BuildError::invalid(
                "worker_threads",
                self.worker_threads,
                "must be from 1 to 4096; leave it out for one worker per processor",
            ));
        }
        if self.thread_name_prefix.is_empty() {
            return Err(BuildError::invalid(
                "thread_name_prefix",
                &self.thread_name_prefix,
                "must not be empty; leave it out for \"moirai\"",
            ));
        }
        if self.thread_name_prefix.contains('\0') {
            return Err(BuildError::invalid(
                "thread_name_prefix",
                &self.thread_name_prefix,
                "must not contain NUL bytes, which the name of a thread cannot hold",
            ));
        }
        if self.thread_name_prefix.len() > crate::text::MAX_NAME_BYTES {
            return Err(BuildError::invalid(
                "thread_name_prefix",
                &self.thread_name_prefix,
                "must be at most 256 bytes long",
            ));
        }
        if self.thread_stack_size == Some(0) {
            return Err(BuildError::invalid(
                "thread_stack_size",
                self.thread_stack_size,
                "must be more than zero bytes; leave it out for the standard library's choice",
            ));
        }
        if self.max_blocking_threads == 0 {
            return Err(BuildError::invalid(
                "max_blocking_threads",
                self.max_blocking_threads,
                "must be at least 1, or blocking tasks would never run",
            ));
        }
        if self.blocking_queue_limit == 0 {
            return Err(BuildError::invalid(
                "blocking_queue_limit",
                self.blocking_queue_limit,
                "must be at least 1, or no blocking task could be queued",
            ));
        }
        if self.max_active_tasks == Some(0) {
            return Err(BuildError::invalid(
                "max_active_tasks",
                0,
                "must be at least 1, or no task could be spawned; leave it out for no limit",
            ));
        }
        RetentionClass::validate_all(&self.retention)?;
        self.flight_recorder.validate()?;
        self.cleanup.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ExecutorConfig)) -> &'static str {
        let mut config = ExecutorConfig::default();
        change(&mut config);
        let error = config.validate().expect_err("the value should be refused");
        let field = error.field().expect("the error should name a field");
        assert!(error.to_string().contains(field), "{error}");
        field
    }

    #[test]
    fn defaults_are_those_of_the_documentation_and_pass() {
        let cleanup = CleanupConfig::default();
        assert_eq!(cleanup.task_retention_duration, Duration::from_secs(300));
        assert_eq!(cleanup.cleanup_interval, Duration::from_secs(30));
        assert!(cleanup.enable_automatic_cleanup);
        assert_eq!(cleanup.max_retained_tasks, 10_000);
        assert!(ExecutorConfig::default().validate().is_ok());
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        assert_eq!(
            refused(|c| c.flight_recorder.bytes_per_thread = 1_000),
            "flight_recorder.bytes_per_thread"
        );
        assert_eq!(refused(|c| c.worker_threads = 0), "worker_threads");
        assert_eq!(refused(|c| c.worker_threads = usize::MAX), "worker_threads");
        assert_eq!(refused(|c| c.thread_name_prefix.clear()), "thread_name_prefix");
        assert_eq!(refused(|c| c.thread_name_prefix = "a\0b".into()), "thread_name_prefix");
        assert_eq!(refused(|c| c.thread_name_prefix = "x".repeat(257)), "thread_name_prefix");
        assert_eq!(refused(|c| c.thread_stack_size = Some(0)), "thread_stack_size");
        assert_eq!(refused(|c| c.max_blocking_threads = 0), "max_blocking_threads");
        assert_eq!(refused(|c| c.blocking_queue_limit = 0), "blocking_queue_limit");
        assert_eq!(
            refused(|c| c.cleanup.cleanup_interval = Duration::ZERO),
            "cleanup.cleanup_interval"
        );
    }

    #[test]
    fn an_interval_of_zero_passes_when_nothing_uses_it() {
        let cleanup = CleanupConfig {
            cleanup_interval: Duration::ZERO,
            enable_automatic_cleanup: false,
            ..CleanupConfig::default()
        };
        assert!(cleanup.validate().is_ok());
    }

    #[test]
    fn a_refused_value_of_any_length_is_cut_in_the_error() {
        let config = ExecutorConfig {
            thread_name_prefix: "ü\0".repeat(1 << 16),
            ..ExecutorConfig::default()
        };
        assert!(config.validate().unwrap_err().to_string().len() < 1_000);
    }
}
