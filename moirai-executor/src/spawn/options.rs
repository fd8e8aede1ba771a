//! What is said of a task when it is spawned.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use moirai_core::{Clock, Priority, TaskKind};

use super::cancel_on::CancelOptions;
use crate::registry::Hints;

/// What is said of a task when it is spawned.
#[derive(Clone, Debug)]
pub(crate) struct SpawnOptions {
    pub(crate) kind: TaskKind,
    pub(crate) priority: Priority,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// What few tasks have, and so boxed.
    pub(crate) rare: Option<Box<RareOptions>>,
    /// What the scheduler is told of the task, with its deadline counted from the spawn. Computed from `rare` by the spawn itself.
    pub(crate) hints: Option<Box<Hints>>,
}

/// What few tasks have: something that cancels them, and hints for the scheduler.
#[derive(Clone, Debug, Default)]
pub(crate) struct RareOptions {
    pub(crate) cancel: CancelOptions,
    /// By when the task should have run, counted from the spawn.
    pub(crate) deadline: Option<Duration>,
    pub(crate) affinity: Option<u64>,
    pub(crate) expected_duration: Option<Duration>,
}

impl SpawnOptions {
    /// A task of this kind, spawned by the caller of the caller.
    #[track_caller]
    pub(crate) const fn new(kind: TaskKind) -> Self {
        let location = Location::caller();
        Self::at(kind, location)
    }

    /// A task of this kind, spawned at this place.
    pub(crate) const fn at(kind: TaskKind, location: &'static Location<'static>) -> Self {
        Self { kind, priority: Priority::Normal, name: None, location, rare: None, hints: None }
    }
}

impl RareOptions {
    /// What the scheduler is told of a task that is spawned now. Without a deadline, the timeout counts as one.
    pub(crate) fn hints(&self, clock: &Clock) -> Option<Hints> {
        let within = self.deadline.or(self.cancel.timeout);
        if within.is_none() && self.affinity.is_none() && self.expected_duration.is_none() {
            return None;
        }
        Some(Hints {
            deadline: within.map(|within| clock.ticks().saturating_add(clock.rough_ticks(within))),
            affinity: self.affinity,
            expected_duration: self.expected_duration,
        })
    }
}
