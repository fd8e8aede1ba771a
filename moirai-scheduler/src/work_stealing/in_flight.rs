//! Batches in flight: stolen tasks that have left one queue and have not reached the other yet.
//!
//! A worker that steals a batch takes tasks out of one queue and, a moment later, puts them into its own. In between they are in
//! neither. Suppose that a second worker looks through all queues just then: it finds nothing and goes to sleep, and the tasks wait
//! behind whatever the first worker runs. Rule 4 of the scheduler's contract would be broken, and with it the sleep protocol, which
//! relies on that rule. Waking a worker after each batch would repair this, at a price. Instead, no thread mistakes that moment for
//! emptiness:
//!
//! # Protocol
//!
//! 1. Each worker has a number that only the worker itself changes: odd while a batch that it has stolen is in flight, even
//!    otherwise. The number only grows.
//! 2. The owner makes the number odd, and then makes a `SeqCst` fence, before it takes the batch. It makes the number even, by a
//!    release store, once the batch has landed in its queue.
//! 3. A search through all queues first reads all the numbers, by acquire loads, and reads them again at its end, after a `SeqCst`
//!    fence. It has found nothing only if it read the same even numbers both times, which it knows from their sum. Otherwise it
//!    searches again.
//! 4. Suppose that the search missed a task because a batch took it away. Then it saw what the theft did to that queue, so the
//!    fence of rule 2 comes before that of rule 3, and the number that it reads at the end is at least the odd one. If the number
//!    at the beginning was smaller, it searches again. If the number at the beginning was the even one after, then the batch had
//!    landed when the search began, and the task was missed in the queue where it had landed: so another batch took it from there,
//!    and the argument starts over with that batch.
//! 5. A worker marks a batch as in flight only for a queue that it has seen to contain something. So workers that search through
//!    empty queues do not disturb each other, and each search that has to be repeated was disturbed by a batch, or by a race for
//!    one that some other thread won: the system as a whole makes progress. A search waits for no more than one batch of bounded
//!    size to land.
//!
//! The fences are `SeqCst` because then the argument needs nothing of the queue but that thieves and searching threads use one
//! atomic index. (The owner of a crossbeam queue resets that index by a relaxed store when it finds the queue empty, which would
//! break a chain of release and acquire.)

use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering, fence};

/// The number of one worker (rule 1).
pub(super) struct StealsInFlight(AtomicUsize);

/// A batch in flight. Dropping this marks the batch as landed.
pub(super) struct InFlight<'a> {
    steals: &'a StealsInFlight,
    /// The number once the batch has landed.
    landed: usize,
}

/// The sum of the numbers of all workers at one time, all of them even.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled(usize);

impl StealsInFlight {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Marks a batch as in flight, until the result is dropped. Only the owner of the number may call this, and only for one batch
    /// at a time.
    pub(super) fn open(&self) -> InFlight<'_> {
        // Ordering: Relaxed, because only the owner writes it.
        let now = self.0.load(Ordering::Relaxed);
        // Ordering: Relaxed, because the fence publishes it.
        self.0.store(now.wrapping_add(1), Ordering::Relaxed);
        // Ordering: SeqCst pairs with the fence in `still`, through the queue that the batch is taken from: a thread that
        // sees tasks gone sees the odd number (rule 4).
        fence(Ordering::SeqCst);
        InFlight { steals: self, landed: now.wrapping_add(2) }
    }

    /// Returns the sum of the numbers at the beginning of a search, or `None` if a batch is in flight (rule 3).
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

    /// Returns `true` if the numbers at the end of a search are those at its beginning (rule 3).
    pub(super) fn still<'a>(all: impl Iterator<Item = &'a Self>, before: Settled) -> bool {
        // Ordering: SeqCst pairs with the fence in `open` (rule 4).
        fence(Ordering::SeqCst);
        let sum = all.fold(0_usize, |sum, steals| {
            // Ordering: Relaxed, because the fence above orders it.
            sum.wrapping_add(steals.0.load(Ordering::Relaxed))
        });
        // Each number only grows, so equal sums mean equal numbers.
        before == Settled(sum)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire load in `before`: the batch has landed.
        self.steals.0.store(self.landed, Ordering::Release);
    }
}
