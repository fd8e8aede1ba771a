//! The word of counts: how many workers sleep, how many search, and how many wake-ups are pending.
//!
//! Each contended change is one method here, whose result tells the caller what it has to do next.

use moirai_core::shim::sync::atomic::{AtomicU32, Ordering};

/// The number of bits of each count.
const BITS: u32 = 15;
const ONE_SLEEPING: u32 = 1;
const ONE_SEARCHING: u32 = 1 << BITS;
/// Set while exactly one wake-up is pending; the next higher bit while more than one is.
const PENDING_WAKE: u32 = 1 << (2 * BITS);
const PENDING_MASK: u32 = PENDING_WAKE | MORE_PENDING;
const MORE_PENDING: u32 = PENDING_WAKE << 1;
/// The largest value of a count.
pub(super) const MAX: usize = (1 << BITS) - 1;

/// How many workers sleep, how many search, and how many wake-ups are pending for them (`sleep`, rules 1, 3 and 5).
pub(super) struct SleepCounts(AtomicU32);

/// A snapshot of the counts.
#[derive(Clone, Copy)]
pub(super) struct CountsNow(u32);

impl CountsNow {
    #[inline]
    pub(super) const fn sleeping(self) -> usize {
        self.0 as usize & MAX
    }

    #[inline]
    pub(super) const fn searching(self) -> usize {
        (self.0 >> BITS) as usize & MAX
    }

    #[inline]
    pub(super) const fn has_pending_wake(self) -> bool {
        self.0 & PENDING_MASK != 0
    }

    /// Returns `true` if more than one wake-up is pending.
    #[inline]
    pub(super) const fn has_more_pending(self) -> bool {
        self.0 & MORE_PENDING != 0
    }

    /// Returns `true` if every worker is busy.
    #[inline]
    pub(super) const fn all_busy(self) -> bool {
        self.0 & !PENDING_MASK == 0
    }

    const fn without_pending(self) -> Self {
        Self(self.0 & !PENDING_MASK)
    }

    const fn with_more_pending(self) -> Self {
        Self(self.without_pending().0 | MORE_PENDING)
    }

    const fn with_one_pending(self) -> Self {
        Self(self.without_pending().0 | PENDING_WAKE)
    }
}

impl SleepCounts {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Reads the counts, without ordering anything by it.
    #[inline]
    pub(super) fn now(&self) -> CountsNow {
        // Ordering: Relaxed, because the caller reads no other memory on the strength of it.
        CountsNow(self.0.load(Ordering::Relaxed))
    }

    /// Reads the counts after a fence, as a producer does after its push (rules 1 and 9).
    #[inline]
    pub(super) fn after_fence(&self) -> CountsNow {
        #[cfg(not(moirai_tsan))]
        {
            // Ordering: SeqCst pairs with the fences in `Sleepers::announce` and `Search::start`. One of two such fences comes
            // first: either the worker's look sees what was pushed before this fence, or this load sees the worker as sleeping or
            // searching.
            moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
            self.now()
        }
        // ThreadSanitizer does not know fences. Two read-modify-writes of this word, one after the other, have the effect of two
        // fences. Ordering: AcqRel pairs with that of `exchange`.
        #[cfg(moirai_tsan)]
        CountsNow(self.0.fetch_or(0, Ordering::AcqRel))
    }

    /// Counts the caller as searching, unless `limit` workers are searching already. Returns `true` if it did.
    pub(super) fn start_search(&self, limit: usize) -> bool {
        self.change(|now| (now.searching() < limit).then_some(CountsNow(now.0 + ONE_SEARCHING)))
            .is_some()
    }

    /// Counts the caller as no longer searching, because it found work. `wakes_next`: its notice tells it to wake the next worker
    /// (rule 5).
    ///
    /// Returns `true` if the caller was the last searcher and must wake another worker, for that reason or because a wake-up was
    /// pending.
    #[must_use]
    pub(super) fn stop_search(&self, wakes_next: bool) -> bool {
        let left = self.change(|now| {
            let less = CountsNow(now.0 - ONE_SEARCHING);
            Some(match less.searching() {
                0 => less.without_pending(),
                // A worker in a chain does not know how many tasks there are.
                _ if wakes_next => less.with_more_pending(),
                _ => less,
            })
        });
        left.is_some_and(|was| {
            was.searching() == 1 && (was.has_pending_wake() || wakes_next) && was.sleeping() > 0
        })
    }

