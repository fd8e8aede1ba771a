//! Tasks that keep their thread.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::{TaskId, TaskKind};

/// A task whose poll goes on for longer than its budget, and so keeps its thread from other tasks.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stall {
    /// The task.
    pub id: TaskId,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// What kind of task it is.
    pub kind: TaskKind,
    /// Where it was spawned.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::stats::serialize_location"))]
    pub location: &'static Location<'static>,
    /// The worker that polls it; `None` if it is a thread that helps out while the workers are stuck.
    pub worker: Option<usize>,
    /// How long the poll has been going on, or how long it took if it is over; to within some ten milliseconds.
    pub age: Duration,
    /// Whether the thread was on a processor lately: true for an endless loop, false for a call that blocks. `None` where the
    /// system does not tell.
    pub computes: Option<bool>,
}

impl Stall {
    /// A stall.
    #[must_use]
    pub const fn new(
        id: TaskId,
        kind: TaskKind,
        location: &'static Location<'static>,
        worker: Option<usize>,
    ) -> Self {
        Self { id, name: None, kind, location, worker, age: Duration::ZERO, computes: None }
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
            None => f.write_str("a thread that helps out")?,
        }
        write!(f, " for {:.1?}", self.age)?;
        match self.computes {
            Some(true) => f.write_str(", computing"),
            Some(false) => f.write_str(", blocked"),
            None => Ok(()),
        }
    }
}
