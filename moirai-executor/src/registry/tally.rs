//! The tally: how many completions were told, and how many records were evicted, of all logs together.

use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

/// Two counts; see rules 9 and 10 of the [parent module](super).
///
/// Every access is SeqCst: the argument of rule 9 speaks of one order of all of them. There are two read-modify-writes for a batch
/// of completions, which cost the same with any ordering where it matters.
#[derive(Debug)]
pub(super) struct Tally {
    told: AtomicU64,
    evicted: AtomicU64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { told: AtomicU64::new(0), evicted: AtomicU64::new(0) }
    }

    /// Adds completions that are told, and returns how many there are with them.
    pub(super) fn tell(&self, count: u64) -> u64 {
        // Ordering: SeqCst pairs with the load in `told`: a thread that sees the number sees the completions in their log. Otherwise
        // as the type says.
        self.told.fetch_add(count, Ordering::SeqCst) + count
    }

    /// Returns how many completions were told.
    pub(super) fn told(&self) -> u64 {
        // Ordering: SeqCst pairs with `tell`.
        self.told.load(Ordering::SeqCst)
    }

    /// Adds records that were evicted.
    pub(super) fn evicted(&self, count: u64) {
        // Ordering: SeqCst pairs with the load in `kept`: a thread that finds room sees the eviction that made it counted. Otherwise
        // as the type says.
        self.evicted.fetch_add(count, Ordering::SeqCst);
    }

    /// Returns a number that is not less than that of the told completions that were not evicted at some moment during the call.
    pub(super) fn kept(&self) -> u64 {
        // Ordering: SeqCst pairs with `evicted`. The evictions come first: what is told in between makes the result greater.
        let evicted = self.evicted.load(Ordering::SeqCst);
        self.told().saturating_sub(evicted)
    }
}
