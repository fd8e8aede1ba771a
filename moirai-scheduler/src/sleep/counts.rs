//! The notice that says how many workers sleep and how many search.
//!
//! Each contended change is one method here. What its caller then has to do is in the result.

use moirai_core::shim::sync::atomic::{AtomicU32, Ordering};

/// Bits of a count.
const BITS: u32 = 15;
const ONE_SLEEPING: u32 = 1;
const ONE_SEARCHING: u32 = 1 << BITS;
/// One look is has_pending_wake; twice this, more than one.
const PENDING_WAKE: u32 = 1 << (2 * BITS);
const PENDING_MASK: u32 = PENDING_WAKE | MORE_PENDING;
const MORE_PENDING: u32 = PENDING_WAKE << 1;
/// The largest count.
pub(super) const MAX: usize = (1 << BITS) - 1;

/// How many workers sleep, how many search, and what the searchers owe (`sleep`, rules 1, 3 and 5).
pub(super) struct SleepCounts(AtomicU32);

/// The counts at one time.
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

    /// Whether more than one look is has_pending_wake.
    #[inline]
    pub(super) const fn has_more_pending(self) -> bool {
        self.0 & MORE_PENDING != 0
    }

    /// Whether every worker is busy.
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

    /// The counts, for whoever only wants to know them.
    #[inline]
    pub(super) fn now(&self) -> CountsNow {
        // Ordering: Relaxed, nothing is read by it.
        CountsNow(self.0.load(Ordering::Relaxed))
    }

    /// The counts after a fence: what rule 2 calls the producer's look.
    #[inline]
    pub(super) fn after_fence(&self) -> CountsNow {
        #[cfg(not(moirai_tsan))]
        {
            // Ordering: SeqCst pairs with the fence in `Sleepers::announce`. Of two fences one is first: either the
            // sleeper's last look sees what was pushed before this one, or the load sees the sleeper.
            moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
            self.now()
        }
        // ThreadSanitizer does not know fences. One after the other, two read-modify-writes of this notice do what they
        // do.
        #[cfg(moirai_tsan)]
        CountsNow(self.0.fetch_or(0, Ordering::AcqRel))
    }

    /// SleepCounts the caller as searching, unless `limit` workers do already.
    pub(super) fn start_search(&self, limit: usize) -> bool {
        self.change(|now| (now.searching() < limit).then_some(CountsNow(now.0 + ONE_SEARCHING)))
            .is_some()
    }

    /// SleepCounts the caller as no longer searching, because it found work. `wakes_next`: it wakes_next a wake-up for what else there
    /// may be. Says whether that, or what all the searchers has_pending_wake, falls to the caller now.
    #[must_use]
    pub(super) fn stop_search(&self, wakes_next: bool) -> bool {
        let left = self.change(|now| {
            let less = CountsNow(now.0 - ONE_SEARCHING);
            Some(match less.searching() {
                0 => less.without_pending(),
                // One that was notified in a chain does not know how many there are.
                _ if wakes_next => less.with_more_pending(),
                _ => less,
            })
        });
        left.is_some_and(|was| {
            was.searching() == 1 && (was.has_pending_wake() || wakes_next) && was.sleeping() > 0
        })
    }

    /// SleepCounts the caller as sleeping, and if it was searching, as no longer that. Under the lock of the list. Says
    /// whether the caller was the last who searched, and what the searchers has_pending_wake is its to pay.
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

    /// SleepCounts one worker as no longer sleeping. Under the lock of the list.
    pub(super) fn withdraw(&self) {
        self.change(|now| Some(CountsNow(now.0 - ONE_SLEEPING)));
    }

    /// SleepCounts nobody as sleeping. Under the lock of the list.
    pub(super) fn withdraw_all(&self) {
        self.change(|now| Some(CountsNow(now.0 & !(MAX as u32))));
    }

    /// Leaves a wake-up to those who search. `false` if the caller has to wake one itself, because nobody searches and
    /// somebody sleeps.
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

    /// The only searcher takes the debt upon itself if it is of one look, which it makes after this. Says whether it has.
    pub(super) fn take_pending_wake(&self) -> bool {
        // Its exchange reads that of the producer: so the look that follows sees what was pushed.
        self.change(|now| {
            let one = now.has_pending_wake() && !now.has_more_pending() && now.searching() == 1;
            one.then_some(now.without_pending())
        })
        .is_some()
    }

    /// SleepCounts one worker as searching instead of sleeping. Under the lock of the list. `false` if the caller is to wake
    /// nobody, because none sleeps or the wake-up was left to those who search.
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

    /// SleepCounts one worker as searching instead of sleeping, whoever searches. Under the lock of the list.
    pub(super) fn claim_this_sleeper(&self) {
        self.change(|now| Some(CountsNow(now.0 - ONE_SLEEPING + ONE_SEARCHING)));
    }

    /// Changes the notice to what `next` makes of it. Returns what it was, or `None` if `next` wanted no change.
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
        // Ordering: AcqRel. The argument in `sleep` needs no more of this notice than the order of its own changes,
        // and fences; with AcqRel the read-modify-writes that stand for the fences under ThreadSanitizer pair, too.
        self.0
            .compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            .map(drop)
            .map_err(CountsNow)
    }
}
