//! Who keeps the executor's shared part alive for tasks that outlive it.
//!
//! A cell points to the shared part without owning it: a reference count touched by every spawn and every free, on all cores,
//! would cost more than the rest of a task. Instead all cells together own one reference, and this count knows when the last
//! cell is gone.
//!
//! 1. `balance` starts at [`BIAS`], a number that no count of cells comes near.
//! 2. A thread that has a seat counts the cells it frees in the seat. When the seat closes, its count is taken off `balance`.
//! 3. Any other thread takes one off `balance` for each cell it frees.
//! 4. When all seats have closed and the door is shut, no cell can be made any more, and the registry knows how many were.
//!    Then, once, that number is added and [`BIAS`] taken off: from now on `balance` is the number of cells alive.
//! 5. Whoever brings it to zero, by 3 or 4, gives up the reference. Before 4 it cannot be zero, and after it no seat is left
//!    to count apart, so that happens exactly once.

use moirai_core::shim::sync::atomic::{AtomicIsize, Ordering};

#[cfg(all(test, moirai_loom))]
mod loom;

const BIAS: isize = isize::MAX / 2;

/// How many cells are alive; see the [module](self).
#[derive(Debug)]
pub(crate) struct LiveCells {
    balance: AtomicIsize,
}

/// Whether the cells' reference to the shared part is to be given up now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

impl LiveCells {
    pub(crate) fn new() -> Self {
        Self { balance: AtomicIsize::new(BIAS) }
    }

    /// Rule 3.
    pub(crate) fn freed(&self) -> Last {
        self.add(-1)
    }

    /// Rule 2. Never the last: the seats close before rule 4.
    pub(crate) fn merge(&self, freed_in_seat: u64) {
        let last = self.add(-(freed_in_seat as isize));
        debug_assert_eq!(last, Last::No, "a seat closed after the count was settled");
    }

    /// Rule 4.
    pub(crate) fn settle(&self, made: u64) -> Last {
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
        let live = LiveCells::new();
        assert_eq!(live.freed(), Last::No);
        live.merge(3);
        assert_eq!(live.settle(6), Last::No);
        assert_eq!(live.freed(), Last::No);
        assert_eq!(live.freed(), Last::Yes);
    }

    #[test]
    fn an_executor_without_cells_settles_at_once() {
        let live = LiveCells::new();
        live.merge(0);
        assert_eq!(live.settle(0), Last::Yes);
    }
}
