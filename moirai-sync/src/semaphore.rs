//! A semaphore: a number of permits, and a fair queue of those that wait for some.
//!
//! The protocol is in the folder's file `permits.rs`.

use crate::block_on::block_on;
use crate::budget;
use permits::{MAX_PERMITS, Permits, Waiter};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

mod permits;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use permits::SemaphoreClosed;

/// A semaphore, which limits how many tasks or threads do something at the same time.
///
/// Waiters get permits in the order in which they came, and no later caller overtakes them. A permit is given back when its
/// [`Permit`] is dropped, or, if that was [forgotten](Permit::forget), by [`release`](Self::release).
///
/// ```
/// use moirai_sync::Semaphore;
/// # futures_lite::future::block_on(async {
/// let connections = Semaphore::new(2);
/// let first = connections.acquire().await.unwrap();
/// let second = connections.try_acquire().unwrap();
/// assert!(connections.try_acquire().is_none());
/// drop(first);
/// assert_eq!(connections.available(), 1);
/// # });
/// ```
///
/// # Several permits at once
///
/// A caller may want several permits, for a piece of work that weighs more than others. It waits for them in one place of the
/// queue: when it is the first, it is given permits as they come, until it has all. Nobody gets past it meanwhile, so those that
/// want few do not starve one that wants many. The other side of this is that a caller that wants more permits than are ever given
/// back holds up all that come after it, until it gives up.
///
/// ```
/// use moirai_sync::Semaphore;
/// use std::sync::Arc;
/// # futures_lite::future::block_on(async {
/// /// How many megabytes may be in use at the same time.
/// let memory = Arc::new(Semaphore::new(512));
/// let large = memory.acquire_many_owned(500).await.unwrap();
/// assert!(memory.try_acquire_many(100).is_none());
/// // An owned permit can be given to another thread or task.
/// std::thread::spawn(move || drop(large)).join().unwrap();
/// assert_eq!(memory.try_acquire_many(100).unwrap().count(), 100);
/// # });
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_PERMITS: usize = MAX_PERMITS;

    /// Creates a semaphore with this number of permits, or with [`MAX_PERMITS`](Self::MAX_PERMITS) if that is less.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self { permits: Permits::new(permits) }
    }

    /// Returns the number of free permits. It may change at any time.
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.available()
    }

    /// Takes a permit if one is free. Returns `None` otherwise, so also if there are waiters.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes several permits at once if they are free. Returns `None` otherwise, so also if there are waiters. None at all can
    /// always be taken.
    pub fn try_acquire_many(&self, count: usize) -> Option<Permit<'_>> {
        self.permits.take(count).then(|| Permit { semaphore: self, count })
    }

    /// Takes a permit if one is free, as [`try_acquire`](Self::try_acquire) does, that owns the semaphore instead of borrowing it.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedPermit> {
        self.try_acquire_many_owned(1)
    }

    /// Takes several permits at once if they are free, as [`try_acquire_many`](Self::try_acquire_many) does, that own the semaphore
    /// instead of borrowing it.
    pub fn try_acquire_many_owned(self: &Arc<Self>, count: usize) -> Option<OwnedPermit> {
        self.permits.take(count).then(|| OwnedPermit { semaphore: Arc::clone(self), count })
    }

    /// Waits for a permit.
    ///
    /// The place in the queue is taken when the future is first polled, not by this call.
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and no permit is free.
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Waits for several permits at once, in one place of the queue. With a count of zero it is ready at once, also if the
    /// semaphore is closed.
    ///
    /// ```
    /// use moirai_sync::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let readers = Semaphore::new(64);
    /// let one = readers.acquire().await.unwrap();
    /// drop(one);
    /// // A writer wants to be alone.
    /// let all = readers.acquire_many(64).await.unwrap();
    /// assert_eq!(readers.available(), 0);
    /// # drop(all);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and too few permits are free.
    pub fn acquire_many(&self, count: usize) -> Acquire<'_> {
        Acquire { semaphore: self, waiter: Waiter::new(count) }
    }

    /// Waits for a permit, as [`acquire`](Self::acquire) does, that owns the semaphore instead of borrowing it: it can be moved
    /// into a task.
    ///
    /// ```
    /// use moirai_sync::Semaphore;
    /// use std::sync::Arc;
    /// # futures_lite::future::block_on(async {
    /// let connections = Arc::new(Semaphore::new(1));
    /// let permit = connections.acquire_owned().await.unwrap();
    /// let serves = std::thread::spawn(move || {
    ///     // … until the connection is closed.
    ///     drop(permit);
    /// });
    /// connections.acquire().await.unwrap();
    /// # serves.join().unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and no permit is free.
    pub fn acquire_owned(self: &Arc<Self>) -> AcquireOwned {
        self.acquire_many_owned(1)
    }

    /// Waits for several permits at once, as [`acquire_many`](Self::acquire_many) does, that own the semaphore instead of borrowing
    /// it.
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and too few permits are free.
    pub fn acquire_many_owned(self: &Arc<Self>, count: usize) -> AcquireOwned {
        AcquireOwned { semaphore: Arc::clone(self), waiter: Waiter::new(count) }
    }

    /// Blocks the thread until it has a permit. Async code uses [`acquire`](Self::acquire) instead.
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and no permit is free.
    pub fn acquire_blocking(&self) -> Result<Permit<'_>, SemaphoreClosed> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => block_on(self.acquire()),
        }
    }

    /// Adds a permit, and gives it to the first waiter if there is one.
    ///
    /// It may be a permit that was [forgotten](Permit::forget), or a new one. There are never more than
    /// [`MAX_PERMITS`](Self::MAX_PERMITS) free; what is more is lost.
    pub fn release(&self) {
        self.release_many(1);
    }

    /// Adds several permits at once, and gives them to the waiters in the order in which they came; see [`release`](Self::release).
    pub fn release_many(&self, count: usize) {
        self.permits.release(count);
    }

    /// Closes the semaphore: present waiters, and later ones that find too few permits free, get [`SemaphoreClosed`].
    ///
    /// Permits that are free can still be taken, and permits can still be given back. Closing cannot be undone.
    pub fn close(&self) {
        self.permits.close();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish_non_exhaustive()
    }
}

