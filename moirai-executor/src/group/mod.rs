//! Groups of tasks.

mod deprecated;
mod members;
mod spawn;
mod state;
mod task_group;

pub use spawn::InGroup;
pub use task_group::{GroupCounts, TaskGroup};
