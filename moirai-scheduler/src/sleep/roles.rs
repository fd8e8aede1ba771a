//! What a worker without work is: searching, or announced. Each is a value, and whoever drops it has done its duty.

use std::mem;

use moirai_core::shim::sync::atomic::Ordering;

use super::sleepers::{Sleepers, word};

/// The worker is counted as searching.
pub(super) struct Search<'a> {
    sleepers: &'a Sleepers,
    /// Whether this search answers somebody's call, and which; `word::NONE` if it began of itself.
    call: u8,
}

/// The worker is in the list, or was taken from it since.
pub(super) struct Announced<'a> {
    sleepers: &'a Sleepers,
    worker: usize,
    /// Whether the worker owes a call if it finds something: rule 5.
    owes: bool,
}

impl<'a> Search<'a> {
    /// Begins to search, unless enough others do.
    pub(super) fn start(sleepers: &'a Sleepers) -> Option<Self> {
        let started = sleepers.counts.start_search(sleepers.search_limit);
        // Ordering: SeqCst pairs with the fence in `Counts::after_fence`: a producer that did not see this search has made its
        // work visible to the look that follows. Argument B. Under ThreadSanitizer the exchange before stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        // Not `then_some`: a value made in vain would end a search that never began.
        started.then(|| Self { sleepers, call: word::NONE })
    }

    /// Ends the search with a task in hand: rule 5.
    pub(super) fn found(self) {
        self.stop(self.call == word::CHAIN);
        mem::forget(self);
    }

    fn stop(&self, owes: bool) {
        if self.sleepers.counts.stop_search(owes) {
            self.sleepers.call(word::CHAIN);
        }
    }
}

impl Drop for Search<'_> {
    /// Ends the search without a look having come of it: rule 6.
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.stop(self.call != word::NONE);
    }
}

/// When an announced worker is called.
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
        let owes = {
            let mut list = self.list.lock();
            match turn {
                Turn::First => list.push(worker),
                Turn::Last => list.insert(0, worker),
            }
            let owed = self.counts.announce(search.is_some());
            // From here on the search is over: the word counts this worker as sleeping.
            let call = search.map_or(word::NONE, |search| {
                let call = search.call;
                mem::forget(search);
                call
            });
            owed || call == word::CHAIN
        };
        // Ordering: SeqCst pairs with the fence in `Counts::after_fence`: the producer sees the announcement, or the
        // look that follows sees what it pushed. Argument A. Under ThreadSanitizer the exchange in `Counts::announce`
        // stands for it.
        #[cfg(not(moirai_tsan))]
        moirai_core::shim::sync::atomic::fence(Ordering::SeqCst);
        Announced { sleepers: self, worker, owes }
    }
}

impl<'a> Announced<'a> {
    /// Takes the worker off the list with a task in hand.
    pub(super) fn found(self) {
        self.withdraw(self.owes);
        mem::forget(self);
    }

    /// Sleeps until there is word. `None` if it does not count as searching.
    pub(super) fn park(self) -> Option<Search<'a>> {
        let place = &self.sleepers.places[self.worker];
        {
            let parker = place.parker.lock();
            // Ordering: Acquire pairs with the Release stores in `Sleepers::call` and `wake_all`. A token without a
            // word is one that came after its worker had withdrawn.
            while place.word.load(Ordering::Acquire) == word::NONE {
                parker.park();
            }
        }
        let sleepers = self.sleepers;
        let call = self.take_word();
        mem::forget(self);
        (call != word::FREED).then(|| Search { sleepers, call })
    }

    /// Rule 8: sleeps until there is word, or something has happened. Says whether it has happened and there is no word.
    pub(super) fn park_until(self, has_happened: impl Fn() -> bool) -> bool {
        let place = &self.sleepers.places[self.worker];
        let parker = place.parker.lock();
        loop {
            // Ordering: Acquire, as in `park`.
            if place.word.load(Ordering::Acquire) != word::NONE {
                return false;
            }
            if has_happened() {
                return true;
            }
            parker.park();
        }
    }

    /// Takes the word that is there, by which a place becomes fit for the next sleep.
    fn take_word(&self) -> u8 {
        let word = &self.sleepers.places[self.worker].word;
        // Ordering: Relaxed both, ordered by the lock of the list or by the load in `park`. Nobody writes it until this
        // worker announces itself again.
        let call = word.load(Ordering::Relaxed);
        word.store(word::NONE, Ordering::Relaxed);
        call
    }

    /// Rule 4. `owes`: the worker owes a call beyond that of its own, if it was called.
    fn withdraw(&self, owes: bool) {
        let sleepers = self.sleepers;
        let call = {
            let mut list = sleepers.list.lock();
            match list.iter().rposition(|&other| other == self.worker) {
                Some(at) => {
                    list.remove(at);
                    sleepers.counts.withdraw();
                    word::NONE
                }
                None => self.take_word(),
            }
        };
        match call {
            word::NONE | word::FREED => {
                if owes {
                    sleepers.call(word::CHAIN);
                }
            }
            // It may have looked before the push that it was called for: that push's look is still owed.
            _ => drop(Search { sleepers, call }),
        }
    }
}

impl Drop for Announced<'_> {
    /// Takes the worker off the list without a task: to stop, or because a closure panicked.
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        self.withdraw(self.owes);
    }
}

/// Whether this is the unwinding by which loom ends a model that failed. Its objects cannot be touched any more.
fn model_failed() -> bool {
    cfg!(moirai_loom) && std::thread::panicking()
}
