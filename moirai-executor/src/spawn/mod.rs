//! Spawning tasks.

mod builder;
mod cancel_on;
mod current;
pub(crate) mod destination;
pub(crate) mod options;
pub(crate) mod start;

pub use builder::TaskBuilder;
pub use current::{spawn_async, spawn_parallel};
pub use destination::{Destination, Standalone};
