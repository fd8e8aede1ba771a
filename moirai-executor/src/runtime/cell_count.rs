//! Who keeps the executor's shared part alive for tasks that outlive it.
//!
//! A cell points to the shared part without owning it: a reference count touched by every spawn and every free, on all cores,
//! would cost more than the rest of a task. Instead all cells together own one reference, and this count knows when the last
//! cell is gone.
//!
//! 1. `balance` starts at [`BIAS`], a number that no count of cells comes near.
//! 2. A thread that has a core counts the cells it frees in the core. When the core closes, its count is taken off `balance`.
//! 3. Any other thread takes one off `balance` for each cell it frees.
//! 4. When all cores have closed and the lifecycle is shut, no cell can be made any more, and the registry knows how many were.
//!    Then, once, that number is added and [`BIAS`] taken off: from now on `balance` is the number of cells alive.
//! 5. Whoever brings it to zero, by 3 or 4, gives up the reference. Before 4 it cannot be zero, and after it no core is left
//!    to count apart, so that happens exactly once.

use moirai_core::shim::sync::atomic::{AtomicIsize, Ordering};

#[cfg(all(test, moirai_loom))]
mod loom;

const BIAS: isize = isize::MAX / 2;

/// How many cells are alive; see the [module](self).
#[derive(Debug)]
pub(crate) struct CellCount {
    balance: AtomicIsize,
}

/// Whether the cells' reference to the shared part is to be given up now.
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

    /// Rule 3.
    pub(crate) fn freed(&self) -> Last {
        self.add(-1)
    }

    /// Rule 2. Never the last: the cores close before rule 4.
    pub(crate) fn merge(&self, freed_by_core: u64) {
        let last = self.add(-(freed_by_core as isize));
        debug_assert_eq!(last, Last::No, "a core closed after the count was settled");
    }

    /// Rule 4.
    pub(crate) fn close(&self, made: u64) -> Last {
        self.add(made as isize - BIAS)
    }

    fn add(&self, change: isize) -> Last {
        // Ordering: Release and Acquire, as for a reference count: whatever was done with the shared part on behalf of a
        // cell happens before it is given up.
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
    fn an_executor_without_cells_settles_at_once() {
        let cell_count = CellCount::new();
        cell_count.merge(0);
        assert_eq!(cell_count.close(0), Last::Yes);
    }
}
