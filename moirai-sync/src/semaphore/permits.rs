//! The permits of a semaphore, and the queue of those that wait for some.
//!
//! # Protocol
//!
//! `word` holds the number of free permits and, in its lowest bit, whether there may be waiters.
//!
//! 1. While there are no waiters, permits are taken or given back by one exchange on `word`. A caller that finds the bit set, or
//!    fewer permits free than it wants, queues.
//! 2. The bit is set and cleared only under the lock of the queue. A waiter that queues sets it in the exchange by which it takes
//!    the permits that are free, if there are any; they are fewer than it wants. So a permit that is given back after that finds
//!    the bit set, and goes to the queue.
//! 3. A caller that gives permits back and finds the bit set takes the lock. The waiter that came first is given permits until it
//!    has all that it wants; then it is removed from the queue, which is how it learns of it, and the next one is given the rest.
//!    What is left when there are no waiters, or when the semaphore is closed, is added to `word`, and the bit cleared in the same
//!    exchange.
//! 4. So no permit is free while the bit is set, no later caller overtakes the queue, and only the first waiter may have been given
//!    some permits and lack others. One that wants many is not starved by those that want few.
//! 5. Each waiter has a number. If it no longer finds its number in the queue, it has been given all its permits. Closing leaves
//!    the numbers in the queue and takes only the wakers, and what the first waiter has been given; from then on only the waiters
//!    themselves remove numbers.
//! 6. A waiter that gives up removes its number, and gives back what it has been given, under rule 3.
//! 7. Wakers are user code: they are cloned before the lock is taken, and woken and dropped after it has been released.

use moirai_core::panics::contain;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::fmt;
use std::task::{Context, Poll, Waker};

/// The bit of `word` that is set if there may be waiters.
const QUEUED: usize = 1;
/// One permit in `word`.
const PERMIT: usize = 2;
/// The largest number of permits.
pub(super) const MAX_PERMITS: usize = usize::MAX >> 2;

/// The error of a wait for a permit: the semaphore was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreClosed;

impl fmt::Display for SemaphoreClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was closed")
    }
}

impl std::error::Error for SemaphoreClosed {}

pub(super) struct Permits {
    word: AtomicUsize,
    queue: Mutex<PermitQueue>,
}

#[derive(Default)]
struct PermitQueue {
    /// The waiters by number.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    closed: bool,
}

struct Waiting {
    /// `None` once the semaphore is closed.
    waker: Option<Waker>,
    /// The number of permits that it has been given, and of those that it lacks, of which there is at least one.
    given: usize,
    missing: usize,
}

impl Permits {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            word: AtomicUsize::new(permits.min(MAX_PERMITS) * PERMIT),
            queue: Mutex::new(PermitQueue::default()),
        }
    }

    /// The number of free permits. It may change at any time.
    pub(super) fn available(&self) -> usize {
        // Ordering: Relaxed: only a hint.
        self.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Takes this number of permits if they are free (rule 1). Returns whether it did.
    pub(super) fn take(&self, wanted: usize) -> bool {
        if wanted == 0 {
            return true;
        }
        // Ordering: Acquire pairs with the Release exchange and the Release update in `release`: what was done with the permits
        // before is visible.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                can_take(word, wanted).then(|| word - wanted * PERMIT)
            })
            .is_ok()
    }

    /// Takes this number of permits if they are free, and otherwise takes those that are, and sets the bit (rule 2). Returns how
    /// many it took. The caller holds the lock.
    fn take_or_mark(&self, wanted: usize) -> usize {
        // Ordering: Acquire pairs with the Release exchange in `release`, as in `take`: the caller holds the lock, but that
        // exchange is made without it. All that concerns the queue is ordered by the lock.
        let before = self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
            Some(if can_take(word, wanted) { word - wanted * PERMIT } else { QUEUED })
        });
        before.map_or(0, |before| (before / PERMIT).min(wanted))
    }

    /// Gives permits back: to the waiters in the order in which they came, and what is left to whoever comes.
    pub(super) fn release(&self, permits: usize) {
        if permits == 0 {
            return;
        }
        // Ordering: Relaxed: only a first guess, which the exchange checks.
        let mut word = self.word.load(Ordering::Relaxed);
        // Gives the permits back by one exchange, unless there may be waiters (rule 1).
        while word & QUEUED == 0 {
            // Ordering: Release pairs with the Acquire updates in `take` and `take_or_mark`: what was done with the permits is
            // visible to the next holder, which could miss it with less. Every change of `word` is a read-modify-write, so that
            // holds also if others come in between.
            match self.word.compare_exchange_weak(
                word,
                with_more(word, permits),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
        let mut served = Served::default();
        {
            let mut queue = self.queue.lock();
            let left = queue.give(permits, &mut served);
            if left > 0 {
                // There is no waiter, so the permits become free (rule 3). The bit does not change while the lock is held, and the
                // number of permits does not change while the bit is set.
                // Ordering: Release pairs with the Acquire update in `take`, which is made without the lock. What goes through the
                // queue is ordered by the lock.
                let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
                    Some(with_more(word & !QUEUED, left))
                });
            }
        }
        served.wake(); // With no lock held (rule 7).
    }

    /// Refuses present waiters, and later ones that find too few permits free.
    pub(super) fn close(&self) {
        let (wakers, given) = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            let mut given = 0;
            let mut wakers = Vec::new();
            for place in queue.waiting.values_mut() {
                given += std::mem::take(&mut place.given);
                wakers.extend(place.waker.take());
            }
            (wakers, given)
        };
        self.release(given);
        for waker in wakers {
            contain(|| waker.wake());
        }
    }
}

