//! What a task may ask and tell of itself.

use std::sync::Arc;

use moirai_core::{Progress, TaskId};

use crate::registry::TaskDetails;
use crate::runtime::context::Context;

/// Returns the id of the task that runs the calling thread; `None` outside of tasks. In fork-join work it is the task that has called
/// `join` or `scope`, on whatever thread the work runs.
#[must_use]
pub fn current_task_id() -> Option<TaskId> {
    Context::with(|context| context?.current_task())
}

/// Notes in the record of the task that runs the calling thread how much of its work is done, and how much there is; `total` is zero if
/// that is not known.
///
/// It costs some fifty nanoseconds. Outside of tasks it has no effect. In fork-join work that another thread has taken over, it has no
/// effect on a task without tags, a parent or any progress before.
pub fn set_progress(done: u64, total: u64) {
    if let Some(details) = current_details() {
        details.set_progress(Progress { done, total });
    }
}

/// Notes in the record of the task that runs the calling thread what it is about, in words. At most
/// [`MAX_NAME_BYTES`](moirai_core::text::MAX_NAME_BYTES) bytes are kept. It has an effect where [`set_progress`] has.
pub fn set_note(note: &str) {
    if let Some(details) = current_details() {
        details.set_note(note);
    }
}

/// Returns the details of the current task, which it is given if this thread runs it.
fn current_details() -> Option<Arc<TaskDetails>> {
    Context::with(|context| {
        let context = context?;
        let id = context.current_task()?;
        let registry = &context.shared().registry;
        if context.runs(id) {
            // SAFETY: this thread runs the task.
            unsafe { registry.details_of_own(id) }
        } else {
            registry.details(id)
        }
    })
}
