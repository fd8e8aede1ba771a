//! Tasks that belong together.

mod core;
mod members;
mod spawn;
mod task_group;

pub use task_group::{GroupCounts, TaskGroup};
