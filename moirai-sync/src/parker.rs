//! Putting one thread to sleep and waking it again.
//!
//! # Protocol
//!
//! One word holds `EMPTY`, `PARKED` or `NOTIFIED`; the last is the token.
//!
//! 1. Only the parker's thread writes `EMPTY` and `PARKED`; only unparkers write `NOTIFIED`.
//! 2. An unparker swaps `NOTIFIED` in, always, even over a token: the swap is what publishes its work, and the parker's
//!    next swap acquires from every unparker that came before it. If it found `PARKED`, and only then, it takes the lock.
//! 3. The parker goes from `EMPTY` to `PARKED` under the lock, and lets the lock go only by waiting on the condition. So an
//!    unparker that found `PARKED` and then gets the lock knows that the parker waits, and its notification is not lost.
//! 4. The parker leaves with the state `EMPTY`, whether it took a token or ran out of time.
//!
//! The shape is that of crossbeam's and of the standard library's generic parker.

use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
// `Wake` asks for this very `Arc`, so under loom, too, the count is the standard library's. No rule above leans on it.
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

/// The right to sleep until woken. It belongs to one thread at a time; what wakes it is an [`Unparker`].
///
/// A parker has room for one token. [`Unparker::unpark`] puts it there, [`park`](Self::park) takes it and returns, at once
/// if it is there already. Parking never returns without a token, except at the end of a
/// [`park_timeout`](Self::park_timeout).
///
/// ```
/// use moirai_sync::Parker;
/// use std::thread;
///
/// let parker = Parker::new();
/// let unparker = parker.unparker();
/// let waking = thread::spawn(move || unparker.unpark());
/// parker.park(); // Returns, whichever of the two threads came first.
/// waking.join().unwrap();
/// ```
///
/// It can be sent to another thread but not shared:
///
/// ```compile_fail,E0277
/// fn share<T: Sync>(_: T) {}
/// share(moirai_sync::Parker::new());
/// ```
pub struct Parker {
    inner: Arc<ParkState>,
    /// Two threads that park on one parker would break rule 1.
    not_sync: PhantomData<Cell<()>>,
}

/// The right to wake the thread that holds the [`Parker`].
///
/// It turns into a [`Waker`] without an allocation:
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
    /// A parker without a token.
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

    /// Sleeps until there is a token, and takes it.
    pub fn park(&self) {
        self.inner.park(None);
    }

    /// Sleeps until there is a token, and takes it, or until `limit` has passed. Says whether it took a token.
    ///
    /// With a limit of zero it only looks. A limit that ends beyond what the clock can say, as `Duration::MAX` does, is none.
    pub fn park_timeout(&self, limit: Duration) -> bool {
        if limit.is_zero() {
            return self.inner.take_token();
        }
        self.inner.park(Instant::now().checked_add(limit))
    }

    /// What wakes this parker, to be given away. Clones of one are as good as several.
    #[must_use]
    pub fn unparker(&self) -> Unparker {
        Unparker { inner: Arc::clone(&self.inner) }
    }
}

impl Unparker {
    /// Leaves a token, and wakes the parker if it sleeps. Costs one atomic operation if it does not sleep.
    pub fn unpark(&self) {
        self.inner.unpark();
    }

    /// Whether a token was left that the parker has not taken.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // Ordering: Relaxed: nothing is read by it; whoever takes the token acquires.
        self.inner.state.load(Ordering::Relaxed) == NOTIFIED
    }
}

impl ParkState {
    /// Takes the token if there is one. Rule 4.
    fn take_token(&self) -> bool {
        // Ordering: Acquire pairs with the Release swap in `unpark`: what the unparkers did first is visible from here.
        self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Whether a token was taken; without a deadline always.
    fn park(&self, deadline: Option<Instant>) -> bool {
        if self.take_token() {
            return true;
        }
        let mut guard = self.lock.lock();
        // Rule 3.
        // Ordering: Relaxed, since on success nothing is read or published by it, and on failure the swap acquires.
        if self.state.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            // Not a plain store: by rule 2 it has to read the last of the unparkers' swaps.
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
                // A token that came with the last moment is taken, not left behind.
                return self.take_token();
            }
            // Ordering: Acquire pairs with the Release swap in `unpark`. On failure the wake was spurious.
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
        // Ordering: Release pairs with the Acquire swaps and exchange of the parker. Rule 2: a swap even over a token,
        // because a load that finds one would publish nothing.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            // Rule 3: without this the notification could fall between the parker's exchange and its wait.
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
