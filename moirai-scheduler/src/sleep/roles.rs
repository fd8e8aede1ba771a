//! What a worker without work is: searching, or announced. Each is a value, and whoever drops it has done its duty.

use std::mem;

use moirai_core::shim::sync::atomic::Ordering;

use super::sleepers::{Sleepers, notice};

/// The worker is counted as searching.
pub(super) struct Search<'a> {
    sleepers: &'a Sleepers,
    /// Whether this search answers somebody's call, and which; `notice::NONE` if it began of itself.
    notice: u8,
}

/// The worker is in the list, or was taken from it since.
pub(super) struct Announced<'a> {
    sleepers: &'a Sleepers,
    worker: usize,
    /// Whether the worker wakes_next a call if it finds something: rule 5.
    wakes_next: bool,
}

impl<'a> Search<'a> {
    /// Begins to search, unless enough others do.
    pub(super) fn start(sleepers: &'a Sleepers) -> Option<Self> {
        let started = sleepers.counts.start_search(sleepers.search_limit);
        // Ordering: SeqCst pairs with the fence in `SleepCounts::after_fence`: a producer that did not see this search has made its
        // work visible to the look that follows. Argument B. Under ThreadSanitizer the exchange before stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        // Not `then_some`: a value made in vain would end a search that never began.
        started.then(|| Self { sleepers, notice: notice::NONE })
    }

    /// Ends the search with a task in hand: rule 5.
    pub(super) fn found(self) {
        self.stop(self.notice == notice::WAKE_NEXT);
        mem::forget(self);
    }

    fn stop(&self, wakes_next: bool) {
        if self.sleepers.counts.stop_search(wakes_next) {
            self.sleepers.wake_one(notice::WAKE_NEXT);
        }
    }
}

impl Drop for Search<'_> {
    /// Ends the search without a look having come of it: rule 6.
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.stop(self.notice != notice::NONE);
    }
}

/// When an announced worker is notified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Before those that came earlier.
    First,
    /// After everybody else.
    Last,
}

impl Sleepers {
    /// Rules 3 and 8: announces worker `worker`.
    pub(super) fn announce<'a>(
        &'a self,
        worker: usize,
        turn: Turn,
        search: Option<Search<'a>>,
    ) -> Announced<'a> {
        let wakes_next = {
            let mut list = self.list.lock();
            match turn {
                Turn::First => list.push(worker),
                Turn::Last => list.insert(0, worker),
            }
            let has_pending_wake = self.counts.announce(search.is_some());
            // From here on the search is over: the notice counts this worker as sleeping.
            let notice = search.map_or(notice::NONE, |search| {
                let notice = search.notice;
                mem::forget(search);
                notice
            });
            has_pending_wake || notice == notice::WAKE_NEXT
        };
        // Ordering: SeqCst pairs with the fence in `SleepCounts::after_fence`: the producer sees the announcement, or the
        // look that follows sees what it pushed. Argument A. Under ThreadSanitizer the exchange in `SleepCounts::announce`
        // stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        Announced { sleepers: self, worker, wakes_next }
    }
}

impl<'a> Announced<'a> {
    /// Takes the worker off the list with a task in hand.
    pub(super) fn found(self) {
        self.withdraw(self.wakes_next);
        mem::forget(self);
    }

    /// Sleeps until there is notice. `None` if it does not count as searching.
    pub(super) fn park(self) -> Option<Search<'a>> {
        let slot = &self.sleepers.slots[self.worker];
        {
            let parker = slot.parker.lock();
            // Ordering: Acquire pairs with the Release stores in `Sleepers::call` and `wake_all`. A token without a
            // notice is one that came after its worker had withdrawn.
            while slot.notice.load(Ordering::Acquire) == notice::NONE {
                parker.park();
            }
        }
        let sleepers = self.sleepers;
        let notice = self.take_notice();
        mem::forget(self);
        (notice != notice::STOPPED).then(|| Search { sleepers, notice })
    }

    /// Rule 8: sleeps until there is notice, or something has happened. Says whether it has happened and there is no notice.
    pub(super) fn park_until(self, has_happened: impl Fn() -> bool) -> bool {
        let slot = &self.sleepers.slots[self.worker];
        let parker = slot.parker.lock();
        loop {
            // Ordering: Acquire, as in `park`.
            if slot.notice.load(Ordering::Acquire) != notice::NONE {
                return false;
            }
            if has_happened() {
                return true;
            }
            parker.park();
        }
    }

    /// Takes the notice that is there, by which a slot becomes fit for the next sleep.
    fn take_notice(&self) -> u8 {
        let place = &self.sleepers.slots[self.worker].notice;
        // Ordering: Relaxed both, ordered by the lock of the list or by the load in `park`. Nobody writes it until this
        // worker announces itself again.
        let notice = place.load(Ordering::Relaxed);
        place.store(notice::NONE, Ordering::Relaxed);
        notice
    }

    /// Rule 4. `wakes_next`: the worker wakes_next a call beyond that of its own, if it was notified.
    fn withdraw(&self, wakes_next: bool) {
        let sleepers = self.sleepers;
        let notice = {
            let mut list = sleepers.list.lock();
            match list.iter().rposition(|&other| other == self.worker) {
                Some(at) => {
                    list.remove(at);
                    sleepers.counts.withdraw();
                    notice::NONE
                }
                None => self.take_notice(),
            }
        };
        match notice {
            notice::NONE | notice::STOPPED => {
                if wakes_next {
                    sleepers.wake_one(notice::WAKE_NEXT);
                }
            }
            // It may have looked before the push that it was notified for: that push's look is still has_pending_wake.
            _ => drop(Search { sleepers, notice }),
        }
    }
}

impl Drop for Announced<'_> {
    /// Takes the worker off the list without a task: to stop, or because a closure panicked.
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.withdraw(self.wakes_next);
    }
}

/// Whether this is the unwinding by which loom ends a model that failed. Its objects cannot be touched any more.
fn model_failed() -> bool {
    cfg!(moirai_loom) && std::thread::panicking()
}