/// A permit of a [`Semaphore`], or several, which are given back when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the permit back"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Returns how many permits these are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keeps the permits taken, until [`Semaphore::release`] is called for each, or [`Semaphore::release_many`] for all.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release_many(self.count);
    }
}

/// A permit of a [`Semaphore`] in an [`Arc`], or several, which are given back when this is dropped. It borrows nothing, so it can
/// be moved into a task or to another thread.
#[derive(Debug)]
#[must_use = "dropping it gives the permit back"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl OwnedPermit {
    /// Returns how many permits these are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the semaphore.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Keeps the permits taken, until [`Semaphore::release`] is called for each, or [`Semaphore::release_many`] for all.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.release_many(self.count);
    }
}

/// The future that [`Semaphore::acquire`] and [`Semaphore::acquire_many`] return.
///
/// Dropping it leaves the queue. What it has been given by then goes to the next waiters. A future that is polled again after it
/// was ready waits for other permits.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    waiter: Waiter,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, SemaphoreClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, waiter } = &mut *self;
        let count = waiter.wanted();
        ready!(budget::poll(context, |context| waiter.poll(&semaphore.permits, context)))?;
        Poll::Ready(Ok(Permit { semaphore, count }))
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        self.waiter.leave(&self.semaphore.permits);
    }
}

/// The future that [`Semaphore::acquire_owned`] and [`Semaphore::acquire_many_owned`] return. It behaves as [`Acquire`] does.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AcquireOwned {
    semaphore: Arc<Semaphore>,
    waiter: Waiter,
}

impl Future for AcquireOwned {
    type Output = Result<OwnedPermit, SemaphoreClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, waiter } = &mut *self;
        let count = waiter.wanted();
        ready!(budget::poll(context, |context| waiter.poll(&semaphore.permits, context)))?;
        Poll::Ready(Ok(OwnedPermit { semaphore: Arc::clone(semaphore), count }))
    }
}

impl Drop for AcquireOwned {
    fn drop(&mut self) {
        self.waiter.leave(&self.semaphore.permits);
    }
}
