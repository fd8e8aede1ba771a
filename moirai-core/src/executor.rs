//! How an executor is configured, and what it can be asked.

use std::time::Duration;

use crate::BuildError;

mod traits;

pub use traits::{Executor, ExecutorControl, TaskManager, TaskSpawner};

/// How long, and how many, records of ended tasks are kept.
///
/// Queued and running tasks are never dropped, whatever the limits.
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
    /// How long the record of an ended task is kept, counted from its end. Default: 5 minutes. `Duration::MAX` keeps it
    /// until the count or a request evicts it; zero drops it at the next sweep.
    pub task_retention_duration: Duration,
    /// How often the cleanup worker looks for records that are too old. Default: 30 seconds. Zero is refused while
    /// automatic cleanup is on.
    pub cleanup_interval: Duration,
    /// Whether records are dropped without being asked for: by age through the cleanup worker, by count at once.
    /// Default: on. When off, nothing goes until somebody calls `cleanup_completed_tasks`.
    pub enable_automatic_cleanup: bool,
    /// How many records of ended tasks are kept, the newest ones. Default: 10,000. Zero keeps none; `usize::MAX` leaves
    /// it to the age.
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
    /// Checks that every field means something.
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

/// What the registry holds now, and what has been dropped from it since the start: a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CleanupStats {
    /// Records in the registry now: active, completed, cancelled and failed together.
    pub total_tasks: usize,
    /// Queued and running tasks.
    pub active_tasks: usize,
    /// Records of tasks that returned a value.
    pub completed_tasks: usize,
    /// Records of tasks that were cancelled.
    pub cancelled_tasks: usize,
    /// Records of tasks that panicked.
    pub failed_tasks: usize,
    /// How long ago the task ended whose terminal record is the oldest retained.
    pub oldest_completed_task_age: Option<Duration>,
    /// Bytes that the registry holds.
    pub memory_bytes: usize,
    /// Records dropped because they were older than `task_retention_duration`, since the start.
    pub evicted_by_age: u64,
    /// Records dropped because there were more than `max_retained_tasks`, since the start.
    pub evicted_by_count: u64,
    /// Records dropped by `cleanup_completed_tasks()`, since the start.
    pub evicted_by_request: u64,
    /// How long the last sweep took; `None` before the first one.
    pub last_sweep: Option<Duration>,
}

/// How an executor is set up. `ExecutorConfig::default()` suits a service; every field can be set by a method of the
/// builder too.
///
/// ```
/// use moirai_core::ExecutorConfig;
/// let config = ExecutorConfig { worker_threads: 2, ..Default::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct ExecutorConfig {
    /// How many workers run async tasks and parallel closures. Default: what `available_parallelism` says. 1 to
    /// [`MAX_WORKER_THREADS`](Self::MAX_WORKER_THREADS).
    pub worker_threads: usize,
    /// What the names of the executor's threads begin with. Default: `"moirai"`. Not empty, without NUL bytes, at most
    /// [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES) bytes.
    pub thread_name_prefix: String,
    /// The stack size of the executor's threads, in bytes. Default: `None`, the standard library's choice (2 MiB).
    pub thread_stack_size: Option<usize>,
    /// How long records of ended tasks are kept.
    pub cleanup: CleanupConfig,
    /// How many threads may run blocking tasks at once. Default: 512. At least 1.
    pub max_blocking_threads: usize,
    /// How long a thread of the blocking pool waits for more work before it ends. Default: 10 seconds.
    pub blocking_keep_alive: Duration,
    /// How many blocking tasks may wait for a thread; `spawn_blocking` waits while there are as many. Default: 100,000.
    /// At least 1.
    pub blocking_queue_limit: usize,
    /// How many tasks may be active, queued and running together. At the limit a plain `spawn` is refused: its handle gives
    /// `TaskError::AtCapacity`; `try_spawn_*` gives the work back, and `spawn_*_when_free` waits. Default: `None`, no
    /// limit, and then nothing is counted. Not zero.
    pub max_active_tasks: Option<usize>,
    /// How many spare threads there may be. A worker that blocks in `join`, `block_on` or `block_in_place` hands its core to one, so that
    /// the executor loses no worker meanwhile. Default: 512. With none left, or zero, a worker that blocks keeps its core.
    pub spare_threads: usize,
    /// How many compensation threads there may be. While workers are stuck without having said so, these run what waits: async tasks
    /// always, and parallel closures for workers that are blocked rather than computing. Default: `None`, which is as many as there are
    /// workers, and at least 4. Never more than [`MAX_COMPENSATION_THREADS`](Self::MAX_COMPENSATION_THREADS). Zero turns them off.
    pub compensation_threads: Option<usize>,
    /// The old name of two settings: if it is set, it takes the place of both [`spare_threads`](Self::spare_threads) and
    /// [`compensation_threads`](Self::compensation_threads). Default: `None`.
    #[deprecated(since = "0.1.0", note = "set `spare_threads` and `compensation_threads`")]
    pub reserve_workers: Option<usize>,
    /// How long a poll of an async task may take before it is reported as a stall. Default: `Some(100 ms)`. `None` turns that off.
    pub stall_budget: Option<Duration>,
    /// How long a parallel closure may take before it is reported as a stall. Default: `None`, which is for ever: closures are
    /// there to compute.
    pub parallel_stall_budget: Option<Duration>,
    /// Whether to learn where panics happen, by chaining onto the process's panic hook. Default: off.
    pub capture_panic_location: bool,
    /// Whether each task runs inside the `tracing` span that was current where it was spawned. Default: off.
    pub inherit_spans: bool,
    /// Whether queue and execution times of all tasks are recorded. Default: on.
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
            record_metrics: true,
        }
    }
}

impl ExecutorConfig {
    /// The most workers that an executor can have.
    pub const MAX_WORKER_THREADS: usize = 4_096;

    /// The most compensation threads that an executor can have: each has an entry that the watchdog looks at.
    pub const MAX_COMPENSATION_THREADS: usize = 1_024;

    /// Checks that every field means something. `build()` calls it before it starts anything.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidField`] for the first field that does not.
    pub fn validate(&self) -> Result<(), BuildError> {
        if !(1..=Self::MAX_WORKER_THREADS).contains(&self.worker_threads) {
            return Err(BuildError::invalid(
                "worker_threads",
                self.worker_threads,
                "must be from 1 to 4096; leave it out for one worker per core",
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
