//! Where a task stands, what sort it is, and how urgent.

use std::fmt;

/// Where a task stands. It only ever moves to the right: `Queued`, `Running`, then one of the three terminal statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TaskStatus {
    /// Spawned, and not started yet.
    Queued,
    /// Started. An async task stays `Running` while it waits for something.
    Running,
    /// Returned a value.
    Completed,
    /// Stopped before it returned: by its handle, by id, by a token, by a deadline or by shutdown.
    Cancelled,
    /// Panicked.
    Failed,
}

impl TaskStatus {
    /// Queued or running.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Completed, cancelled or failed: the status will not change again.
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

/// How urgent a task is. More urgent tasks are taken first, within a bound that keeps the others moving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Priority {
    /// When nothing else waits, and every so often anyway.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before what is normal.
    High,
    /// Before everything else.
    Critical,
}

impl Priority {
    /// All four, from the least urgent to the most.
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

/// What sort of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum TaskKind {
    /// A future, polled on the workers.
    Async,
    /// A closure that computes, on the workers.
    Parallel,
    /// A closure that may block, on a thread of the blocking pool.
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
