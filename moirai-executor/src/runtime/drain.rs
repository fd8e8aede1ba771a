//! The end of an executor's work: the last core, what became ready after it, and the last cell.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use moirai_core::Scheduler;

use crate::runtime::cell_count::Last;
use crate::runtime::context::Context;
use crate::runtime::shared::{Shared, WorkerCore};

/// A core has closed. The last one ends the executor's work.
pub(crate) fn core_closed(shared: &Shared, core: Box<WorkerCore>) {
    shared.cell_count.merge(core.freed);
    drop(core);
    // Ordering: Release and Acquire: what was done in all the cores happens before the end of the last.
    if shared.open_cores.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    shared.lifecycle.last_core_closed(|| drain(shared));
    // The lifecycle is shut, and was before the first core closed: no cell can be made any more.
    if shared.cell_count.close(shared.registry.totals().spawned) == Last::Yes {
        drop(release_cells_ref(shared));
    }
}

/// The reference that all cells together own; the caller has seen that there are none left.
pub(crate) fn release_cells_ref(shared: &Shared) -> Option<Arc<Shared>> {
    // Ordering: AcqRel: once only, and after everything that was done for cells.
    let cells = shared.cells_ref.swap(std::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: the pointer is from `Arc::into_raw`, and the swap makes sure that it is turned back once.
    (!cells.is_null()).then(|| unsafe { Arc::from_raw(cells) })
}

/// Ends all that is queued, when no worker is left. In a loop: what becomes ready by it is left to the loop that runs already.
pub(crate) fn drain(shared: &Shared) {
    thread_local! {
        static DRAINING: Cell<bool> = const { Cell::new(false) };
    }
    if DRAINING.replace(true) {
        return;
    }
    match shared.arc() {
        // They are run, which ends them in this phase: so their destructors find themselves inside a task.
        Some(shared) => {
            let context = Context::new(Arc::clone(&shared));
            context.enter(|| {
                while let Some(task) = shared.scheduler.take() {
                    context.run(task);
                }
            });
        }
        None => {
            while let Some(task) = shared.scheduler.take() {
                drop(task);
            }
        }
    }
    DRAINING.set(false);
}
