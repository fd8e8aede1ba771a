//! What a task may ask and tell of itself.
//!
//! ```
//! use moirai::prelude::*;
//! use moirai::task;
//!
//! let executor = Moirai::new()?;
//! let pages = executor.task().name("print").tag("order", 4711).spawn_parallel(|| {
//!     for page in 0..3 {
//!         task::set_note(&format!("page {page}"));
//!         // Here the page is printed.
//!         task::set_progress(page + 1, 3);
//!     }
//!     task::id()
//! });
//! let id = pages.join().unwrap().expect("it was inside of a task");
//! let stats = executor.task_stats(id).unwrap();
//! assert_eq!(stats.progress.unwrap().to_string(), "3/3");
//! assert_eq!(stats.note.as_deref(), Some("page 2"));
//! # Ok::<(), BuildError>(())
//! ```

use moirai_core::TaskStats;
#[doc(inline)]
pub use moirai_executor::{current_task_id as id, set_note, set_progress};

use std::sync::Arc;

use crate::Moirai;

/// Returns the record of the task that runs the calling thread; `None` outside of tasks.
#[must_use]
pub fn current() -> Option<TaskStats> {
    Moirai::current()?.task_stats(id()?)
}

/// Returns the name of the task that runs the calling thread; `None` if it has none, and outside of tasks.
#[must_use]
pub fn name() -> Option<Arc<str>> {
    current()?.name
}
