//! Starting tasks.

mod builder;
mod cancel_on;
mod current;
mod start;

pub use builder::TaskBuilder;
pub use current::{spawn_async, spawn_parallel};
pub(crate) use start::Description;
