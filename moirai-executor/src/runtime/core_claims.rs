//! Claims on cores: threads that get the core back that they handed off, so that they stay the worker that they were.
//!
//! Without a claim, a thread that has blocked takes its core back only if no other thread has taken it, and otherwise goes on without
//! one. With a claim it waits for it.
//!
//! # The protocol
//!
//! 1. A thread that is about to hand off a core that it will want back *lends* it. A core that is lent is not closed by the thread
//!    that holds it, even if the executor stops, because its claimant may come later than that.
//! 2. A thread that wants its core back *claims* it: it counts its claim under the lock of the core's place, notifies the worker, and
//!    then takes the core out of the queue of cores that wait for a thread, if it is there. Otherwise it waits at the place.
//! 3. A thread that holds a core looks whether the core is claimed: when it begins to work with it, from time to time, before it
//!    sleeps, and before it hands the core off. If so it *returns* the core to the place, and works with it no more.
//! 4. A claim is not overlooked. A worker that falls asleep announces it, makes a fence, and looks; a claimant counts its claim,
//!    notifies the worker, which makes a fence, and so either the worker sees the claim or the claimant wakes the worker. A thread
//!    that hands off the core and has not seen the claim has put the core into the queue; whoever takes it out looks again: the
//!    claimant itself, or a thread that takes the core and begins to work with it. Between the two is the lock of the queue: if the
//!    claimant did not find the core there, the other thread takes it later, and so sees the claim.

use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The claims on all cores of an executor.
#[derive(Debug)]
pub(crate) struct CoreClaims<C> {
    /// The number of claims on all cores. Workers read it between two tasks.
    all: AtomicUsize,
    places: Box<[Place<C>]>,
}

/// The claims on one core.
#[derive(Debug)]
struct Place<C> {
    /// The number of threads that will claim the core, or have claimed it.
    lent: AtomicUsize,
    /// The number of threads that have claimed the core and do not have it yet: a copy of the count in `state`, which is read without
    /// the lock.
    claimed: AtomicUsize,
    state: Mutex<PlaceState<C>>,
    /// Notified when the core is returned.
    returned: Condvar,
}

#[derive(Debug)]
struct PlaceState<C> {
    claimed: usize,
    core: Option<C>,
}

impl<C> CoreClaims<C> {
    pub(crate) fn new(workers: usize) -> Self {
        let place = || Place {
            lent: AtomicUsize::new(0),
            claimed: AtomicUsize::new(0),
            state: Mutex::new(PlaceState { claimed: 0, core: None }),
            returned: Condvar::new(),
        };
        Self { all: AtomicUsize::new(0), places: (0..workers).map(|_| place()).collect() }
    }

    /// Notes that the calling thread, which holds the core, hands it off and will claim it.
    pub(crate) fn lend(&self, worker: usize) {
        // Ordering: Relaxed: the core goes to its next holder through a lock, and with it this store.
        self.places[worker].lent.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a core that was lent has come back without a claim.
    pub(crate) fn keep(&self, worker: usize) {
        // Ordering: Relaxed: the calling thread holds the core.
        self.places[worker].lent.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns whether the core is lent. Exact for the thread that holds the core.
    pub(crate) fn is_lent(&self, worker: usize) -> bool {
        // Ordering: Relaxed: as in `lend`. The count falls only in the hands of a thread that holds the core.
        self.places[worker].lent.load(Ordering::Relaxed) > 0
    }

    /// Returns whether the core is claimed. Exact for a caller that asks after its fence of rule 4.
    #[inline]
    pub(crate) fn is_claimed(&self, worker: usize) -> bool {
        // Ordering: Relaxed: the fences of rule 4 order it, or the lock of the queue.
        self.places[worker].claimed.load(Ordering::Relaxed) > 0
    }

    /// Returns whether any core is claimed, or was until just now. As exact as [`is_claimed`](Self::is_claimed).
    #[inline]
    pub(crate) fn has_any(&self) -> bool {
        // Ordering: Relaxed: as in `is_claimed`.
        self.all.load(Ordering::Relaxed) > 0
    }

    /// Claims a core that the calling thread has lent, and waits for it. `notify` notifies the worker, and has a SeqCst fence;
    /// `take_queued` takes the core if it waits for a thread.
    pub(crate) fn claim(
        &self,
        worker: usize,
        notify: impl FnOnce(),
        take_queued: impl FnOnce() -> Option<C>,
    ) -> C {
        let place = &self.places[worker];
        // Ordering: Relaxed: it is counted before the claim, and uncounted after it, by this thread.
        self.all.fetch_add(1, Ordering::Relaxed);
        place.change(&mut place.state.lock(), 1);
        notify();
        let queued = take_queued();
        let mut state = place.state.lock();
        let core = match queued {
            Some(core) => core,
            None => loop {
                match state.core.take() {
                    Some(core) => break core,
                    None => place.returned.wait(&mut state),
                }
            },
        };
        place.change(&mut state, -1);
        drop(state);
        // Ordering: Relaxed: as above.
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.keep(worker);
        core
    }

    /// Returns a core to a thread that has claimed it. It comes back if there is none.
    pub(crate) fn give_back(&self, worker: usize, core: C) -> Result<(), C> {
        let place = &self.places[worker];
        let mut state = place.state.lock();
        if state.claimed == 0 {
            return Err(core);
        }
        state.core = Some(core);
        drop(state);
        place.returned.notify_one();
        Ok(())
    }
}

impl<C> Place<C> {
    /// Changes the number of claims. The caller holds the lock of the state.
    fn change(&self, state: &mut PlaceState<C>, by: isize) {
        state.claimed = state.claimed.saturating_add_signed(by);
        // Ordering: Relaxed: see `is_claimed`.
        self.claimed.store(state.claimed, Ordering::Relaxed);
    }
}
