//! Spawning tasks.

mod cancel_on;
pub(crate) mod check;
pub(crate) mod destination;
mod large;
pub(crate) mod launch;
pub(crate) mod options;
mod refuse;
pub(crate) mod start;
mod task_builder;

pub use destination::{Destination, FailsOnErr, Regroup, Standalone};
pub use large::Size;
pub use task_builder::TaskBuilder;
