//! Putting one thread to sleep and waking it again.
//!
//! # Protocol
//!
//! One word holds `EMPTY`, `PARKED` or `NOTIFIED`; the last is the token.
//!
//! 1. Only the parker's thread writes `EMPTY` and `PARKED`; only unparkers write `NOTIFIED`.
//! 2. An unparker always swaps `NOTIFIED` in, even over a token, because the swap is what publishes its work: the parker's next
//!    swap acquires from every unparker whose swap came before. If the unparker found `PARKED`, and only then, it takes the lock.
//! 3. The parker goes from `EMPTY` to `PARKED` under the lock, and releases the lock only by waiting on the condition variable. So
//!    an unparker that has found `PARKED` and then gets the lock knows that the parker waits, and its notification is not lost.
//! 4. The parker returns with the state `EMPTY`, whether it took a token or ran out of time.
//!
//! The design is that of crossbeam's parker and of the standard library's generic one.

use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
// `Wake` requires the standard library's `Arc`, so under loom, too, its count is not modelled. No rule depends on the count.
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

const EMPTY: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

/// Puts a thread to sleep until an [`Unparker`] wakes it. One thread at a time can use it.
///
/// A parker has room for one token. [`Unparker::unpark`] leaves the token, and [`park`](Self::park) takes it, and returns at once
/// if it is there already. No park returns without a token, except a [`park_timeout`](Self::park_timeout) whose time is up: there
/// are no spurious wake-ups.
///
/// ```
/// use moirai_sync::Parker;
/// use std::thread;
///
/// let parker = Parker::new();
/// let unparker = parker.unparker();
/// let waking = thread::spawn(move || unparker.unpark());
/// parker.park(); // Returns, whichever of the two threads comes first.
/// waking.join().unwrap();
/// ```
///
/// A parker can be sent to another thread, but not shared:
///
/// ```compile_fail,E0277
/// fn share<T: Sync>(_: T) {}
/// share(moirai_sync::Parker::new());
/// ```
pub struct Parker {
    inner: Arc<ParkState>,
    /// Makes the parker `!Sync`: two threads that park on it at the same time would break rule 1.
    not_sync: PhantomData<Cell<()>>,
}

/// Wakes the thread that uses a [`Parker`]. Clones wake the same thread.
///
/// It converts into a [`Waker`] without an allocation:
///
/// ```
/// use moirai_sync::Parker;
/// use std::task::Waker;
///
/// let parker = Parker::new();
/// let waker = Waker::from(parker.unparker());
/// waker.wake();
/// parker.park();
/// ```
#[derive(Clone)]
pub struct Unparker {
    inner: Arc<ParkState>,
}

struct ParkState {
    state: AtomicU8,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Parker {
    /// Creates a parker without a token.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(ParkState {
                state: AtomicU8::new(EMPTY),
                lock: Mutex::new(()),
                wake: Condvar::new(),
            }),
            not_sync: PhantomData,
        }
    }

    /// Sleeps until there is a token, and takes it. Does not sleep if there is one already.
    pub fn park(&self) {
        self.inner.park(None);
    }

    /// Sleeps until there is a token, and takes it, or until `limit` has passed. Returns whether it took a token.
    ///
    /// With a limit of zero it does not sleep. A limit that ends beyond what the clock can express, such as `Duration::MAX`, is no
    /// limit.
    pub fn park_timeout(&self, limit: Duration) -> bool {
        if limit.is_zero() {
            return self.inner.take_token();
        }
        self.inner.park(Instant::now().checked_add(limit))
    }

    /// Returns what wakes this parker. It makes no difference whether an unparker is cloned or this is called again.
    #[must_use]
    pub fn unparker(&self) -> Unparker {
        Unparker { inner: Arc::clone(&self.inner) }
    }
}

impl Unparker {
    /// Leaves a token, and wakes the parker's thread if it sleeps. If it does not sleep, this is one atomic operation.
    pub fn unpark(&self) {
        self.inner.unpark();
    }

    /// Returns `true` if there is a token that the parker has not taken yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // Ordering: Relaxed: nothing is read on the strength of it; the thread that takes the token acquires.
        self.inner.state.load(Ordering::Relaxed) == NOTIFIED
    }
}

impl ParkState {
    /// Takes the token if there is one, and leaves the state `EMPTY` (rule 4). Returns whether there was one.
    fn take_token(&self) -> bool {
        // Ordering: Acquire pairs with the Release swap in `unpark`: what the unparkers did before is visible from here on.
        self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Parks until there is a token or the deadline has passed. Returns whether it took a token, which is always so without a
    /// deadline.
    fn park(&self, deadline: Option<Instant>) -> bool {
        if self.take_token() {
            return true;
        }
        let mut guard = self.lock.lock();
        // Under the lock, so that an unparker which finds PARKED can rely on the wait below (rule 3).
        // Ordering: Relaxed: on success nothing is read or published by it, and on failure the swap acquires.
        if self.state.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            // A swap instead of a store, because it must read from the last of the unparkers' swaps (rule 2).
            return self.take_token();
        }
        loop {
            let in_time = match deadline {
                None => {
                    self.wake.wait(&mut guard);
                    true
                }
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    !left.is_zero() && {
                        self.wake.wait_for(&mut guard, left);
                        true
                    }
                }
            };
            if !in_time {
                // A token that came at the last moment is taken, not left for the next park.
                return self.take_token();
            }
            // Ordering: Acquire pairs with the Release swap in `unpark`. If it fails, the wake-up was spurious.
            if self
                .state
                .compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return true;
            }
        }
    }

    fn unpark(&self) {
        // A swap even over a token, because a load that finds one would publish nothing (rule 2).
        // Ordering: Release pairs with the Acquire swap in `take_token` and the Acquire exchange in `park`: what the caller did
        // before is visible to the parker.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            // Otherwise the notification could come between the parker's exchange and its wait, and be lost (rule 3).
            drop(self.lock.lock());
            self.wake.notify_one();
        }
    }
}

impl Wake for ParkState {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

impl From<Unparker> for Waker {
    fn from(unparker: Unparker) -> Self {
        Waker::from(unparker.inner)
    }
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparker").finish_non_exhaustive()
    }
}
