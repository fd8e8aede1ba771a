//! What is written into a record, and what is known of a task when it ends.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{CancelCause, Priority, TaskKind, TaskStatus};

/// What a record says of a task from the beginning; see [`Registry::register`](super::Registry::register).
#[derive(Debug)]
pub struct NewRecord {
    /// What sort of work the task is.
    pub kind: TaskKind,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// Its name, which is kept whole: a limit on its length, such as [`MAX_NAME_BYTES`](moirai_core::text::MAX_NAME_BYTES), is the
    /// caller's to apply.
    pub name: Option<Arc<str>>,
    /// Hints for the task's scheduler.
    pub hints: Option<Box<TaskHints>>,
    /// The address that [`Registry::with_task`](super::Registry::with_task) passes on while the task is active. It must be aligned
    /// to at least two.
    pub task: NonNull<()>,
}

/// Hints that a task was spawned with, for its scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskHints {
    /// The time by which the task should have run, in ticks of the clock.
    pub deadline: Option<u64>,
    /// A number that tasks which belong together have in common.
    pub affinity: Option<u64>,
    /// How long the task is expected to compute.
    pub expected_duration: Option<Duration>,
}

/// What a record says of a task from its end on; see [`Registry::finish`](super::Registry::finish).
#[derive(Debug)]
pub struct RecordEnd {
    /// The status of the task from now on, which must be a terminal one.
    pub status: TaskStatus,
    /// When the task ended, in ticks of the registry's clock.
    pub ticks: u64,
    /// The message of the task's panic, which is kept whole.
    pub error: Option<Arc<str>>,
    /// What has cancelled the task, if something has.
    pub cancelled_by: Option<CancelCause>,
}

impl RecordEnd {
    /// Creates what a record says of a task that has ended with this status at this time, in ticks, without an error.
    #[must_use]
    pub const fn new(status: TaskStatus, ticks: u64) -> Self {
        Self { status, ticks, error: None, cancelled_by: None }
    }
}

/// What is known of a task that has just ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedTask {
    /// What sort of work it was.
    pub kind: TaskKind,
    /// The time from spawn to first run, in ticks; zero if it never ran.
    pub queue_ticks: u64,
    /// How long it was running over all its polls, in ticks.
    pub busy_ticks: u64,
    /// How often it was polled.
    pub polls: u32,
}
