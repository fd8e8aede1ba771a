//! The status, the priority and the kind of a task, and what has cancelled it.

use std::fmt;

/// The status of a task. It goes from `Queued` to `Running` and then to one of the three terminal statuses. It never goes back, and
/// may skip `Running`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TaskStatus {
    /// The task was spawned, and has not run yet.
    Queued,
    /// The task has begun to run. An async task stays `Running` while it waits.
    Running,
    /// The task returned a value.
    Completed,
    /// The task was stopped before it returned; [`CancelCause`] says by what.
    Cancelled,
    /// The task panicked, or returned an `Err` and was to fail if it did.
    Failed,
}

impl TaskStatus {
    /// Returns `true` if the task is queued or running.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Returns `true` if the task was completed, cancelled or failed. The status will not change any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !self.is_active()
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        })
    }
}

/// The priority of a task.
///
/// A scheduler that regards priorities, as the default one does, takes tasks of a higher priority first, within a bound that keeps
/// the others moving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Priority {
    /// Taken when nothing else waits, and now and then even if something does.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Taken before tasks of normal priority.
    High,
    /// Taken before all other tasks.
    Critical,
}

impl Priority {
    /// All priorities, from the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// The kind of a task, which decides where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum TaskKind {
    /// A future, which is polled on the workers.
    Async,
    /// A closure that computes, which runs on a worker.
    Parallel,
    /// A closure that may block, which runs on a thread of the blocking pool.
    Blocking,
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Async => "async",
            Self::Parallel => "parallel",
            Self::Blocking => "blocking",
        })
    }
}

/// What has cancelled a task: the first that asked it to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CancelCause {
    /// A handle of the task.
    Handle,
    /// `cancel_task`, with the task's id.
    Id,
    /// The task's group, which was cancelled or dropped.
    Group,
    /// The task's token.
    Token,
    /// The task's timeout.
    Timeout,
    /// The executor's shutdown.
    Shutdown,
    /// The task's parent, which was cancelled or has failed.
    Parent,
    /// The scheduler, which has dropped the task.
    Scheduler,
}

impl CancelCause {
    /// All causes, in an order without meaning.
    pub const ALL: [Self; 8] = [
        Self::Handle,
        Self::Id,
        Self::Group,
        Self::Token,
        Self::Timeout,
        Self::Shutdown,
        Self::Parent,
        Self::Scheduler,
    ];
}

impl fmt::Display for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Handle => "handle",
            Self::Id => "id",
            Self::Group => "group",
            Self::Token => "token",
            Self::Timeout => "timeout",
            Self::Shutdown => "shutdown",
            Self::Parent => "parent",
            Self::Scheduler => "scheduler",
        })
    }
}
