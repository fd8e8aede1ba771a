//! Events: something that happens once.

use crate::block_on::{block_on, block_on_for};
use crate::budget;
use crate::waiters::{WaitQueue, WaiterKey, Wakers};
use moirai_core::shim::sync::atomic::{AtomicBool, Ordering};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// Something that happens once, like a latch. Once it is set it stays set, and all that wait for it go on.
///
/// ```
/// use moirai_sync::Event;
/// use std::sync::Arc;
/// use std::thread;
///
/// let ready = Arc::new(Event::new());
/// let waiting = thread::spawn({
///     let ready = Arc::clone(&ready);
///     move || ready.wait_blocking()
/// });
/// ready.set();
/// waiting.join().unwrap();
///
/// // In async code:
/// futures_lite::future::block_on(ready.wait());
/// assert!(ready.is_set());
/// ```
pub struct Event {
    /// Goes from `false` to `true` once, under the lock of `waiters`.
    set: AtomicBool,
    waiters: WaitQueue,
}

impl Event {
    /// Creates an event that has not happened.
    #[must_use]
    pub fn new() -> Self {
        Self { set: AtomicBool::new(false), waiters: WaitQueue::new() }
    }

    /// Sets the event, and wakes all waiters. If it is set already, this does nothing but load a flag.
    ///
    /// Wakers that panic are contained; see the [crate's guarantees](crate#guarantees).
    pub fn set(&self) {
        self.mark().wake();
    }

    /// Returns `true` if the event is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Ordering: Acquire pairs with the Release store in `mark`: what came before `set` is visible.
        self.set.load(Ordering::Acquire)
    }

    /// Waits until the event is set. The future is ready at once if it is set already.
    pub fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, place: None }
    }

    /// Blocks the thread until the event is set. Async code uses [`wait`](Self::wait) instead.
    pub fn wait_blocking(&self) {
        if !self.is_set() {
            block_on(self.wait());
        }
    }

    /// Blocks the thread until the event is set, for `limit` at most. Returns whether it is set.
    ///
    /// With a limit of zero it only checks, and `Duration::MAX` is no limit.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.is_set() || block_on_for(self.wait(), limit).is_some()
    }

    /// Sets the event, and returns the wakers, which the caller must wake once it holds no lock.
    pub(crate) fn mark(&self) -> Wakers {
        if self.is_set() {
            return Wakers::default();
        }
        let mut list = self.waiters.lock();
        // Ordering: Release pairs with the Acquire load in `is_set`. Threads that load the flag under the lock need no ordering.
        self.set.store(true, Ordering::Release);
        list.take_all()
    }

    pub(crate) fn poll_wait(
        &self,
        place: &mut Option<WaiterKey>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        budget::poll(context, |context| {
            if place.is_none() && self.is_set() {
                return Poll::Ready(());
            }
            // Ordering: Relaxed: the flag is stored under the lock, which is held while this closure runs.
            self.waiters.poll(place, context, || self.set.load(Ordering::Relaxed))
        })
    }

    pub(crate) fn leave(&self, place: &mut Option<WaiterKey>) {
        self.waiters.leave(place);
    }

    #[cfg(all(test, not(moirai_loom)))]
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.lock().len()
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish_non_exhaustive()
    }
}

/// The future that [`Event::wait`] returns. Dropping it ends the wait.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct EventWait<'a> {
    event: &'a Event,
    place: Option<WaiterKey>,
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.event.poll_wait(&mut this.place, context)
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        self.event.leave(&mut self.place);
    }
}