impl PermitQueue {
    /// Gives permits to the waiters (rule 3), and returns how many are left because there are no more waiters.
    fn give(&mut self, permits: usize, served: &mut Served) -> usize {
        let mut left = permits;
        while left > 0
            && !self.closed
            && let Some(mut first) = self.waiting.first_entry()
        {
            let place = first.get_mut();
            let now = left.min(place.missing);
            place.given += now;
            place.missing -= now;
            left -= now;
            if place.missing == 0 {
                served.add(first.remove().waker);
            }
        }
        left
    }
}

/// The wakers of waiters that have been given their permits. One of them needs no memory.
#[derive(Default)]
struct Served {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Served {
    fn add(&mut self, waker: Option<Waker>) {
        match self.first {
            None => self.first = waker,
            Some(_) => self.others.extend(waker),
        }
    }

    /// Wakes all. The panic of a waker is contained, so that the others are woken nevertheless.
    fn wake(self) {
        for waker in self.first.into_iter().chain(self.others) {
            contain(|| waker.wake());
        }
    }
}

/// Returns whether this number of permits can be taken without queueing.
fn can_take(word: usize, wanted: usize) -> bool {
    word & QUEUED == 0 && word / PERMIT >= wanted
}

/// Returns the word with more free permits, up to the largest number.
fn with_more(word: usize, permits: usize) -> usize {
    debug_assert_eq!(word & QUEUED, 0, "permits do not become free while there may be waiters");
    (word / PERMIT).saturating_add(permits).min(MAX_PERMITS) * PERMIT
}

/// Somebody that wants permits: the part of the futures that is the same for all.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Its number, while it is in the queue.
    number: Option<u64>,
    wanted: usize,
}

impl Waiter {
    pub(super) fn new(wanted: usize) -> Self {
        Self { number: None, wanted }
    }

    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Takes the permits, or registers the waker. One that has taken its permits wants as many again.
    pub(super) fn poll(
        &mut self,
        permits: &Permits,
        context: &Context<'_>,
    ) -> Poll<Result<(), SemaphoreClosed>> {
        if self.number.is_none() && permits.take(self.wanted) {
            return Poll::Ready(Ok(()));
        }
        let waker = context.waker().clone();
        let mut queue = permits.queue.lock();
        let PermitQueue { waiting, next, closed } = &mut *queue;
        let (answer, spare) = match self.number {
            Some(number) => match waiting.get_mut(&number) {
                None => {
                    self.number = None;
                    (Poll::Ready(Ok(())), Some(waker))
                }
                Some(_) if *closed => {
                    self.number = None;
                    let place = waiting.remove(&number).and_then(|place| place.waker);
                    (Poll::Ready(Err(SemaphoreClosed)), place.or(Some(waker)))
                }
                Some(place) => (Poll::Pending, place.waker.replace(waker)),
            },
            None if *closed => (Poll::Ready(Err(SemaphoreClosed)), Some(waker)),
            None => match permits.take_or_mark(self.wanted) {
                given if given == self.wanted => (Poll::Ready(Ok(())), Some(waker)),
                given => {
                    let place = Waiting { waker: Some(waker), given, missing: self.wanted - given };
                    self.number = Some(*next);
                    waiting.insert(*next, place);
                    *next += 1;
                    (Poll::Pending, None)
                }
            },
        };
        drop(queue);
        drop(spare); // With no lock held (rule 7).
        answer
    }

    /// Leaves the queue (rule 6).
    pub(super) fn leave(&mut self, permits: &Permits) {
        let Some(number) = self.number.take() else {
            return;
        };
        let place = permits.queue.lock().waiting.remove(&number);
        // One that is not in the queue any more has been given all.
        let given = place.as_ref().map_or(self.wanted, |place| place.given);
        drop(place); // With no lock held (rule 7).
        permits.release(given);
    }
}
