//! The end of an executor's work: its last core, tasks that became ready after that, and the last cell.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use moirai_core::Scheduler;

use crate::panics::{self, log};
use crate::runtime::cell_count::Last;
use crate::runtime::context::Context;
use crate::runtime::shared::{Shared, WorkerCore};
use crate::task::trim_memory;

/// Closes a core. The last one to close ends the executor's work.
pub(crate) fn core_closed(shared: &Shared, core: Box<WorkerCore>) {
    shared.cell_count.merge(core.freed);
    // The local queue may be that of a user's scheduler. The cores that are left must be counted all the same.
    if let Some(message) = panics::contain(|| drop(core)) {
        log!(error, panic = &*message, "the destructor of a scheduler's local queue panicked");
    }
    // Ordering: AcqRel: the Release of each close pairs with the Acquire of the last one, so what was done with all cores happens
    // before.
    if shared.open_cores.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    shared.lifecycle.last_core_closed(|| end_queued(shared));
    // The lifecycle was closed before the first core was, so no cell can be created any more.
    if shared.cell_count.close(shared.registry.totals().spawned) == Last::Yes {
        drop(release_cells_ref(shared));
    }
    // The executor's cleanup thread does not sweep any more.
    trim_memory();
}

/// Takes the reference that all cells together own. The caller has seen that no cell is left.
pub(crate) fn release_cells_ref(shared: &Shared) -> Option<Arc<Shared>> {
    // Ordering: Relaxed: only the caller that was told `Last::Yes` gets here. `CellCount` has ordered everything that was done for
    // cells before this, and `new` stored the pointer before it shared it.
    let cells = shared.cells_ref.swap(std::ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: the pointer comes from `Arc::into_raw`, and because of the swap it is turned back at most once.
    (!cells.is_null()).then(|| unsafe { Arc::from_raw(cells) })
}

/// Ends all queued tasks, when no worker is left. What becomes ready meanwhile on this thread is left to the loop that is running
/// already.
pub(crate) fn end_queued(shared: &Shared) {
    if Context::is_ending(shared) {
        return;
    }
    // A queued task has a cell, and the cells keep the executor alive; so if it is gone, nothing is queued.
    let Some(shared) = shared.arc() else { return };
    // The tasks are run, which cancels them in this phase; so their destructors are inside of a task.
    let context = Context::for_ending(Arc::clone(&shared));
    context.enter(|| {
        let posted = || shared.mailboxes.take_any().map(|post| post.task);
        while let Some(task) = shared.scheduler.take().or_else(posted) {
            context.run(task);
        }
    });
}
