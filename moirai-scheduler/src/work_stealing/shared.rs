//! What all threads share of a [`WorkStealing`](super::WorkStealing) scheduler.

use std::sync::OnceLock;

use crossbeam_utils::CachePadded;

use super::bands::Bands;
use super::in_flight::{Moves, Settled};
use super::slot::SlotThief;
use crate::queue::{Injector, Stealer};

/// What all threads share.
pub(super) struct Shared<T> {
    /// Normal tasks from threads that are no workers.
    pub(super) injector: Injector<T>,
    pub(super) bands: Bands<T>,
    /// Written once, by `start`.
    pub(super) seats: OnceLock<Box<[CachePadded<Seat<T>>]>>,
}

/// What the others see of a worker.
pub(super) struct Seat<T> {
    pub(super) stealer: Stealer<T>,
    pub(super) slot: SlotThief<T>,
    pub(super) moves: Moves,
}

impl<T> Shared<T> {
    /// The seats; none before the start.
    pub(super) fn seats(&self) -> &[CachePadded<Seat<T>>] {
        self.seats.get().map_or(&[], |seats| seats)
    }

    /// Looks for a task until there is one, or until no batch was in flight during the look (`in_flight.rs`, rule 3).
    pub(super) fn look_until_settled(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut rounds = 0;
        loop {
            let before = self.moves_before();
            let found = look();
            if found.is_some() || before.is_some_and(|before| self.moves_still(before)) {
                return found;
            }
            // A batch lands within nanoseconds, unless the thread that carries it was preempted.
            rounds += 1;
            if rounds < 32 {
                moirai_core::shim::hint::spin_loop();
            } else {
                moirai_core::shim::thread::yield_now();
            }
        }
    }

    fn moves_before(&self) -> Option<Settled> {
        Moves::before(self.seats().iter().map(|seat| &seat.moves))
    }

    fn moves_still(&self, before: Settled) -> bool {
        Moves::still(self.seats().iter().map(|seat| &seat.moves), before)
    }
}
