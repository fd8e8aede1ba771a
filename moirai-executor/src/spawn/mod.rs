//! Spawning tasks.

mod cancel_on;
mod current;
pub(crate) mod destination;
mod large;
pub(crate) mod options;
pub(crate) mod start;
mod task_builder;

pub use current::{spawn_async, spawn_parallel};
pub use destination::{Destination, Standalone};
pub use large::Size;
pub use task_builder::TaskBuilder;