    /// Counts the caller as sleeping and, if it was `searching`, as no longer searching. The caller holds the lock of the list.
    ///
    /// Returns `true` if the caller was the last searcher, and so takes over the wake-ups that were pending.
    #[must_use]
    pub(super) fn announce(&self, searching: bool) -> bool {
        let was = self.change(|now| {
            let more = CountsNow(now.0 + ONE_SLEEPING);
            if !searching {
                return Some(more);
            }
            let less = CountsNow(more.0 - ONE_SEARCHING);
            Some(if less.searching() > 0 { less } else { less.without_pending() })
        });
        searching && was.is_some_and(|was| was.searching() == 1 && was.has_pending_wake())
    }

    /// Counts one worker fewer as sleeping. The caller holds the lock of the list.
    pub(super) fn withdraw(&self) {
        self.change(|now| Some(CountsNow(now.0 - ONE_SLEEPING)));
    }

    /// Counts no worker as sleeping. The caller holds the lock of the list.
    pub(super) fn withdraw_all(&self) {
        self.change(|now| Some(CountsNow(now.0 & !(MAX as u32))));
    }

    /// Leaves a wake-up to the searching workers, or does nothing if all workers are busy. Returns `false` if the caller has to
    /// wake a worker itself, because none is searching and one is sleeping.
    #[must_use]
    pub(super) fn add_pending_wake(&self) -> bool {
        let mut now = self.now();
        loop {
            if now.has_more_pending() {
                return true;
            }
            if now.searching() == 0 {
                return now.sleeping() == 0;
            }
            let next = if now.has_pending_wake() {
                now.with_more_pending()
            } else {
                now.with_one_pending()
            };
            match self.exchange(now, next) {
                Ok(()) => return true,
                Err(found) => now = found,
            }
        }
    }

    /// Takes the pending wake-up off the counts if it is a single one and the caller is the only searcher; the caller must look
    /// after this. Returns `true` if it was taken.
    pub(super) fn take_pending_wake(&self) -> bool {
        // This exchange reads the producer's in `add_pending_wake`, so the look that follows sees what was pushed.
        self.change(|now| {
            let one = now.has_pending_wake() && !now.has_more_pending() && now.searching() == 1;
            one.then_some(now.without_pending())
        })
        .is_some()
    }

    /// Counts one worker as searching instead of sleeping, unless another searches. The caller holds the lock of the list. Returns
    /// `false` if the caller must not wake a worker, because none is sleeping or because the wake-up was left to those that search.
    #[must_use]
    pub(super) fn claim_sleeper(&self) -> bool {
        while !self.add_pending_wake() {
            let now = self.now();
            let next = CountsNow(now.0 - ONE_SLEEPING + ONE_SEARCHING);
            if now.searching() == 0 && self.exchange(now, next).is_ok() {
                return true;
            }
        }
        false
    }

    /// Counts one worker as searching instead of sleeping, no matter how many others search. The caller holds the lock of the list.
    pub(super) fn claim_this_sleeper(&self) {
        self.change(|now| Some(CountsNow(now.0 - ONE_SLEEPING + ONE_SEARCHING)));
    }

    /// Changes the word to what `next` makes of it. Returns the previous value, or `None` if `next` wanted no change.
    fn change(&self, next: impl Fn(CountsNow) -> Option<CountsNow>) -> Option<CountsNow> {
        let mut now = self.now();
        loop {
            match self.exchange(now, next(now)?) {
                Ok(()) => return Some(now),
                Err(found) => now = found,
            }
        }
    }

    fn exchange(&self, now: CountsNow, next: CountsNow) -> Result<(), CountsNow> {
        // Ordering: AcqRel pairs with itself. By argument B in `sleep`, the exchange in `take_pending_wake` acquires what the
        // producer released by its exchange in `add_pending_wake`: the look that follows has to find that push. For the rest the
        // argument needs only the order of the changes of this word, and fences; under ThreadSanitizer these exchanges stand for
        // the fences.
        self.0
            .compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            .map(drop)
            .map_err(CountsNow)
    }
}
