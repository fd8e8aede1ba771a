//! Tasks that belong together.

mod core;
mod deprecated;
mod members;
mod spawn;
mod task_group;

pub use spawn::InGroup;
pub use task_group::{GroupCounts, TaskGroup};
