//! Waiting until all members of a group are done.
//!
//! # Protocol
//!
//! 1. The count is the number of guards. It rises without the lock, by whoever may: the group, or a guard for its clone.
//! 2. It falls without the lock as long as it stays above zero. The step to zero is taken under the lock of the waiters,
//!    in the section that takes them all. (Linux calls this `atomic_dec_and_lock`.)
//! 3. A waiter that finds zero is done; one that does not registers in the section in which it looked. So a group that is
//!    used again owes nothing to those who waited before: who was taken is done, however the count stands by then.

use crate::block_on::{block_on, block_on_for};
use crate::budget;
use crate::waiters::{WaitQueue, WaiterKey, Wakers};
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// Waits until all members of a group are done. Each member holds a [`WaitGroupGuard`] and drops it at its end.
///
/// The group itself is no member, so it can wait more than once, with a limit, from several places, and be used again:
/// a wait ends when the group has been empty at some moment since it began.
///
/// ```
/// use moirai_sync::WaitGroup;
/// use std::thread;
///
/// let group = WaitGroup::new();
/// for i in 0..3 {
///     let guard = group.add();
///     thread::spawn(move || {
///         println!("part {i}");
///         drop(guard);
///     });
/// }
/// group.wait_blocking(); // All three parts are printed.
///
/// // In async code:
/// futures_lite::future::block_on(group.wait());
/// ```
pub struct WaitGroup {
    inner: Arc<Inner>,
}

/// Membership in a [`WaitGroup`]. A clone is one member more; dropping it is the member's end, also in a panic.
#[must_use = "the member is done when its guard is dropped"]
pub struct WaitGroupGuard {
    inner: Arc<Inner>,
}

struct Inner {
    members: AtomicUsize,
    waiters: WaitQueue,
}

impl WaitGroup {
    /// A group without members.
    #[must_use]
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { members: AtomicUsize::new(0), waiters: WaitQueue::new() }) }
    }

    /// Adds a member. Add it before its work is handed out: a wait in between would find the group empty.
    pub fn add(&self) -> WaitGroupGuard {
        Inner::join(&self.inner)
    }

    /// How many members there are now.
    #[must_use]
    pub fn members(&self) -> usize {
        // Ordering: Acquire pairs with the Release of the members' ends: who reads zero sees what they did.
        self.inner.members.load(Ordering::Acquire)
    }

    /// Waits until the group is empty. Ready at once if it is.
    pub fn wait(&self) -> WaitGroupWait<'_> {
        WaitGroupWait { group: self, place: None }
    }

    /// Blocks the thread until the group is empty. Async code uses [`wait`](Self::wait) instead.
    pub fn wait_blocking(&self) {
        if self.members() > 0 {
            block_on(self.wait());
        }
    }

    /// Blocks the thread until the group is empty, at most for `limit`. Says whether it became empty.
    ///
    /// With a limit of zero it only looks; `Duration::MAX` is no limit.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.members() == 0 || block_on_for(self.wait(), limit).is_some()
    }
}

impl Inner {
    fn join(this: &Arc<Self>) -> WaitGroupGuard {
        // Ordering: Relaxed, as for a reference count: whoever adds already may, and publishes nothing by it.
        let before = this.members.fetch_add(1, Ordering::Relaxed);
        // Only guards that are forgotten in a loop get here. Wrapping would end waits too early.
        if before > usize::MAX / 2 {
            std::process::abort();
        }
        WaitGroupGuard { inner: Arc::clone(this) }
    }

    /// Rule 2.
    fn leave(&self) {
        let mut members = self.members.load(Ordering::Relaxed);
        while members > 1 {
            // Ordering: Release pairs with the Acquire of the last member's step, or of the waiter that reads its zero.
            match self.members.compare_exchange_weak(
                members,
                members - 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => members = now,
            }
        }
        let mut list = self.waiters.lock();
        // Ordering: Acquire pairs with the Release of those who left before, so that the lock hands on to the waiters what
        // all members did; Release pairs with the Acquire load of a waiter that takes no lock.
        let wakers = if self.members.fetch_sub(1, Ordering::AcqRel) == 1 {
            list.take_all()
        } else {
            Wakers::default() // Somebody joined since.
        };
        drop(list);
        wakers.wake();
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("members", &self.members()).finish_non_exhaustive()
    }
}

impl Clone for WaitGroupGuard {
    fn clone(&self) -> Self {
        Inner::join(&self.inner)
    }
}

impl Drop for WaitGroupGuard {
    fn drop(&mut self) {
        self.inner.leave();
    }
}

impl fmt::Debug for WaitGroupGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupGuard").finish_non_exhaustive()
    }
}

/// The future that [`WaitGroup::wait`] returns. Dropping it stops waiting.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct WaitGroupWait<'a> {
    group: &'a WaitGroup,
    place: Option<WaiterKey>,
}

impl Future for WaitGroupWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        budget::poll(context, |context| {
            if this.place.is_none() && this.group.members() == 0 {
                return Poll::Ready(());
            }
            let inner = &this.group.inner;
            // Ordering: Relaxed, since the step to zero is taken under the lock that is held where this runs.
            let empty = || inner.members.load(Ordering::Relaxed) == 0;
            inner.waiters.poll(&mut this.place, context, empty)
        })
    }
}

impl Drop for WaitGroupWait<'_> {
    fn drop(&mut self) {
        self.group.inner.waiters.leave(&mut self.place);
    }
}
