//! A number of permits, and a fair queue of those who wait for one.
//!
//! # Protocol
//!
//! `word` holds the number of free permits, and in its lowest bit whether somebody may be waiting.
//!
//! 1. Without waiters a permit is taken and given back by one exchange on `word`. Who finds the bit set, or no permit, queues.
//! 2. The bit is set and cleared under the lock of the queue only. Whoever queues sets it in an exchange that finds no permit free;
//!    so a permit that is given back after that finds the bit, and goes to the queue.
//! 3. Who gives a permit back and finds the bit takes the lock. If somebody waits, the one who came first is taken out of the
//!    queue: that is how it has the permit. If nobody does, the permit is added to `word`, and the bit cleared, in one exchange.
//! 4. So while the bit is set no permit is free, and nobody who comes later overtakes the queue.
//! 5. Who waits has a number. Not to find it in the queue any more is to have been given the permit. Closing leaves the numbers
//!    there, and takes the wakers alone; after it nobody is taken out by others.
//! 6. Wakers are foreign code: cloned before the lock is taken, woken and dropped after it was let go.

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

/// Somebody may be waiting.
const QUEUED: usize = 1;
/// One permit.
const PERMIT: usize = 2;

/// Limits how many do something at the same time.
///
/// Permits go to those who wait in the order in which they came. A permit is given back by [`release`](Self::release), or when its
/// [`Permit`] is dropped.
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
    /// Without a waker once the semaphore is closed.
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
    closed: bool,
}

/// The semaphore was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreClosed;

impl fmt::Display for SemaphoreClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was closed")
    }
}

impl std::error::Error for SemaphoreClosed {}

impl Semaphore {
    /// The most permits there can be.
    pub const MAX_PERMITS: usize = usize::MAX >> 2;

    /// So many permits, at most [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[must_use]
    pub fn new(permits: usize) -> Self {
        let permits = permits.min(Self::MAX_PERMITS);
        Self { word: AtomicUsize::new(permits * PERMIT), queue: Mutex::new(PermitQueue::default()) }
    }

    /// How many permits are free.
    #[must_use]
    pub fn available(&self) -> usize {
        // Ordering: Relaxed: a hint.
        self.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Takes a permit, if one is free and nobody waits.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take().then(|| Permit(self))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire { semaphore: self, number: None }
    }

    /// Blocks the thread until it has a permit. Async code uses [`acquire`](Self::acquire) instead.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    pub fn acquire_blocking(&self) -> Result<Permit<'_>, SemaphoreClosed> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => block_on(self.acquire()),
        }
    }

    /// Adds a permit: one that was [forgotten](Permit::forget), or a new one.
    pub fn release(&self) {
        // Ordering: Relaxed: only where to begin.
        let mut word = self.word.load(Ordering::Relaxed);
        // Rule 1.
        while word & QUEUED == 0 {
            // Ordering: Release: what was done with the permit happens before whatever the next one does with it.
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
                // Rule 3. Under the lock the bit stays, and while it is set the number does.
                // Ordering: Release, as above.
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

    /// Refuses whoever waits, or comes to wait, from now on. Free permits can still be taken.
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

    /// Rule 1.
    fn take(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `release`.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                (word & QUEUED == 0 && word >= PERMIT).then(|| word - PERMIT)
            })
            .is_ok()
    }

    /// Rule 2: takes a permit, or sets the bit. Under the lock.
    fn take_or_mark(&self) -> bool {
        // Ordering: Acquire, as in `take`. Under the lock, which orders everything about the queue.
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

/// A permit of a [`Semaphore`], given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the permit back"]
pub struct Permit<'a>(&'a Semaphore);

impl Permit<'_> {
    /// Keeps the permit taken, until somebody calls [`Semaphore::release`] for it.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Waits for a permit. Made by [`Semaphore::acquire`]. Dropping it gives the place in the queue up, or the permit back.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    /// The place in the queue.
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
        drop(spare); // Rule 6.
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
        drop(place); // Rule 6.
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
    fn who_came_first_is_served_first_and_nobody_overtakes() {
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
    fn who_gives_up_passes_the_permit_on() {
        let semaphore = Semaphore::new(1);
        let held = semaphore.try_acquire().unwrap();
        let (mut gone, mut first, mut second) =
            (semaphore.acquire(), semaphore.acquire(), semaphore.acquire());
        for waiting in [&mut gone, &mut first, &mut second] {
            assert!(poll(waiting).is_pending());
        }
        drop(gone);
        drop(held);
        // Given to the first, who does not come for it.
        drop(first);
        assert!(poll(&mut second).is_ready());
        assert_eq!(semaphore.available(), 1);
        assert!(semaphore.try_acquire().is_some());
    }

    #[test]
    fn closing_refuses_who_waits() {
        let semaphore = Semaphore::new(0);
        let mut waiting = pin!(semaphore.acquire());
        assert!(poll(&mut waiting).is_pending());
        semaphore.close();
        assert!(matches!(poll(&mut waiting), Poll::Ready(Err(SemaphoreClosed))));
        assert!(semaphore.acquire_blocking().is_err());
    }

    #[test]
    fn no_more_than_the_permits_are_inside() {
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
