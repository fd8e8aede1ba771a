//! What an executor is doing now: the figures that are read when somebody asks, and are kept up to date by nobody.

use std::time::Duration;

use crate::{CancelCause, CleanupStats, Retention, TaskId, TaskKind, Timestamp};

/// What an executor is doing at one moment. `Moirai::runtime_stats()` reads it.
///
/// Nothing is counted for it on the way of a task, except for what has cancelled those that were cancelled. So to read it costs more
/// than to read a counter: it looks at the state of every record, active and retained, which takes some twenty microseconds for 10,000
/// of them, and takes for a moment each of the locks under which threads are started and records are evicted. The parts are read one
/// after the other, so while tasks run they may differ by a few.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RuntimeStats {
    /// When this was read, since the executor's start.
    pub observed_at: Timestamp,
    /// Whether the executor runs, shuts down or has stopped.
    pub phase: RuntimePhase,
    /// The number of tasks that were accepted since the executor's start.
    pub spawned: u64,
    /// The number of tasks that returned a value since then.
    pub completed: u64,
    /// The number of tasks that have failed since then.
    pub failed: u64,
    /// The number of spawns that were refused, because a limit was reached or the executor was shutting down.
    pub refused: u64,
    /// The active tasks of each kind, also of kinds of which there are none.
    pub active: Vec<ActiveTasks>,
    /// The number of tasks that are ready to run, and wait for a worker. Blocking tasks wait in [`blocking`](Self::blocking).
    pub queued: usize,
    /// What the registry holds, and what was evicted from it.
    pub cleanup: CleanupStats,
    /// The records of ended tasks, by the limits that apply to them: first those of no retention class.
    pub retained: Vec<RetainedRecords>,
    /// How many tasks each cause has cancelled since the executor's start, in the order of [`CancelCause::ALL`].
    pub cancelled: Vec<CancelledTasks>,
    /// The threads that run blocking tasks, and the tasks that wait for one of them.
    pub blocking: ThreadPoolStats,
    /// The threads beyond one for each worker, which stand in for those that block, and the workers that wait for one of them.
    pub spare: ThreadPoolStats,
    /// The threads that run tasks while workers are stuck.
    pub compensation: CompensationStats,
    /// What each worker is in.
    pub workers: Vec<WorkerStats>,
    /// The number of polls that exceed their budget now; see [`Stall`](crate::Stall).
    pub stalled: usize,
    /// The number of polls that have exceeded their budget since the executor's start.
    pub stalls: u64,
    /// The number of timers that have not fired yet. Executors share the timers of the system's time, so these are all of the process,
    /// unless the executor has a clock of its own.
    pub timers: usize,
}

/// Whether an executor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RuntimePhase {
    /// It accepts tasks.
    Running,
    /// A shutdown or a drain has begun.
    ShuttingDown,
    /// Its workers end.
    Stopped,
}

/// The active tasks of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ActiveTasks {
    /// The kind.
    pub kind: TaskKind,
    /// The number of those that have not run yet.
    pub queued: usize,
    /// The number of those that have begun to run. An async task is one of them also while it waits.
    pub running: usize,
}

/// The records of ended tasks to which the same limits apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RetainedRecords {
    /// Whose records these are.
    pub class: RecordClass,
    /// The number of records.
    pub records: usize,
    /// The limits.
    pub limits: Retention,
}

/// The records to which the same limits apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RecordClass {
    /// Those of no other class; the limits are those of [`CleanupConfig`](crate::CleanupConfig).
    Default,
    /// Those of tasks that have failed; see [`ExecutorConfig::retain_failures`](crate::ExecutorConfig::retain_failures).
    Failures,
    /// Those of tasks that have asked for the [retention class](crate::RetentionClass) with this name.
    Named(String),
}

/// The number of tasks that one cause has cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CancelledTasks {
    /// What has cancelled them.
    pub cause: CancelCause,
    /// The number of tasks.
    pub tasks: u64,
}

/// Threads that are started when there is a job for them, and end when there has been none for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ThreadPoolStats {
    /// The number of threads.
    pub threads: usize,
    /// The number of threads that have nothing to do.
    pub idle: usize,
    /// The number of jobs that wait for a thread.
    pub queued: usize,
    /// The largest number of threads.
    pub limit: usize,
}

/// The compensation threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CompensationStats {
    /// The number of threads.
    pub threads: usize,
    /// The number of threads that are not needed now.
    pub idle: usize,
    /// The largest number of threads.
    pub limit: usize,
    /// The number of tasks and fork-join jobs that such threads have run since the executor's start.
    pub ran: usize,
}

/// What one worker is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WorkerStats {
    /// The worker's index.
    pub worker: usize,
    /// What it is in.
    pub state: WorkerState,
    /// For how long it has been in that, exact to about ten milliseconds; less than that is zero. `None` if it is in nothing, or if
    /// nobody watches, because the executor has neither stall budgets nor compensation threads.
    pub since: Option<Duration>,
}

