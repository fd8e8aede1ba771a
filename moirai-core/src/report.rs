//! The report of a shutdown.

use std::fmt;
use std::time::Duration;

use crate::TaskStats;

/// What a shutdown has done, and what it has left. Its `Display` is for people to read.
///
/// The counts are those since the executor was started. `spawned` is the sum of `completed`, `failed`, `cancelled` and
/// `still_active`; spawns that were refused are counted by `refused` alone.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The number of tasks that were accepted.
    pub spawned: u64,
    /// The number of tasks that returned a value.
    pub completed: u64,
    /// The number of tasks that have failed.
    pub failed: u64,
    /// The number of tasks that were cancelled, by whatever means.
    pub cancelled: u64,
    /// The number of tasks that were still queued or running when the call returned.
    pub still_active: u64,
    /// The number of spawns that were refused, because a limit was reached or the executor was shutting down.
    pub refused: u64,
    /// The records of the tasks that the shutdown has cancelled, at most [`MAX_LISTED`](Self::MAX_LISTED) of them. That of a task
    /// which never ran has no `started_at`.
    pub cancelled_tasks: Vec<TaskStats>,
    /// The records of tasks that were still active when the call returned, at most [`MAX_LISTED`](Self::MAX_LISTED) of them.
    pub unfinished: Vec<TaskStats>,
    /// How long the call took.
    pub elapsed: Duration,
}

impl ShutdownReport {
    /// The largest number of records in each list of a report.
    pub const MAX_LISTED: usize = 1_000;

    /// Returns `true` if the shutdown cancelled no task and left none active.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.still_active == 0 && self.cancelled_tasks.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The number of tasks of each list that are printed.
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
