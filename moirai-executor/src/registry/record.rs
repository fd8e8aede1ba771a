//! What is written down of a task, and what is read of it.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{Priority, TaskKind, TaskStatus};

/// What is written down of a task when it is spawned.
#[derive(Debug)]
pub struct NewRecord {
    /// What sort of work it is.
    pub kind: TaskKind,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// Its name, cut to the limit.
    pub name: Option<Arc<str>>,
    /// What was said of it for its scheduler.
    pub hints: Option<Box<Hints>>,
    /// What it is reached by while it is active. Aligned to at least two.
    pub task: NonNull<()>,
}

/// What was said of a task for its scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// By when it should have run, in ticks of the clock.
    pub deadline: Option<u64>,
    /// Tasks with the same number belong together.
    pub affinity: Option<u64>,
    /// How long it is expected to compute.
    pub expected_duration: Option<Duration>,
}

/// What is written down of a task when it ends.
#[derive(Debug)]
pub struct RecordEnd {
    /// The terminal status.
    pub status: TaskStatus,
    /// When it ended.
    pub ticks: u64,
    /// What its panic said.
    pub error: Option<Arc<str>>,
}

/// What is known of a task that has just ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedTask {
    /// What sort of work it was.
    pub kind: TaskKind,
    /// From spawn to first run, in ticks; zero if it never ran.
    pub queue_ticks: u64,
    /// How long it was running, in ticks.
    pub busy_ticks: u64,
    /// How often it was polled.
    pub polls: u32,
}