/// What a worker may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum WorkerState {
    /// It looks for something to do.
    Idle,
    /// It has found nothing to do, and sleeps.
    Parked,
    /// It polls this task, or runs its closure.
    Polling(TaskId),
    /// It runs a job of another thread's `join` or `scope`.
    ForkJoin,
    /// It runs what the park hook has for it, such as an I/O driver.
    ParkHook,
    /// No thread runs it: the one that did is about to block, and no other has taken over yet; or none has begun, or all have ended.
    NoThread,
}

impl RuntimePhase {
    /// Returns the phase as a word: `running`, `shutting_down` or `stopped`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::ShuttingDown => "shutting_down",
            Self::Stopped => "stopped",
        }
    }
}

impl WorkerState {
    /// The names of all states, as [`name`](Self::name) returns them.
    pub const NAMES: [&'static str; 6] =
        ["idle", "parked", "polling", "fork_join", "park_hook", "no_thread"];

    /// Returns the state as a word, without the task.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Parked => "parked",
            Self::Polling(_) => "polling",
            Self::ForkJoin => "fork_join",
            Self::ParkHook => "park_hook",
            Self::NoThread => "no_thread",
        }
    }

    /// Returns the task that the worker polls.
    #[must_use]
    pub const fn task(self) -> Option<TaskId> {
        match self {
            Self::Polling(task) => Some(task),
            _ => None,
        }
    }

    /// Returns whether the worker is in something: a task, a job or the park hook.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::Polling(_) | Self::ForkJoin | Self::ParkHook)
    }
}

impl RuntimeStats {
    /// Creates the figures of an executor without tasks and workers, read at `observed_at`.
    #[must_use]
    pub fn new(observed_at: Timestamp) -> Self {
        let kinds = [TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking];
        Self {
            observed_at,
            phase: RuntimePhase::Running,
            spawned: 0,
            completed: 0,
            failed: 0,
            refused: 0,
            active: kinds.map(|kind| ActiveTasks::new(kind, 0, 0)).into(),
            queued: 0,
            cleanup: CleanupStats::default(),
            retained: Vec::new(),
            cancelled: CancelCause::ALL.map(|cause| CancelledTasks { cause, tasks: 0 }).into(),
            blocking: ThreadPoolStats::default(),
            spare: ThreadPoolStats::default(),
            compensation: CompensationStats::default(),
            workers: Vec::new(),
            stalled: 0,
            stalls: 0,
            timers: 0,
        }
    }

    /// Returns the number of active tasks of one kind.
    #[must_use]
    pub fn active_of(&self, kind: TaskKind) -> usize {
        let of_kind = self.active.iter().filter(|active| active.kind == kind);
        of_kind.map(|active| active.queued + active.running).sum()
    }

    /// Returns the number of tasks that a cause has cancelled.
    #[must_use]
    pub fn cancelled_by(&self, cause: CancelCause) -> u64 {
        let by_cause = self.cancelled.iter().filter(|cancelled| cancelled.cause == cause);
        by_cause.map(|cancelled| cancelled.tasks).sum()
    }

    /// Returns the number of workers whose state has this [name](WorkerState::name).
    #[must_use]
    pub fn workers_in(&self, state: &str) -> usize {
        self.workers.iter().filter(|worker| worker.state.name() == state).count()
    }
}

impl ActiveTasks {
    /// Creates the numbers of active tasks of one kind.
    #[must_use]
    pub const fn new(kind: TaskKind, queued: usize, running: usize) -> Self {
        Self { kind, queued, running }
    }
}

impl RetainedRecords {
    /// Creates the number of records of one class.
    #[must_use]
    pub const fn new(class: RecordClass, records: usize, limits: Retention) -> Self {
        Self { class, records, limits }
    }
}

impl CancelledTasks {
    /// Creates the number of tasks that one cause has cancelled.
    #[must_use]
    pub const fn new(cause: CancelCause, tasks: u64) -> Self {
        Self { cause, tasks }
    }
}

impl ThreadPoolStats {
    /// Creates the figures of a pool.
    #[must_use]
    pub const fn new(threads: usize, idle: usize, queued: usize, limit: usize) -> Self {
        Self { threads, idle, queued, limit }
    }
}

impl CompensationStats {
    /// Creates the figures of the compensation threads.
    #[must_use]
    pub const fn new(threads: usize, idle: usize, limit: usize, ran: usize) -> Self {
        Self { threads, idle, limit, ran }
    }
}

impl WorkerStats {
    /// Creates what one worker is in.
    #[must_use]
    pub const fn new(worker: usize, state: WorkerState, since: Option<Duration>) -> Self {
        Self { worker, state, since }
    }
}
