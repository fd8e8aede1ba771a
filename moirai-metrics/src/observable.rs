//! What an executor lets others see, for code that does not know its type.

use std::ops::ControlFlow;
use std::sync::Arc;

use moirai_core::{Flight, Lookup, RuntimeStats, Stall, TaskId, TaskStats};

use crate::snapshot::MetricsSnapshot;

/// An executor that can be observed: `moirai::Moirai` and `moirai::WeakMoirai`.
pub trait Observable {
    /// Returns an observer that keeps neither the executor running nor its records in memory.
    fn observer(&self) -> Arc<dyn Observer>;
}

/// Looks at an executor. The methods that return an `Option` return `None` once the executor is gone.
pub trait Observer: Send + Sync {
    /// Whether the executor is there, and has not stopped.
    fn is_running(&self) -> bool;

    /// What the executor is doing now.
    fn runtime_stats(&self) -> Option<RuntimeStats>;

    /// What it has recorded.
    fn metrics(&self) -> Option<MetricsSnapshot>;

    /// The polls that exceed their budget now.
    fn stalled(&self) -> Option<Vec<Stall>>;

    /// What is known of an id.
    fn lookup(&self, id: TaskId) -> Option<Lookup>;

    /// What its threads did lately, as far as its flight recorder knows.
    fn flight(&self) -> Option<Flight>;

    /// Calls `each` with a copy of each record, active and retained, until it breaks. The copies are not held all at once.
    fn each_task(&self, each: &mut dyn FnMut(TaskStats) -> ControlFlow<()>) -> Option<()>;

    /// Asks a task to stop. Returns `false` if the id belongs to no active task.
    fn cancel_task(&self, id: TaskId) -> bool;
}
