//! The task that the calling thread runs: what it is, and what it tells of itself.
//!
//! The functions of this module are about the innermost task that the calling thread is inside of: whose future it polls, whose
//! closure it calls, or for which it runs closures of a `join` or a `scope`, also on other threads than the task's own. They return
//! `None` on threads that are inside of no task, and so in `block_on` on such a thread.
//!
//! ```
//! use moirai::prelude::*;
//! use moirai::task;
//!
//! let executor = Moirai::new()?;
//! let handle = executor.task().name("report").spawn_async(async {
//!     (task::id(), task::name())
//! });
//! let id = handle.id();
//! let (own_id, own_name) = handle.join().unwrap();
//! assert_eq!(own_id, Some(id));
//! assert_eq!(own_name.as_deref(), Some("report"));
//! assert_eq!(task::id(), None);
//! # Ok::<(), BuildError>(())
//! ```
//!
//! A task can tell how far it has come. Its record shows that, while it runs and later:
//!
//! ```
//! use moirai::prelude::*;
//! use moirai::task;
//!
//! let executor = Moirai::new()?;
//! let printing = executor.task().name("print").tag("order", 4711).spawn_parallel(|| {
//!     for page in 0..3 {
//!         task::set_note(&format!("page {page}"));
//!         // Here the page is printed.
//!         task::set_progress(page + 1, 3);
//!     }
//! });
//! let id = printing.id();
//! printing.join().unwrap();
//! let stats = executor.task_stats(id).unwrap();
//! assert_eq!(stats.progress.unwrap().to_string(), "3/3");
//! assert_eq!(stats.note.as_deref(), Some("page 2"));
//! # Ok::<(), BuildError>(())
//! ```

use std::sync::Arc;

use moirai_core::{Progress, TaskId, TaskStats};

use crate::registry::TaskDetails;
use crate::runtime::context::Context;

/// Returns the id of the task that the calling thread runs.
#[must_use]
pub fn id() -> Option<TaskId> {
    Context::with_task(|_, id| id)
}

/// Returns the name of the task that the calling thread runs, if it was given one. It is read from the task's record, so it is cut
/// as the record's is.
#[must_use]
pub fn name() -> Option<Arc<str>> {
    current()?.name
}

/// Returns the record of the task that the calling thread runs, as it is now. The time of the present poll is not in
/// [`busy`](TaskStats::busy) yet.
#[must_use]
pub fn current() -> Option<TaskStats> {
    Context::with_task(|context, id| context.shared().registry.stats(id)).flatten()
}

/// Notes in the task's record how much of its work is done, and how much there is; `total` is zero if that is not known.
///
/// It costs some fifty nanoseconds. Outside of tasks it has no effect. In fork-join work that another thread has taken over, it has no
/// effect on a task without tags, a parent, or any progress or note before.
pub fn set_progress(done: u64, total: u64) {
    if let Some(details) = details() {
        details.set_progress(Progress { done, total });
    }
}

/// Notes in the task's record what it is about, in words. At most [`MAX_NAME_BYTES`](moirai_core::text::MAX_NAME_BYTES) bytes are kept. It
/// has an effect where [`set_progress`] has.
pub fn set_note(note: &str) {
    if let Some(details) = details() {
        details.set_note(note);
    }
}

/// Returns the details of the task, which it is given if this thread runs it.
fn details() -> Option<Arc<TaskDetails>> {
    Context::with_task(|context, id| {
        let registry = &context.shared().registry;
        if context.runs(id) {
            // SAFETY: this thread runs the task.
            unsafe { registry.details_of_own(id) }
        } else {
            registry.details(id)
        }
    })
    .flatten()
}
