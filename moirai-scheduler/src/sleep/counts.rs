//! The word that says how many workers sleep and how many search.
//!
//! Each contended change is one method here. What its caller then has to do is in the result.

use moirai_core::shim::sync::atomic::{AtomicU32, Ordering};

/// Bits of a count.
const BITS: u32 = 15;
const ONE_SLEEPING: u32 = 1;
const ONE_SEARCHING: u32 = 1 << BITS;
/// One look is owed; twice this, more than one.
const OWED: u32 = 1 << (2 * BITS);
const DEBT: u32 = OWED | MORE_OWED;
const MORE_OWED: u32 = OWED << 1;
/// The largest count.
pub(super) const MAX: usize = (1 << BITS) - 1;

/// How many workers sleep, how many search, and what the searchers owe (`sleep`, rules 1, 3 and 5).
pub(super) struct Counts(AtomicU32);

/// The counts at one time.
#[derive(Clone, Copy)]
pub(super) struct Now(u32);

impl Now {
    #[inline]
    pub(super) const fn sleeping(self) -> usize {
        self.0 as usize & MAX
    }

    #[inline]
    pub(super) const fn searching(self) -> usize {
        (self.0 >> BITS) as usize & MAX
    }

    #[inline]
    pub(super) const fn owed(self) -> bool {
        self.0 & DEBT != 0
    }

    /// Whether more than one look is owed.
    #[inline]
    pub(super) const fn more_owed(self) -> bool {
        self.0 & MORE_OWED != 0
    }

    /// Whether every worker is busy.
    #[inline]
    pub(super) const fn all_busy(self) -> bool {
        self.0 & !DEBT == 0
    }

    const fn without_debt(self) -> Self {
        Self(self.0 & !DEBT)
    }

    const fn with_more_owed(self) -> Self {
        Self(self.without_debt().0 | MORE_OWED)
    }

    const fn with_one_owed(self) -> Self {
        Self(self.without_debt().0 | OWED)
    }
}

impl Counts {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The counts, for whoever only wants to know them.
    #[inline]
    pub(super) fn now(&self) -> Now {
        // Ordering: Relaxed, nothing is read by it.
        Now(self.0.load(Ordering::Relaxed))
    }

    /// The counts after a fence: what rule 2 calls the producer's look.
    #[inline]
    pub(super) fn after_fence(&self) -> Now {
        #[cfg(not(moirai_tsan))]
        {
            // Ordering: SeqCst pairs with the fence in `Sleepers::announce`. Of two fences one is first: either the
            // sleeper's last look sees what was pushed before this one, or the load sees the sleeper.
            moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
            self.now()
        }
        // ThreadSanitizer does not know fences. One after the other, two read-modify-writes of this word do what they
        // do.
        #[cfg(moirai_tsan)]
        Now(self.0.fetch_or(0, Ordering::AcqRel))
    }

    /// Counts the caller as searching, unless `limit` workers do already.
    pub(super) fn start_search(&self, limit: usize) -> bool {
        self.change(|now| (now.searching() < limit).then_some(Now(now.0 + ONE_SEARCHING))).is_some()
    }

    /// Counts the caller as no longer searching, because it found work. `owes`: it owes a wake-up for what else there
    /// may be. Says whether that, or what all the searchers owed, falls to the caller now.
    #[must_use]
    pub(super) fn stop_search(&self, owes: bool) -> bool {
        let left = self.change(|now| {
            let less = Now(now.0 - ONE_SEARCHING);
            Some(match less.searching() {
                0 => less.without_debt(),
                // One that was called in a chain does not know how many there are.
                _ if owes => less.with_more_owed(),
                _ => less,
            })
        });
        left.is_some_and(|was| was.searching() == 1 && (was.owed() || owes) && was.sleeping() > 0)
    }

    /// Counts the caller as sleeping, and if it was searching, as no longer that. Under the lock of the list. Says
    /// whether the caller was the last who searched, and what the searchers owed is its to pay.
    #[must_use]
    pub(super) fn announce(&self, searching: bool) -> bool {
        let was = self.change(|now| {
            let more = Now(now.0 + ONE_SLEEPING);
            if !searching {
                return Some(more);
            }
            let less = Now(more.0 - ONE_SEARCHING);
            Some(if less.searching() > 0 { less } else { less.without_debt() })
        });
        searching && was.is_some_and(|was| was.searching() == 1 && was.owed())
    }

    /// Counts one worker as no longer sleeping. Under the lock of the list.
    pub(super) fn withdraw(&self) {
        self.change(|now| Some(Now(now.0 - ONE_SLEEPING)));
    }

    /// Counts nobody as sleeping. Under the lock of the list.
    pub(super) fn withdraw_all(&self) {
        self.change(|now| Some(Now(now.0 & !(MAX as u32))));
    }

    /// Leaves a wake-up to those who search. `false` if the caller has to wake one itself, because nobody searches and
    /// somebody sleeps.
    #[must_use]
    pub(super) fn leave_to_searchers(&self) -> bool {
        let mut now = self.now();
        loop {
            if now.more_owed() {
                return true;
            }
            if now.searching() == 0 {
                return now.sleeping() == 0;
            }
            let next = if now.owed() { now.with_more_owed() } else { now.with_one_owed() };
            match self.exchange(now, next) {
                Ok(()) => return true,
                Err(found) => now = found,
            }
        }
    }

    /// The only searcher takes the debt upon itself if it is of one look, which it makes after this. Says whether it has.
    pub(super) fn take_debt(&self) -> bool {
        // Its exchange reads that of the producer: so the look that follows sees what was pushed.
        self.change(|now| {
            let one = now.owed() && !now.more_owed() && now.searching() == 1;
            one.then_some(now.without_debt())
        })
        .is_some()
    }

    /// Counts one worker as searching instead of sleeping. Under the lock of the list. `false` if the caller is to wake
    /// nobody, because none sleeps or the wake-up was left to those who search.
    #[must_use]
    pub(super) fn call(&self) -> bool {
        while !self.leave_to_searchers() {
            let now = self.now();
            let next = Now(now.0 - ONE_SLEEPING + ONE_SEARCHING);
            if now.searching() == 0 && self.exchange(now, next).is_ok() {
                return true;
            }
        }
        false
    }

    /// Counts one worker as searching instead of sleeping, whoever searches. Under the lock of the list.
    pub(super) fn call_one(&self) {
        self.change(|now| Some(Now(now.0 - ONE_SLEEPING + ONE_SEARCHING)));
    }

    /// Changes the word to what `next` makes of it. Returns what it was, or `None` if `next` wanted no change.
    fn change(&self, next: impl Fn(Now) -> Option<Now>) -> Option<Now> {
        let mut now = self.now();
        loop {
            match self.exchange(now, next(now)?) {
                Ok(()) => return Some(now),
                Err(found) => now = found,
            }
        }
    }

    fn exchange(&self, now: Now, next: Now) -> Result<(), Now> {
        // Ordering: AcqRel. The argument in `sleep` needs no more of this word than the order of its own changes,
        // and fences; with AcqRel the read-modify-writes that stand for the fences under ThreadSanitizer pair, too.
        self.0
            .compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            .map(drop)
            .map_err(Now)
    }
}
