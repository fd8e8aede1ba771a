//! A semaphore: a number of permits, and a fair queue of those that wait for one.
//!
//! # Protocol
//!
//! `word` holds the number of free permits and, in its lowest bit, whether there may be waiters.
//!
//! 1. While there are no waiters, a permit is taken or given back by one exchange on `word`. A caller that wants a permit, and
//!    finds the bit set or no permit free, queues.
//! 2. The bit is set and cleared only under the lock of the queue. A waiter that queues sets it in an exchange that finds no permit
//!    free. So a permit that is given back after that finds the bit set, and goes to the queue.
//! 3. A caller that gives a permit back and finds the bit set takes the lock. If there are waiters, the one that came first is
//!    removed from the queue, which is how it gets the permit. If there are none, or the semaphore is closed, the permit is added
//!    to `word` and the bit cleared in one exchange.
//! 4. So no permit is free while the bit is set, and no later caller overtakes the queue.
//! 5. Each waiter has a number. If it no longer finds its number in the queue, it has been given a permit. Closing leaves the
//!    numbers in the queue and takes only the wakers; from then on only the waiters themselves remove numbers.
//! 6. Wakers are user code: they are cloned before the lock is taken, and woken and dropped after it has been released.

use crate::block_on::block_on;
use crate::budget;
use moirai_core::panics::contain;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The bit of `word` that is set if there may be waiters.
const QUEUED: usize = 1;
/// One permit in `word`.
const PERMIT: usize = 2;

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
pub struct Semaphore {
    word: AtomicUsize,
    queue: Mutex<PermitQueue>,
}

#[derive(Default)]
struct PermitQueue {
    /// The wakers by number; `None` once the semaphore is closed.
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
    closed: bool,
}

/// The error of a wait for a permit: the semaphore was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreClosed;

impl fmt::Display for SemaphoreClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was closed")
    }
}

impl std::error::Error for SemaphoreClosed {}

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_PERMITS: usize = usize::MAX >> 2;

    /// Creates a semaphore with this number of permits, or with [`MAX_PERMITS`](Self::MAX_PERMITS) if that is less.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        let permits = permits.min(Self::MAX_PERMITS);
        Self { word: AtomicUsize::new(permits * PERMIT), queue: Mutex::new(PermitQueue::default()) }
    }

    /// Returns the number of free permits. It may change at any time.
    #[must_use]
    pub fn available(&self) -> usize {
        // Ordering: Relaxed: only a hint.
        self.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Takes a permit if one is free. Returns `None` otherwise, so also if there are waiters.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take().then(|| Permit(self))
    }

    /// Waits for a permit.
    ///
    /// The place in the queue is taken when the future is first polled, not by this call.
    ///
    /// # Errors
    ///
    /// [`SemaphoreClosed`] if the semaphore is closed and no permit is free.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire { semaphore: self, number: None }
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
    /// It may be a permit that was [forgotten](Permit::forget), or a new one. The caller must not add more than
    /// [`MAX_PERMITS`](Self::MAX_PERMITS) in all, which is not checked.
    pub fn release(&self) {
        // Ordering: Relaxed: only a first guess, which the exchange checks.
        let mut word = self.word.load(Ordering::Relaxed);
        // Gives the permit back by one exchange, unless there may be waiters (rule 1).
        while word & QUEUED == 0 {
            // Ordering: Release pairs with the Acquire updates in `take` and `take_or_mark`: what was done with the permit is
            // visible to the next holder, which could miss it with less. Every change of `word` is a read-modify-write, so that
            // holds also if others come in between.
            match self.word.compare_exchange_weak(
                word,
                word + PERMIT,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
        let first = {
            let mut queue = self.queue.lock();
            let first = if queue.closed { None } else { queue.waiting.pop_first() };
            if first.is_none() {
                // There is no waiter, so the permit becomes free (rule 3). The bit does not change while the lock is held, and the
                // number of permits does not change while the bit is set.
                // Ordering: Release pairs with the Acquire update in `take`, which is made without the lock. What goes through the
                // queue is ordered by the lock.
                let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
                    Some((word & !QUEUED) + PERMIT)
                });
            }
            first
        };
        if let Some((_, Some(waker))) = first {
            contain(|| waker.wake());
        }
    }

    /// Closes the semaphore: present waiters, and later ones that find no permit free, get [`SemaphoreClosed`].
    ///
    /// Permits that are free can still be taken, and permits can still be given back. Closing cannot be undone.
    pub fn close(&self) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            queue.waiting.values_mut().filter_map(Option::take).collect::<Vec<_>>()
        };
        for waker in waiting {
            contain(|| waker.wake());
        }
    }

    /// Takes a permit if one is free (rule 1). Returns whether it did.
    fn take(&self) -> bool {
        // Ordering: Acquire pairs with the Release exchange and the Release update in `release`: what was done with the permit
        // before is visible.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                (word & QUEUED == 0 && word >= PERMIT).then(|| word - PERMIT)
            })
            .is_ok()
    }

    /// Takes a permit if one is free, and otherwise sets the bit (rule 2). Returns whether it took one. The caller holds the lock.
    fn take_or_mark(&self) -> bool {
        // Ordering: Acquire pairs with the Release exchange in `release`, as in `take`: the caller holds the lock, but that
        // exchange is made without it. All that concerns the queue is ordered by the lock.
        let before = self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
            Some(if word & QUEUED == 0 && word >= PERMIT { word - PERMIT } else { word | QUEUED })
        });
        before.is_ok_and(|before| before & QUEUED == 0 && before >= PERMIT)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish_non_exhaustive()
    }
}

