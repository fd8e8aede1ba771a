//! Waiting for tasks, by handle and by id.

mod abort_on_drop;
mod task_handle;
mod wait_for_task;

pub use abort_on_drop::AbortOnDropHandle;
pub use task_handle::{AbortHandle, TaskHandle};
pub(crate) use wait_for_task::WaitForTask;
