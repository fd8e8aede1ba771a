//! What keeps the executor's shared part alive for tasks that outlive its handles.
//!
//! A task's cell points to the shared part without owning it: a reference count that every spawn and every free changed, on all
//! processors, would take 50 to 100 ns, which is as much as the rest of a task. Instead all cells together own one reference, and
//! this count finds out when the last cell is gone. (Never freeing the shared part would leak it for each executor, of which tests
//! start many. Cells that forget the executor at shutdown would have to be visited then, in a race with their last wakers.)
//!
//! 1. `balance` starts at [`BIAS`], a number that no count of cells comes near.
//! 2. A thread that holds a core counts the cells that it frees in the core. When the core closes, its count is subtracted from
//!    `balance`.
//! 3. Any other thread subtracts one from `balance` for each cell that it frees.
//! 4. When all cores have closed and the lifecycle is closed, no cell can be created any more, and the registry knows how many
//!    were. Then, once, that number is added and [`BIAS`] subtracted: from now on `balance` is the number of cells alive.
//! 5. The thread that brings it to zero, by rule 3 or 4, gives the reference up. Before rule 4 the balance cannot be zero, and
//!    after it no core is left that counts separately, so this happens exactly once.

use moirai_core::shim::sync::atomic::{AtomicIsize, Ordering};

#[cfg(all(test, moirai_loom))]
mod loom;

const BIAS: isize = isize::MAX / 2;

/// The number of cells that are alive; see the [module](self).
#[derive(Debug)]
pub(crate) struct CellCount {
    balance: AtomicIsize,
}

/// Whether the caller must give up the cells' reference to the shared part.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

impl CellCount {
    pub(crate) fn new() -> Self {
        Self { balance: AtomicIsize::new(BIAS) }
    }

    /// Counts a cell that was freed by a thread without a core (rule 3).
    pub(crate) fn freed(&self) -> Last {
        self.add(-1)
    }

    /// Counts the cells that were freed by a core that closes (rule 2). It is never the last, because all cores close before rule
    /// 4.
    pub(crate) fn merge(&self, freed_by_core: u64) {
        let last = self.add(-(freed_by_core as isize));
        debug_assert_eq!(last, Last::No, "a core closed after the count did");
    }

    /// Counts all cells that were ever made, after the last core has closed (rule 4).
    pub(crate) fn close(&self, made: u64) -> Last {
        self.add(made as isize - BIAS)
    }

    fn add(&self, change: isize) -> Last {
        // Ordering: AcqRel, as for a reference count: the Release of each call pairs with the Acquire of the call that reaches
        // zero, so everything that was done with the shared part for a cell happens before the reference is given up.
        let before = self.balance.fetch_add(change, Ordering::AcqRel);
        if before + change == 0 { Last::Yes } else { Last::No }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_all_cells_is_noticed_once_wherever_it_is_freed() {
        let cell_count = CellCount::new();
        assert_eq!(cell_count.freed(), Last::No);
        cell_count.merge(3);
        assert_eq!(cell_count.close(6), Last::No);
        assert_eq!(cell_count.freed(), Last::No);
        assert_eq!(cell_count.freed(), Last::Yes);
    }

    #[test]
    fn an_executor_without_cells_gives_up_its_reference_at_once() {
        let cell_count = CellCount::new();
        cell_count.merge(0);
        assert_eq!(cell_count.close(0), Last::Yes);
    }
}
