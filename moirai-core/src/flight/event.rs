//! The events of a flight.

use std::time::Duration;

use crate::{TaskId, Timestamp};

/// Something that a thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlightEvent {
    /// When it began.
    pub start: Timestamp,
    /// When it ended; the same as `start` for what takes no time.
    pub end: Timestamp,
    /// What it was.
    pub kind: FlightEventKind,
}

impl FlightEvent {
    /// Creates an event.
    #[must_use]
    pub const fn new(start: Timestamp, end: Timestamp, kind: FlightEventKind) -> Self {
        Self { start, end, kind }
    }

    /// Returns how long it took.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.end.saturating_since(self.start)
    }

    /// Returns the task that the event is about, if it is about one.
    #[must_use]
    pub const fn task(&self) -> Option<TaskId> {
        match self.kind {
            FlightEventKind::Poll { task, .. }
            | FlightEventKind::Cancelled { task }
            | FlightEventKind::Spawned { task, .. }
            | FlightEventKind::Woken { task, .. }
            | FlightEventKind::StallBegan { task }
            | FlightEventKind::StallEnded { task } => Some(task),
            FlightEventKind::Job { task } | FlightEventKind::TimerFired { task, .. } => task,
            FlightEventKind::Idle { .. } | FlightEventKind::Stole { .. } => None,
        }
    }
}

/// What a thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FlightEventKind {
    /// It polled a task, or ran a closure.
    Poll {
        /// The task.
        task: TaskId,
        /// How the poll ended.
        outcome: PollOutcome,
    },
    /// It ended a task that was cancelled.
    Cancelled {
        /// The task.
        task: TaskId,
    },
    /// It spawned a task.
    Spawned {
        /// The new task.
        task: TaskId,
        /// The task whose poll has spawned it; `None` if it was spawned between two polls, or the poll is not known.
        by: Option<TaskId>,
    },
    /// It queued a task that waited, because its waker was woken.
    ///
    /// The clock is not read for it. What is known is the poll during which it happened, or that it happened before the next poll, and
    /// the order of events. Within a poll such events are spread evenly.
    Woken {
        /// The task that was woken.
        task: TaskId,
        /// The task that has woken it, by its poll or by its end; `None` if no task did, but a timer for example, or the poll is not
        /// known.
        by: Option<TaskId>,
    },
    /// A wait for a deadline, of the task that was being polled, was over. Its time is as exact as that of [`Woken`](Self::Woken).
    TimerFired {
        /// The task that had waited.
        task: Option<TaskId>,
        /// How long after the deadline the task went on.
        late: Duration,
    },
    /// It took tasks from another worker's queue. Its time is as exact as that of [`Woken`](Self::Woken).
    Stole {
        /// The worker from which it took them.
        from: usize,
    },
    /// It had nothing to do.
    Idle {
        /// Whether it slept meanwhile.
        parked: bool,
    },
    /// It ran a part of the fork-join work of another thread.
    Job {
        /// The task whose work it was; `None` if a thread outside of the executor waits for it.
        task: Option<TaskId>,
    },
    /// A poll was found to exceed its budget; see [`Stall`](crate::Stall).
    StallBegan {
        /// The task that was being polled.
        task: TaskId,
    },
    /// The end of a poll that had exceeded its budget was noticed.
    StallEnded {
        /// The task that had been polled.
        task: TaskId,
    },
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PollOutcome {
    /// The task waits, or yielded.
    Pending,
    /// The task completed.
    Completed,
    /// The task has failed.
    Failed,
    /// The poll was still going on when the flight was read.
    Running,
}
