//! What a worker without work does: it searches, spins, announces itself, and sleeps.
//!
//! Spinning is for the thread outside of the executor that spawns one task and waits for it. To put a thread to sleep and to wake
//! it takes longer than most tasks, and such a thread would pay for two of these pairs: 22 µs for 0.2 µs of work, and 4 µs with
//! spinning. A worker spins on one word that no busy thread writes, and on no queue, so it does not disturb busy workers, nor take
//! the only task of a chain away from its worker. It yields, so that a thread with work gets the processor. The alternative is that
//! the waiting thread runs the task itself, which is faster still; but then a task would run on a thread that is not a worker.

use std::time::{Duration, Instant};

use super::hooked::HookedSleep;
use super::roles::{Announced, Search, Turn};
use super::sleepers::Sleepers;

/// How long a searcher that found nothing watches the counts before it announces itself, yielding to other threads between two
/// reads. This is a few times as long as it takes to wake a thread: a task that comes within that time is run without a sleep and a
/// wake-up. It is a time and not a number of reads, so that a worker that shares its processor with other threads, and runs seldom,
/// soon sleeps.
const SPIN_FOR: Duration = Duration::from_micros(40);

/// How much a look for work must find, in [`Sleepers::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The worker searches, and nobody has told it of anything. It may leave work that others were [invited](Sleepers::invite) to do: it
    /// looks again before it sleeps.
    Partial,
    /// The worker was woken, or told of work while it searched, or is about to sleep. It must find whatever there is.
    Full,
}

/// What a spinning searcher has seen.
enum Spun {
    /// No wake-up was pending.
    NothingPending,
    /// One wake-up was pending, which this searcher has taken, and must now look for.
    TookWake,
    /// Wake-ups are pending for all that search.
    SawWakes,
    /// There is work that was announced by [`invite`](Sleepers::invite).
    Invited,
}

impl Sleepers {
    /// Returns the next task of worker `worker`, which has none: looks for one with `pop`, and sleeps until there is one. Returns
    /// `None` once `stop` returns `true`.
    ///
    /// `parked` is called each time the worker is about to park. `invited` is called often while the worker spins, and returns
    /// whether there is work for which [`invite`](Self::invite) was called; `pop` must then look for that work, too. In a
    /// [partial](Look::Partial) look `pop` may leave such work.
    ///
    /// The closures may be called in any order and any number of times. `stop` must return `true` from before
    /// [`wake_all`](Self::wake_all) is called for the stop; a stop without such a call is seen only when the worker wakes for
    /// another reason. `pop` must find what the contract says that a local queue finds; otherwise the worker may sleep while tasks
    /// wait.
    ///
    /// # Panics
    ///
    /// If there is no such worker, or if a closure panics. Neither affects the other workers.
    pub fn next<T>(
        &self,
        worker: usize,
        pop: impl FnMut(Look) -> Option<T>,
        invited: impl FnMut() -> bool,
        stop: impl Fn() -> bool,
        mut parked: impl FnMut(),
    ) -> Option<T> {
        self.next_by(worker, SPIN_FOR, pop, invited, stop, |announced| {
            parked();
            announced.park()
        })
    }

    /// Like [`next`](Self::next), but the worker sleeps in `park`, and does not spin before (rule 10).
    ///
    /// `park` must return soon after [`with_unpark`](Self::with_unpark)'s closure has been called for the worker, or if it has been
    /// called since `park` returned last; what it runs before that delays the worker's work. It may return at any time.
    ///
    /// # Panics
    ///
    /// As [`next`](Self::next).
    pub fn next_in_hook<T>(
        &self,
        worker: usize,
        pop: impl FnMut(Look) -> Option<T>,
        stop: impl Fn() -> bool,
        mut park: impl FnMut(&HookedSleep<'_>),
    ) -> Option<T> {
        self.next_by(
            worker,
            Duration::ZERO,
            pop,
            || false,
            stop,
            |announced| {
                let sleep = HookedSleep::new(announced);
                while !sleep.is_over() {
                    park(&sleep);
                }
                sleep.into_search()
            },
        )
    }

    fn next_by<'a, T>(
        &'a self,
        worker: usize,
        spin: Duration,
        mut pop: impl FnMut(Look) -> Option<T>,
        mut invited: impl FnMut() -> bool,
        stop: impl Fn() -> bool,
        mut sleep: impl FnMut(Announced<'a>) -> Option<Search<'a>>,
    ) -> Option<T> {
        assert!(worker < self.slots.len(), "there is no worker {worker}");
        let mut search = Search::start(self);
        let mut look = Look::Partial;
        loop {
            if stop() {
                return None;
            }
            if let Some(searching) = search.take() {
                // Each pending wake-up that this worker takes is worth another while of spinning.
                let mut spinning = true;
                loop {
                    if let Some(task) = pop(look) {
                        searching.found();
                        return Some(task);
                    }
                    if !spinning {
                        break;
                    }
                    match self.spin(spin, &mut invited) {
                        Spun::NothingPending => break,
                        Spun::Invited => {}
                        Spun::TookWake => look = Look::Full,
                        Spun::SawWakes => (look, spinning) = (Look::Full, false),
                    }
                }
                search = Some(searching);
            }
            let announced = self.announce(worker, Turn::First, search);
            // Looks once more, now that producers can see that this worker is about to sleep (rule 3).
            if stop() {
                return None;
            }
            if let Some(task) = pop(Look::Full) {
                announced.found();
                return Some(task);
            }
            search = sleep(announced).or_else(|| Search::start(self));
            look = Look::Full;
        }
    }

    /// Blocks worker `worker`, which keeps its core, until an event that it waits for has happened or there is work (rule 8).
    ///
    /// Returns `true` if the event has happened. Returns `false` if there is work, or the worker was notified: then the caller must
    /// hand off the core to a thread that looks for work.
    ///
    /// `has_happened` must return `true` from before the worker's [`unparker`](Self::unparker) is used for the event. `has_work`
    /// must find what the contract says that a local queue finds, and leave it there. The closures must not panic.
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

    /// Watches the counts for up to `limit` (rule 3).
    fn spin(&self, limit: Duration, invited: &mut impl FnMut() -> bool) -> Spun {
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
            // A model needs one read: a second one would see no more than the last look of rule 3 does.
            if cfg!(moirai_loom) || start.elapsed() >= limit {
                return Spun::NothingPending;
            }
            moirai_core::shim::thread::yield_now();
        }
    }
}
