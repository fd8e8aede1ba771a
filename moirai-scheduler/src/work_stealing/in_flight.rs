//! Batches in in_flight.
//!
//! A worker that steals a batch takes tasks out of one queue and, a moment later, puts them into its own. In between
//! they are in neither. A second worker that looks through all queues just then finds nothing, goes to sleep, and the
//! tasks wait behind whatever the first worker runs: rule 4 of the scheduler's contract would be broken, and the sleep
//! protocol, which stands on it, with it. Waking somebody after each batch would mend it, at a price. Instead nobody
//! takes that moment for emptiness:
//!
//! # Protocol
//!
//! 1. Each remote has a number that only its owner changes: odd while a batch of the owner's is in in_flight, even
//!    otherwise. It only grows.
//! 2. The owner makes it odd, then a `SeqCst` fence, before it takes the batch; it makes it even, by a release store,
//!    when the batch has landed.
//! 3. A find through all queues reads all the numbers first, by acquire loads, and again at its end, after a `SeqCst`
//!    fence. It has found nothing only if it read the same even numbers twice, which it knows from their sum. Otherwise
//!    it looks again.
//! 4. Say that it missed a task because a batch took it away. Then it saw what the theft did to that queue, so the
//!    fence of rule 2 comes before that of rule 3, and the number at the end is the odd one at least. If the number at
//!    the beginning was smaller, it looks again. If it was the even one after, then the batch had landed when the find
//!    began, and the task was missed in the place where it had landed: then another batch took it from there, and the
//!    argument starts anew with that one.
//! 5. A worker opens a in_flight only for a queue that it saw hold something. So workers that find through empty queues do
//!    not disturb each other, and each find that has to be made again was disturbed by a batch, or by a race for one
//!    that somebody won: the system as a whole steals on. Whoever looks waits for no more than one batch of bounded size
//!    to land.
//!
//! The fences are `SeqCst` because then the argument needs nothing of the queue but that thieves and onlookers use one
//! atomic index. (crossbeam's owner resets that index by a relaxed store when it finds its queue empty, which would
//! break a chain of release and acquire.)

use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering, fence};

/// One remote's number.
pub(super) struct StealsInFlight(AtomicUsize);

/// A batch in in_flight. Dropping it says that the batch has landed.
pub(super) struct InFlight<'a> {
    steals: &'a StealsInFlight,
    /// The number after landing.
    landed: usize,
}

/// The even numbers of all remotes at one time, summed up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled(usize);

impl StealsInFlight {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Opens a in_flight. Only for the remote's owner, one at a time.
    pub(super) fn open(&self) -> InFlight<'_> {
        // Ordering: Relaxed, only the owner writes it.
        let now = self.0.load(Ordering::Relaxed);
        // Ordering: Relaxed, published by the fence.
        self.0.store(now.wrapping_add(1), Ordering::Relaxed);
        // Ordering: SeqCst pairs with the fence in `still`, through the queue that the batch is taken from: whoever
        // sees tasks gone sees the odd number (rule 4).
        fence(Ordering::SeqCst);
        InFlight { steals: self, landed: now.wrapping_add(2) }
    }

    /// The sum of the numbers before a find. `None` while a batch is in in_flight.
    pub(super) fn before<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Settled> {
        let mut sum = 0_usize;
        for steals in all {
            // Ordering: Acquire pairs with the Release store in `InFlight::drop`: the batch that landed is visible.
            let number = steals.0.load(Ordering::Acquire);
            if number % 2 == 1 {
                return None;
            }
            sum = sum.wrapping_add(number);
        }
        Some(Settled(sum))
    }

    /// Whether the numbers after a find are those before it.
    pub(super) fn still<'a>(all: impl Iterator<Item = &'a Self>, before: Settled) -> bool {
        // Ordering: SeqCst pairs with the fence in `open`.
        fence(Ordering::SeqCst);
        let sum = all.fold(0_usize, |sum, steals| {
            // Ordering: Relaxed, the fence above is what orders it.
            sum.wrapping_add(steals.0.load(Ordering::Relaxed))
        });
        // Each number only grows, so equal sums are equal numbers.
        before == Settled(sum)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire load in `before`: the batch has landed.
        self.steals.0.store(self.landed, Ordering::Release);
    }
}
