//! What a shutdown did.

use std::fmt;
use std::time::Duration;

use crate::TaskStats;

/// What a shutdown did, and what it left.
///
/// The counts are taken since the executor's start and balance: `spawned` is the sum of the other four. Spawns that were
/// refused because the executor was closed are in none of them.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks accepted.
    pub spawned: u64,
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that panicked.
    pub failed: u64,
    /// Tasks that were cancelled, by whatever means.
    pub cancelled: u64,
    /// Tasks that were still queued or running when the call returned.
    pub still_active: u64,
    /// Spawns that were refused, because a limit was reached or the executor was shutting down. They are not in `spawned`.
    pub refused: u64,
    /// The tasks that this shutdown cancelled, at most [`MAX_LISTED`](Self::MAX_LISTED). One that never started has no
    /// `started_at`.
    pub cancelled_tasks: Vec<TaskStats>,
    /// The tasks that were still active when the call returned, at most [`MAX_LISTED`](Self::MAX_LISTED).
    pub unfinished: Vec<TaskStats>,
    /// How long the call took.
    pub elapsed: Duration,
}

impl ShutdownReport {
    /// The most tasks that each list of a report holds.
    pub const MAX_LISTED: usize = 1_000;

    /// Whether the shutdown had to cancel nothing, and left nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.still_active == 0 && self.cancelled_tasks.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many tasks of each list are printed.
        const LINES: usize = 10;
        write!(
            f,
            "{} in {:.1?}: {} spawned = {} completed + {} failed + {} cancelled + {} still active",
            if self.is_clean() { "clean shutdown" } else { "shutdown" },
            self.elapsed,
            self.spawned,
            self.completed,
            self.failed,
            self.cancelled,
            self.still_active,
        )?;
        for (what, tasks) in
            [("cancelled", &self.cancelled_tasks), ("still active", &self.unfinished)]
        {
            for task in tasks.iter().take(LINES) {
                let started = if task.started_at.is_none() { ", never started" } else { "" };
                write!(f, "\n  {what}: task {}", task.id)?;
                if let Some(name) = &task.name {
                    write!(f, " {name:?}")?;
                }
                write!(f, " ({}{started}), spawned at {}", task.kind, task.location)?;
            }
            if tasks.len() > LINES {
                write!(f, "\n  {what}: and {} more in this report", tasks.len() - LINES)?;
            }
        }
        Ok(())
    }
}
