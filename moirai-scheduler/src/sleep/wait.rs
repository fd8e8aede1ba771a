//! What a worker without work does: it searches, lingers, announces itself, and sleeps.

use std::time::{Duration, Instant};

use super::roles::{Search, Turn};
use super::sleepers::Sleepers;

/// How long a searcher that found nothing watches the word before it announces itself, letting other threads run between two
/// looks. A few times as long as it takes to wake a thread: a task that comes within that time is run without a sleep and a
/// wake-up. It is a time and not a number of looks, so that who shares his core with others, and is let run seldom, soon sleeps.
const LINGER: Duration = Duration::from_micros(40);

/// What a searcher has seen that lingered.
enum Lingered {
    /// Nothing is owed.
    InVain,
    /// One look was owed, and is now its own to make.
    TookDebt,
    /// Something is owed, by all who search.
    SawDebt,
    /// There is something for which it was invited.
    Invited,
}

impl Sleepers {
    /// Gets worker `worker` its next task when it has none: looks for one by `pop`, and sleeps until there is one.
    /// `None` as soon as `stop` says so.
    ///
    /// `parked` is called each time that the worker is about to park. `invited` is asked, often, while it waits for a push: whether
    /// there is something for which [`invite`](Self::invite) was called.
    ///
    /// The closures may be called in any order and often. `stop` has to say `true` from the moment that
    /// [`wake_all`](Self::wake_all) was called for it; a stop for which nobody called that is seen whenever the worker
    /// wakes. `pop` is to find what the contract says a local queue finds.
    ///
    /// # Panics
    ///
    /// If there is no such worker, and when a closure does. Either leaves the other workers in good order.
    pub fn next<T>(
        &self,
        worker: usize,
        mut pop: impl FnMut() -> Option<T>,
        invited: impl Fn() -> bool,
        stop: impl Fn() -> bool,
        mut parked: impl FnMut(),
    ) -> Option<T> {
        assert!(worker < self.places.len(), "there is no worker {worker}");
        let mut search = Search::start(self);
        loop {
            if stop() {
                return None;
            }
            if let Some(searching) = search.take() {
                // Each debt that it takes is worth another while.
                let mut lingering = true;
                loop {
                    if let Some(task) = pop() {
                        searching.found();
                        return Some(task);
                    }
                    if !lingering {
                        break;
                    }
                    match self.linger(&invited) {
                        Lingered::InVain => break,
                        Lingered::TookDebt | Lingered::Invited => {}
                        Lingered::SawDebt => lingering = false,
                    }
                }
                search = Some(searching);
            }
            let announced = self.announce(worker, Turn::First, search);
            // Rule 3: once more, now that producers can see that we are about to sleep.
            if stop() {
                return None;
            }
            if let Some(task) = pop() {
                announced.found();
                return Some(task);
            }
            parked();
            search = announced.park().or_else(|| Search::start(self));
        }
    }

    /// Lets a worker sleep until something has happened that it waits for, as one that may be called: rule 8. Says whether that has
    /// happened; if not, there is work, and somebody else has to sit in the worker's seat.
    ///
    /// `has_happened` must say so from before the worker's [`unparker`](Self::unparker) is used for it. `has_work` is to find what
    /// the contract says a local queue finds, and to leave it there. The closures must not panic.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn rest(
        &self,
        worker: usize,
        has_happened: impl Fn() -> bool,
        has_work: impl FnOnce() -> bool,
    ) -> bool {
        assert!(worker < self.places.len(), "there is no worker {worker}");
        let announced = self.announce(worker, Turn::Last, None);
        if has_work() {
            return false;
        }
        announced.park_until(has_happened)
    }

    /// Rule 3: waits a moment for something to be owed.
    fn linger(&self, invited: &impl Fn() -> bool) -> Lingered {
        let start = Instant::now();
        loop {
            if self.counts.now().owed() {
                return if self.counts.take_debt() {
                    Lingered::TookDebt
                } else {
                    Lingered::SawDebt
                };
            }
            if invited() {
                return Lingered::Invited;
            }
            // A model needs one look: the next one sees no more than the one of rule 3 that follows.
            if cfg!(moirai_loom) || start.elapsed() >= LINGER {
                return Lingered::InVain;
            }
            moirai_core::shim::thread::yield_now();
        }
    }
}
