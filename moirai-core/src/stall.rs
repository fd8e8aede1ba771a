//! Stalls: polls that keep a thread for longer than their budget.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::{Incident, TaskId, TaskKind};

/// A task whose poll has exceeded its budget, and so keeps its thread from other tasks.
///
/// The budgets are [`stall_budget`](crate::ExecutorConfig::stall_budget) and
/// [`parallel_stall_budget`](crate::ExecutorConfig::parallel_stall_budget).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stall {
    /// The task's id.
    pub id: TaskId,
    /// The task's name, if it has one.
    pub name: Option<Arc<str>>,
    /// What kind of task it is.
    pub kind: TaskKind,
    /// The place in the source at which the task was spawned.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::stats::serialize_location"))]
    pub location: &'static Location<'static>,
    /// The index of the worker that polls the task; `None` if it is a compensation thread.
    pub worker: Option<usize>,
    /// How long the poll has been going on, or, if it is over, how long it took; exact to about ten milliseconds.
    pub age: Duration,
    /// Whether the thread has been on a processor lately: `true` suggests an endless loop, `false` a call that blocks. `None` if
    /// the system does not tell.
    pub computes: Option<bool>,
    /// What the executor's threads did before, if the flight recorder is on and has not recorded another stall just before; see
    /// [`incident_window`](crate::FlightRecorderConfig::incident_window).
    #[cfg_attr(feature = "serde", serde(skip))]
    pub incident: Option<Arc<Incident>>,
}

impl Stall {
    /// Creates a stall without a name, of age zero, of which it is not known whether the thread computes.
    #[must_use]
    pub const fn new(
        id: TaskId,
        kind: TaskKind,
        location: &'static Location<'static>,
        worker: Option<usize>,
    ) -> Self {
        Self {
            id,
            name: None,
            kind,
            location,
            worker,
            age: Duration::ZERO,
            computes: None,
            incident: None,
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, " ({}), spawned at {}, has kept ", self.kind, self.location)?;
        match self.worker {
            Some(worker) => write!(f, "worker {worker}")?,
            None => f.write_str("a compensation thread")?,
        }
        write!(f, " for {:.1?}", self.age)?;
        match self.computes {
            Some(true) => f.write_str(", computing"),
            Some(false) => f.write_str(", blocked"),
            None => Ok(()),
        }
    }
}
