//! Incidents: flights that are kept because something went wrong.

use std::fmt;
use std::sync::Arc;

use super::raw::{RawThread, Times};
use super::snapshot::Flight;
use crate::{TaskId, TaskStats, Timestamp};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum IncidentCause {
    /// A poll exceeded its budget; see [`Stall`](crate::Stall).
    Stall {
        /// The task that was being polled.
        task: TaskId,
    },
    /// A task panicked.
    Panic {
        /// The task.
        task: TaskId,
    },
    /// A shutdown did not end all tasks before its deadline.
    ShutdownDeadline,
}

impl IncidentCause {
    /// Returns the task that the incident is about, if it is about one.
    #[must_use]
    pub const fn task(self) -> Option<TaskId> {
        match self {
            Self::Stall { task } | Self::Panic { task } => Some(task),
            Self::ShutdownDeadline => None,
        }
    }
}

impl fmt::Display for IncidentCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stall { task } => write!(f, "task {task} kept its worker from others"),
            Self::Panic { task } => write!(f, "task {task} panicked"),
            Self::ShutdownDeadline => f.write_str("a shutdown missed its deadline"),
        }
    }
}

/// What the threads of an executor did before something went wrong.
///
/// The executor keeps the newest ones, up to
/// [`max_incidents`](super::FlightRecorderConfig::max_incidents). The events are kept in the form in which they were written,
/// 16 bytes each, and decoded by [`flight`](Self::flight).
#[derive(Clone)]
pub struct Incident {
    cause: IncidentCause,
    at: Timestamp,
    since: Timestamp,
    unrecorded: u64,
    times: Times,
    threads: Vec<RawThread>,
    tasks: Vec<TaskStats>,
}

impl Incident {
    /// Creates an incident from what was read from the rings, of which what ended before `since` does not count. `tasks` are in the
    /// order of their ids.
    #[doc(hidden)]
    #[must_use]
    pub fn new(
        cause: IncidentCause,
        unrecorded: u64,
        times: Times,
        since: Timestamp,
        threads: Vec<RawThread>,
        tasks: Vec<TaskStats>,
    ) -> Arc<Self> {
        let at = times.taken_at();
        Arc::new(Self { cause, at, since, unrecorded, times, threads, tasks })
    }

    /// Returns what went wrong.
    #[must_use]
    pub const fn cause(&self) -> IncidentCause {
        self.cause
    }

    /// Returns when it was noticed. A stall is noticed some 20 ms after the poll has exceeded its budget.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns how many incidents of the same cause happened since the one before that was recorded.
    #[must_use]
    pub const fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// Returns what the threads did up to then.
    #[must_use]
    pub fn flight(&self) -> Flight {
        let threads = self.threads.iter().map(|thread| thread.decode(&self.times, self.since));
        Flight::new(self.at, threads.collect(), self.tasks.clone())
    }
}

impl fmt::Debug for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incident")
            .field("cause", &self.cause)
            .field("at", &self.at)
            .field("unrecorded", &self.unrecorded)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (noticed at {})\n{}", self.cause, self.at, self.flight())
    }
}
