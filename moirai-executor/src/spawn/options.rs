//! The options of a spawn.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::{Clock, Hints, Priority, Tags, TaskKind};

use super::cancel_on::CancelOptions;
use crate::registry::{ClassId, TaskDetails, TaskHints};
use crate::runtime::shared::Waited;

/// The options of a spawn.
#[derive(Clone, Debug)]
pub(crate) struct SpawnOptions {
    pub(crate) kind: TaskKind,
    pub(crate) priority: Priority,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// Options that few tasks have, boxed for that reason.
    pub(crate) rare: Option<Box<RareOptions>>,
    /// The hints for the scheduler, with the deadline counted from the spawn. The spawn itself computes them from `rare`.
    pub(crate) hints: Option<Box<TaskHints>>,
    /// The worker that must run the task. The spawn itself takes it from `rare`.
    pub(crate) worker: Option<OnWorker>,
    /// What else the record is to say. The spawn itself makes it from `rare`.
    pub(crate) details: Option<Arc<TaskDetails>>,
    /// The class by whose limits the record is kept.
    pub(crate) class: ClassId,
}

/// The worker that must run a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnWorker {
    pub(crate) worker: usize,
    pub(crate) waited: Waited,
}

/// Options that few tasks have: what cancels them, and hints for the scheduler.
#[derive(Clone, Debug, Default)]
pub(crate) struct RareOptions {
    pub(crate) cancel: CancelOptions,
    /// The time within which the task should run, counted from the spawn.
    pub(crate) deadline: Option<Duration>,
    pub(crate) affinity: Option<u64>,
    /// The worker that must run the task, which is a closure.
    pub(crate) worker: Option<OnWorker>,
    pub(crate) expected_duration: Option<Duration>,
    /// Keys and values, not more than a task may have.
    pub(crate) tags: Vec<(Cow<'static, str>, String)>,
}

impl SpawnOptions {
    /// Returns the options of a task of this kind, spawned where the caller's caller is.
    #[track_caller]
    #[inline(always)]
    pub(crate) const fn new(kind: TaskKind) -> Self {
        let location = Location::caller();
        Self::at(kind, location)
    }

    /// Returns the options of a task of this kind, spawned at this location.
    #[inline(always)]
    pub(crate) const fn at(kind: TaskKind, location: &'static Location<'static>) -> Self {
        Self {
            kind,
            priority: Priority::Normal,
            name: None,
            location,
            rare: None,
            hints: None,
            worker: None,
            details: None,
            class: ClassId::DEFAULT,
        }
    }
}

impl SpawnOptions {
    /// Returns whether these say nothing but what every task has: kind, priority and location. A blocking task is never plain.
    #[inline(always)]
    pub(crate) const fn are_plain(&self) -> bool {
        !matches!(self.kind, TaskKind::Blocking)
            && self.name.is_none()
            && self.rare.is_none()
            && self.class.is_default()
    }
}

impl RareOptions {
    /// Returns which hints for the scheduler were set.
    pub(crate) fn kinds_of_hints(&self) -> Hints {
        let mut kinds = Hints::none();
        kinds.deadlines = self.deadline.is_some();
        kinds.affinities = self.affinity.is_some();
        kinds.expected_durations = self.expected_duration.is_some();
        kinds
    }

    /// Returns the parent and the tags, if there is one or the other.
    pub(crate) fn details(&self) -> Option<Arc<TaskDetails>> {
        let parent = self.cancel.parent;
        if parent.is_none() && self.tags.is_empty() {
            return None;
        }
        let tags = Tags::new(self.tags.iter().map(|(key, value)| (&**key, &**value)));
        Some(Arc::new(TaskDetails::new(parent, tags)))
    }

    /// Returns those hints of a task that is spawned now which the scheduler reads. Without a deadline, the timeout is the deadline.
    pub(crate) fn hints(&self, clock: &Clock, read: Hints) -> Option<TaskHints> {
        let deadline = self.deadline.or(self.cancel.timeout).filter(|_| read.deadlines);
        let affinity = self.affinity.filter(|_| read.affinities);
        let expected_duration = self.expected_duration.filter(|_| read.expected_durations);
        if deadline.is_none() && affinity.is_none() && expected_duration.is_none() {
            return None;
        }
        let deadline =
            deadline.map(|within| clock.ticks().saturating_add(clock.rough_ticks(within)));
        Some(TaskHints { deadline, affinity, expected_duration })
    }
}
