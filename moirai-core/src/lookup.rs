//! The result of looking an id up.

use crate::TaskStats;

/// What an executor knows of an id.
///
/// ```
/// use moirai_core::{Lookup, TaskStatus};
///
/// fn describe(lookup: &Lookup) -> String {
///     match lookup {
///         Lookup::Found(task) => format!("{} since {}", task.status, task.spawned_at),
///         Lookup::Evicted => "ended, and its record is not kept any more".to_owned(),
///         Lookup::Unknown => "no such task".to_owned(),
///     }
/// }
/// assert_eq!(describe(&Lookup::Unknown), "no such task");
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
// The record is what most callers ask for, and they take it out at once.
#[allow(clippy::large_enum_variant)]
pub enum Lookup {
    /// The task is active, or its record is retained: this is a copy of it.
    Found(TaskStats),
    /// A task had this id, and has ended, and its record was evicted.
    Evicted,
    /// The executor gave this id to no task, or not yet.
    Unknown,
}

impl Lookup {
    /// Returns the copy of the record, if there is one.
    #[must_use]
    pub fn found(self) -> Option<TaskStats> {
        match self {
            Self::Found(stats) => Some(stats),
            Self::Evicted | Self::Unknown => None,
        }
    }

    /// Returns `true` if a task had this id, and its record was evicted.
    #[must_use]
    pub const fn is_evicted(&self) -> bool {
        matches!(self, Self::Evicted)
    }

    /// Returns `true` if no task had this id.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}
