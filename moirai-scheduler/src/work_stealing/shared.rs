//! The part of a [`WorkStealing`](super::WorkStealing) scheduler that all threads share.

use std::sync::OnceLock;

use crossbeam_utils::CachePadded;

use super::bands::Bands;
use super::in_flight::{Settled, StealsInFlight};
use super::slot::SlotThief;
use crate::queue::{Injector, Stealer};

/// The queues that all threads share.
pub(super) struct SharedQueues<T> {
    /// Normal tasks from threads that are not workers.
    pub(super) injector: Injector<T>,
    pub(super) bands: Bands<T>,
    /// Written once, by `start`.
    pub(super) remotes: OnceLock<Box<[CachePadded<Remote<T>>]>>,
}

/// The part of one worker that all threads can reach.
pub(super) struct Remote<T> {
    pub(super) stealer: Stealer<T>,
    pub(super) slot: SlotThief<T>,
    pub(super) steals: StealsInFlight,
}

impl<T> SharedQueues<T> {
    /// Returns the shared parts of all workers; empty before the start.
    pub(super) fn remotes(&self) -> &[CachePadded<Remote<T>>] {
        self.remotes.get().map_or(&[], |remotes| remotes)
    }

    /// Calls `find` until it finds something, or until no batch was in flight during a call that returned none (`in_flight.rs`,
    /// rule 3).
    pub(super) fn find_until_settled<R>(&self, mut find: impl FnMut() -> Option<R>) -> Option<R> {
        let mut rounds = 0;
        loop {
            let before = self.steals_before();
            let found = find();
            if found.is_some() || before.is_some_and(|before| self.steals_still(before)) {
                return found;
            }
            // A batch lands within nanoseconds, unless the thread that moves it was preempted.
            rounds += 1;
            if rounds < 32 {
                moirai_core::shim::hint::spin_loop();
            } else {
                moirai_core::shim::thread::yield_now();
            }
        }
    }

    fn steals_before(&self) -> Option<Settled> {
        StealsInFlight::before(self.remotes().iter().map(|remote| &remote.steals))
    }

    fn steals_still(&self, before: Settled) -> bool {
        StealsInFlight::still(self.remotes().iter().map(|remote| &remote.steals), before)
    }
}
