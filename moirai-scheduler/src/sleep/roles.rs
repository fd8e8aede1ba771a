//! The two roles of a worker without work: searching, or announced. Each is a value, whose drop does what the protocol asks of a
//! worker that leaves the role.

use std::mem;

use moirai_core::shim::sync::atomic::Ordering;
use moirai_core::shim::sync::lock_patiently;

use super::sleepers::{Sleepers, notice};

/// A worker that is counted as searching.
pub(super) struct Search<'a> {
    sleepers: &'a Sleepers,
    /// The notice that this search answers; `notice::NONE` if the worker began it by itself.
    notice: u8,
}

/// A worker that is in the list, or has been taken from it since.
pub(super) struct Announced<'a> {
    pub(super) sleepers: &'a Sleepers,
    pub(super) worker: usize,
    /// The end of the list at which it was entered.
    turn: Turn,
    /// Whether the worker has to wake the next one if it finds something (rule 5).
    pub(super) wakes_next: bool,
}

impl<'a> Search<'a> {
    /// Begins to search. Returns `None` if as many workers as may are searching already.
    pub(super) fn start(sleepers: &'a Sleepers) -> Option<Self> {
        let started = sleepers.counts.start_search(sleepers.search_limit);
        // Ordering: SeqCst pairs with the fence in `SleepCounts::after_fence`: a producer that did not see this search has made its
        // work visible to the look that follows (argument B). Under ThreadSanitizer the exchange in `start_search` stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        // Not `then_some`: a value that is made and not used would end a search that never began.
        started.then(|| Self { sleepers, notice: notice::NONE })
    }

    /// Ends the search with a task in hand (rule 5).
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
    /// Ends the search without a look, and passes the wake-up on if there was one (rule 6).
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.stop(self.notice != notice::NONE);
    }
}

/// The order in which announced workers are notified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Before those that announced themselves earlier, while its cache is warm.
    First,
    /// After all others.
    Last,
}

impl Sleepers {
    /// Announces worker `worker`: enters it into the list, and ends its search (rules 3 and 8).
    pub(super) fn announce<'a>(
        &'a self,
        worker: usize,
        turn: Turn,
        search: Option<Search<'a>>,
    ) -> Announced<'a> {
        let wakes_next = {
            let mut list = lock_patiently(&self.list);
            match turn {
                Turn::First => list.push_back(worker),
                Turn::Last => list.push_front(worker),
            }
            let has_pending_wake = self.counts.announce(search.is_some());
            // The search is over: the counts have this worker as sleeping.
            let notice = search.map_or(notice::NONE, |search| {
                let notice = search.notice;
                mem::forget(search);
                notice
            });
            has_pending_wake || notice == notice::WAKE_NEXT
        };
        // Ordering: SeqCst pairs with the fence in `SleepCounts::after_fence`: the producer sees the announcement, or the look that
        // follows sees what it pushed (argument A). Under ThreadSanitizer the exchange in `SleepCounts::announce` stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        Announced { sleepers: self, worker, turn, wakes_next }
    }
}

impl<'a> Announced<'a> {
    /// Takes the worker off the list with a task in hand (rule 4).
    pub(super) fn found(self) {
        self.withdraw(self.wakes_next);
        mem::forget(self);
    }

    /// Returns whether there is a notice.
    pub(super) fn is_notified(&self) -> bool {
        // Ordering: Acquire pairs with the Release stores in `Sleepers::wake_one`, `wake_if_listed` and `wake_all`.
        self.sleepers.slots[self.worker].notice.load(Ordering::Acquire) != notice::NONE
    }

    /// Sleeps until there is a notice. Returns `None` if the worker is not counted as searching, because all were woken (rule 7).
    pub(super) fn park(self) -> Option<Search<'a>> {
        self.wait();
        self.into_search()
    }

    /// Sleeps until there is a notice.
    pub(super) fn wait(&self) {
        let parker = self.sleepers.slots[self.worker].parker.lock();
        // A token without a notice is one that came after the worker had withdrawn from an earlier sleep.
        while !self.is_notified() {
            parker.park();
        }
    }

    /// Ends the sleep of a worker that has a notice, as [`park`](Self::park) does.
    pub(super) fn into_search(self) -> Option<Search<'a>> {
        let sleepers = self.sleepers;
        let notice = self.take_notice();
        mem::forget(self);
        (notice != notice::STOPPED).then(|| Search { sleepers, notice })
    }

    /// Sleeps until there is a notice, or `has_happened` returns `true` (rule 8). Returns `true` if it has happened and there is no
    /// notice.
    pub(super) fn park_until(self, has_happened: impl Fn() -> bool) -> bool {
        let parker = self.sleepers.slots[self.worker].parker.lock();
        loop {
            if self.is_notified() {
                return false;
            }
            if has_happened() {
                return true;
            }
            parker.park();
        }
    }

    /// Takes the notice out of the slot, which is then ready for the next sleep.
    fn take_notice(&self) -> u8 {
        let slot = &self.sleepers.slots[self.worker].notice;
        // Ordering: Relaxed, both, because the lock of the list or the load in `park` orders them. No other thread writes the
        // notice until this worker announces itself again.
        let notice = slot.load(Ordering::Relaxed);
        slot.store(notice::NONE, Ordering::Relaxed);
        notice
    }

    /// Takes the worker off the list, or ends its search if it was notified (rule 4). `wakes_next`: the worker has to wake the next
    /// one even if it was not notified.
    fn withdraw(&self, wakes_next: bool) {
        let sleepers = self.sleepers;
        let notice = {
            let mut list = lock_patiently(&sleepers.list);
            let is_it = |&other: &usize| other == self.worker;
            // It has not been there for long, so it is close to the end at which it was entered, however many sleep.
            let found = match self.turn {
                Turn::First => list.iter().rposition(is_it),
                Turn::Last => list.iter().position(is_it),
            };
            match found {
                Some(at) => {
                    let _ = list.remove(at);
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
            // The worker may have looked before the push that it was notified of, so another must still look for that push.
            _ => drop(Search { sleepers, notice }),
        }
    }
}

impl Drop for Announced<'_> {
    /// Takes the worker off the list without a task: it stops, or a closure panicked.
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.withdraw(self.wakes_next);
    }
}

/// Returns `true` while loom unwinds a model that failed: the objects of the model cannot be touched any more.
fn model_failed() -> bool {
    cfg!(moirai_loom) && std::thread::panicking()
}
