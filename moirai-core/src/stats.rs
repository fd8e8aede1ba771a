//! One task's record, copied out of the registry.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::{Priority, TaskId, TaskKind, TaskStatus, Timestamp};

/// One task's record: a snapshot.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskStats {
    /// The task's id.
    pub id: TaskId,
    /// The name that the task builder gave it, cut to [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES).
    pub name: Option<Arc<str>>,
    /// What sort of work it is.
    pub kind: TaskKind,
    /// Where it stood.
    pub status: TaskStatus,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was spawned.
    pub spawned_at: Timestamp,
    /// When it was first run; `None` if it never was. Never before `spawned_at`.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` while it is active.
    pub finished_at: Option<Timestamp>,
    /// How often it was polled. A closure counts one.
    pub polls: u32,
    /// How long it was running on a thread, over all its polls.
    pub busy: Duration,
    /// The worker that ran it last; `None` for blocking tasks and for what a foreign thread ran.
    pub worker: Option<usize>,
    /// Where it was spawned.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_location"))]
    pub location: &'static Location<'static>,
    /// The message of a failed task's panic, cut to [`MAX_MESSAGE_BYTES`](crate::text::MAX_MESSAGE_BYTES).
    pub error: Option<Arc<str>>,
    /// When this snapshot was taken.
    pub observed_at: Timestamp,
}

impl TaskStats {
    /// The record of a task that was queued at `spawned_at` and has done nothing yet.
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
            observed_at: spawned_at,
        }
    }

    /// How long it waited before it was first run; `None` if it never was.
    #[must_use]
    pub fn queue_time(&self) -> Option<Duration> {
        Some(self.started_at?.saturating_since(self.spawned_at))
    }

    /// The time from its first run to its end, waits included; `None` if it never ran or has not ended.
    ///
    /// For the time that it was actually running, see [`busy`](Self::busy).
    #[must_use]
    pub fn execution_time(&self) -> Option<Duration> {
        Some(self.finished_at?.saturating_since(self.started_at?))
    }

    /// How long ago it had ended when this snapshot was taken; `None` while it is active.
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
