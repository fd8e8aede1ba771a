//! What a worker without work does: it searches, lingers, announces itself, and sleeps.

use std::time::{Duration, Instant};

use super::roles::{Search, Turn};
use super::sleepers::Sleepers;

/// How long a searcher that found nothing watches the notice before it announces itself, letting other threads run between two
/// looks. A few times as long as it takes to wake a thread: a task that comes within that time is run without a sleep and a
/// wake-up. It is a time and not a number of looks, so that who shares his core with others, and is let run seldom, soon sleeps.
const SPIN_FOR: Duration = Duration::from_micros(40);

/// What a searcher has seen that lingered.
enum Spun {
    /// Nothing is has_pending_wake.
    NothingPending,
    /// One look was has_pending_wake, and is now its own to make.
    TookWake,
    /// Something is has_pending_wake, by all who search.
    SawWakes,
    /// There is something for which it was invited.
    Invited,
}

impl Sleepers {
    /// Gets worker `worker` its next task when it has none: looks for one by `pop`, and sleeps until there is one.
    /// `None` as soon as `stop` says so.
    ///
    /// `parked` is notified each time that the worker is about to park. `invited` is asked, often, while it waits for a push: whether
    /// there is something for which [`invite`](Self::invite) was notified.
    ///
    /// The closures may be notified in any order and often. `stop` has to say `true` from the moment that
    /// [`wake_all`](Self::wake_all) was notified for it; a stop for which nobody notified that is seen whenever the worker
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
        assert!(worker < self.slots.len(), "there is no worker {worker}");
        let mut search = Search::start(self);
        loop {
            if stop() {
                return None;
            }
            if let Some(searching) = search.take() {
                // Each debt that it takes is worth another while.
                let mut spinning = true;
                loop {
                    if let Some(task) = pop() {
                        searching.found();
                        return Some(task);
                    }
                    if !spinning {
                        break;
                    }
                    match self.spin(&invited) {
                        Spun::NothingPending => break,
                        Spun::TookWake | Spun::Invited => {}
                        Spun::SawWakes => spinning = false,
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

    /// Lets a worker sleep until something has happened that it waits for, as one that may be notified: rule 8. Says whether that has
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
        assert!(worker < self.slots.len(), "there is no worker {worker}");
        let announced = self.announce(worker, Turn::Last, None);
        if has_work() {
            return false;
        }
        announced.park_until(has_happened)
    }

    /// Rule 3: waits a moment for something to be has_pending_wake.
    fn spin(&self, invited: &impl Fn() -> bool) -> Spun {
        let start = Instant::now();
        loop {
            if self.counts.now().has_pending_wake() {
                return if self.counts.take_pending_wake() {
                    Spun::TookWake
                } else {
                    Spun::SawWakes
                };
            }
            if invited() {
                return Spun::Invited;
            }
            // A model needs one look: the next one sees no more than the one of rule 3 that follows.
            if cfg!(moirai_loom) || start.elapsed() >= SPIN_FOR {
                return Spun::NothingPending;
            }
            moirai_core::shim::thread::yield_now();
        }
    }
}