/// A permit of a [`Semaphore`], which is given back when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the permit back"]
pub struct Permit<'a>(&'a Semaphore);

impl Permit<'_> {
    /// Keeps the permit taken, until [`Semaphore::release`] is called for it.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The future that [`Semaphore::acquire`] returns.
///
/// Dropping it leaves the queue. If it has been given a permit by then, the permit goes to the next waiter. A future that is polled
/// again after it was ready waits for another permit.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    /// The waiter's number, while it is in the queue.
    number: Option<u64>,
}

impl<'a> Acquire<'a> {
    fn poll_acquire(&mut self, context: &Context<'_>) -> Poll<Result<Permit<'a>, SemaphoreClosed>> {
        let semaphore = self.semaphore;
        if self.number.is_none() && semaphore.take() {
            return Poll::Ready(Ok(Permit(semaphore)));
        }
        let waker = context.waker().clone();
        let mut queue = semaphore.queue.lock();
        let PermitQueue { waiting, next, closed } = &mut *queue;
        let (answer, spare) = match self.number {
            Some(number) => match waiting.get_mut(&number) {
                None => {
                    self.number = None;
                    (Poll::Ready(Ok(Permit(semaphore))), Some(waker))
                }
                Some(_) if *closed => {
                    self.number = None;
                    let place = waiting.remove(&number).flatten();
                    (Poll::Ready(Err(SemaphoreClosed)), place.or(Some(waker)))
                }
                Some(place) => (Poll::Pending, place.replace(waker)),
            },
            None if *closed => (Poll::Ready(Err(SemaphoreClosed)), Some(waker)),
            None if semaphore.take_or_mark() => (Poll::Ready(Ok(Permit(semaphore))), Some(waker)),
            None => {
                self.number = Some(*next);
                waiting.insert(*next, Some(waker));
                *next += 1;
                (Poll::Pending, None)
            }
        };
        drop(queue);
        drop(spare); // With no lock held (rule 6).
        answer
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, SemaphoreClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        budget::poll(context, |context| self.poll_acquire(context))
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number.take() else {
            return;
        };
        let mut queue = self.semaphore.queue.lock();
        let place = queue.waiting.remove(&number);
        let given = place.is_none();
        drop(queue);
        drop(place); // With no lock held (rule 6).
        if given {
            self.semaphore.release();
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::thread;

    fn poll<'a>(acquire: &mut Acquire<'a>) -> Poll<Result<Permit<'a>, SemaphoreClosed>> {
        Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn waiters_get_permits_in_the_order_in_which_they_came() {
        let semaphore = Semaphore::new(1);
        let held = semaphore.try_acquire().unwrap();
        let (mut first, mut second) = (semaphore.acquire(), semaphore.acquire());
        assert!(poll(&mut first).is_pending());
        assert!(poll(&mut second).is_pending());
        drop(held);
        assert!(semaphore.try_acquire().is_none(), "the permit is the first one's");
        assert!(poll(&mut second).is_pending());
        let Poll::Ready(Ok(permit)) = poll(&mut first) else { panic!("the first was served") };
        permit.forget();
        semaphore.release();
        assert!(poll(&mut second).is_ready());
        assert_eq!(semaphore.available(), 1);
    }

    #[test]
    fn a_waiter_that_gives_up_passes_its_permit_on() {
        let semaphore = Semaphore::new(1);
        let held = semaphore.try_acquire().unwrap();
        let (mut gone, mut first, mut second) =
            (semaphore.acquire(), semaphore.acquire(), semaphore.acquire());
        for waiting in [&mut gone, &mut first, &mut second] {
            assert!(poll(waiting).is_pending());
        }
        drop(gone);
        drop(held);
        // This gives the permit to the first waiter, which is dropped without having been polled again.
        drop(first);
        assert!(poll(&mut second).is_ready());
        assert_eq!(semaphore.available(), 1);
        assert!(semaphore.try_acquire().is_some());
    }

    #[test]
    fn closing_refuses_waiters() {
        let semaphore = Semaphore::new(0);
        let mut waiting = pin!(semaphore.acquire());
        assert!(poll(&mut waiting).is_pending());
        semaphore.close();
        assert!(matches!(poll(&mut waiting), Poll::Ready(Err(SemaphoreClosed))));
        assert!(semaphore.acquire_blocking().is_err());
    }

    #[test]
    fn no_more_threads_are_inside_than_there_are_permits() {
        let semaphore = Arc::new(Semaphore::new(3));
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
                thread::spawn(move || {
                    for _ in 0..2_000 {
                        let _permit = semaphore.acquire_blocking().unwrap();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.available(), 3);
    }
}
