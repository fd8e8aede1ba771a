//! Waiting for tasks, by handle and by id.

mod task_handle;
mod wait_for_task;

pub use task_handle::{AbortHandle, TaskHandle};
pub(crate) use wait_for_task::WaitForTask;
