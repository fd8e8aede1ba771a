//! The record of one task, as users see it.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::{CancelCause, Priority, Progress, Tags, TaskId, TaskKind, TaskStatus, Timestamp};

/// A copy of one task's record, as it was at [`observed_at`](Self::observed_at).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskStats {
    /// The task's id.
    pub id: TaskId,
    /// The name that was given to the task builder, cut to [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES) bytes.
    pub name: Option<Arc<str>>,
    /// What kind of task it is.
    pub kind: TaskKind,
    /// The status.
    pub status: TaskStatus,
    /// The priority.
    pub priority: Priority,
    /// When the task was spawned.
    pub spawned_at: Timestamp,
    /// When the task was first run; `None` if it has not run. Never before `spawned_at`.
    pub started_at: Option<Timestamp>,
    /// When the task ended; `None` while it is active.
    pub finished_at: Option<Timestamp>,
    /// The number of polls that have returned. A closure that has run counts one.
    pub polls: u32,
    /// How long the task has been running on a thread, over all polls that have returned.
    pub busy: Duration,
    /// The index of the worker that ran the task first; `None` if it has not run, or if a thread that is not a worker ran it first,
    /// as with blocking tasks.
    pub worker: Option<usize>,
    /// The place in the source at which the task was spawned.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_location"))]
    pub location: &'static Location<'static>,
    /// The message of the panic that ended the task, or the text of the `Err` that made it fail, and the message of a panic of a
    /// destructor of the task, together cut to [`MAX_MESSAGE_BYTES`](crate::text::MAX_MESSAGE_BYTES) bytes; `None` if there was none of
    /// them.
    pub error: Option<Arc<str>>,
    /// The task that this one was made a child of.
    pub parent: Option<TaskId>,
    /// The tags that were given to the task builder.
    pub tags: Tags,
    /// How far the task has come, if it has told.
    pub progress: Option<Progress>,
    /// What the task has told of itself in words, cut to [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES) bytes.
    pub note: Option<Arc<str>>,
    /// What has cancelled the task; `None` if it was not cancelled.
    pub cancelled_by: Option<CancelCause>,
    /// When this copy was made.
    pub observed_at: Timestamp,
}

impl TaskStats {
    /// Creates the record of a task that was queued at `spawned_at` and has not run yet.
    #[must_use]
    pub fn queued(
        id: TaskId,
        kind: TaskKind,
        priority: Priority,
        spawned_at: Timestamp,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            id,
            name: None,
            kind,
            status: TaskStatus::Queued,
            priority,
            spawned_at,
            started_at: None,
            finished_at: None,
            polls: 0,
            busy: Duration::ZERO,
            worker: None,
            location,
            error: None,
            parent: None,
            tags: Tags::default(),
            progress: None,
            note: None,
            cancelled_by: None,
            observed_at: spawned_at,
        }
    }

    /// Returns how long the task waited before it was first run, or `None` if it has not run.
    #[must_use]
    pub fn queue_time(&self) -> Option<Duration> {
        Some(self.started_at?.saturating_since(self.spawned_at))
    }

    /// Returns the time from the task's first run to its end, or `None` if it has not run or has not ended.
    ///
    /// The times in which it waited between two polls are included; [`busy`](Self::busy) is the time without them.
    #[must_use]
    pub fn execution_time(&self) -> Option<Duration> {
        Some(self.finished_at?.saturating_since(self.started_at?))
    }

    /// Returns how long before this copy was made the task ended, or `None` while it is active.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        Some(self.observed_at.saturating_since(self.finished_at?))
    }
}

#[cfg(feature = "serde")]
pub(crate) fn serialize_location<S: serde::Serializer>(
    location: &&'static Location<'static>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(location)
}
