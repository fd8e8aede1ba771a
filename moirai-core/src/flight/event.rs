//! The events of a flight.

use std::fmt;
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

impl fmt::Display for FlightEvent {
    /// Prints when it began, what it was, and how long it took if that is known, as in `+1.204310s polled for 3.2ms, pending`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.start)?;
        let took = self.duration();
        let by = |f: &mut fmt::Formatter<'_>, by: Option<TaskId>| match by {
            Some(task) => write!(f, " by task {task}"),
            None => Ok(()),
        };
        match self.kind {
            FlightEventKind::Poll { outcome: PollOutcome::Running, .. } => {
                write!(f, "polled for {took:.1?}, and still was")
            }
            FlightEventKind::Poll { outcome, .. } => {
                let outcome = match outcome {
                    PollOutcome::Completed => "completed",
                    PollOutcome::Failed => "failed",
                    _ => "pending",
                };
                write!(f, "polled for {took:.1?}, {outcome}")
            }
            FlightEventKind::Cancelled { .. } => write!(f, "ended in {took:.1?}, cancelled"),
            FlightEventKind::Spawned { by: task, .. } => {
                f.write_str("spawned")?;
                by(f, task)
            }
            FlightEventKind::Woken { by: task, .. } => {
                f.write_str("woken")?;
                by(f, task)
            }
            FlightEventKind::TimerFired { late, .. } => write!(f, "its timer was {late:.1?} late"),
            FlightEventKind::Stole { from } => write!(f, "stole from worker {from}"),
            FlightEventKind::Idle { parked: true } => write!(f, "slept for {took:.1?}"),
            FlightEventKind::Idle { parked: false } => write!(f, "searched for {took:.1?}"),
            FlightEventKind::Job { .. } => write!(f, "part of its work ran for {took:.1?}"),
            FlightEventKind::StallBegan { .. } => f.write_str("a stall was noticed"),
            FlightEventKind::StallEnded { .. } => f.write_str("the end of a stall was noticed"),
        }
    }
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
