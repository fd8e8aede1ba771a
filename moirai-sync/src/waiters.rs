//! The futures that wait for a condition, as a list of their wakers.
//!
//! # Protocol
//!
//! 1. Whoever makes the condition true takes all wakers in one critical section, with the condition true by its end.
//! 2. A waiter looks at the condition and registers in one critical section. So either it sees the condition true, or it is
//!    in the list before the section of rule 1 and is taken there.
//! 3. A waker is foreign code: it is cloned before the lock is taken, woken and dropped after it was let go.
//! 4. Taking all wakers begins a new generation. A key of an older one names nothing, least of all a stranger's waker in the
//!    same place: it tells its holder that the condition was true.

use crate::sparse;
use moirai_core::panics::contain;
use moirai_core::shim::sync::{Mutex, MutexGuard};
use slab::Slab;
use std::task::{Context, Poll, Waker};

#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// A list of wakers with the lock that guards it and the condition.
pub(crate) struct WaitQueue {
    list: Mutex<WaiterList>,
}

/// Wakers by key. Registering, updating and removing one take constant time.
pub(crate) struct WaiterList {
    wakers: Slab<Waker>,
    generation: u64,
}

/// A place in a [`WaiterList`], until all are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterKey {
    generation: u64,
    index: usize,
}

/// Wakers that were taken out of a list and have to be woken, with no lock held.
#[must_use = "those who wait would sleep for ever"]
#[derive(Default)]
pub(crate) struct Wakers(Slab<Waker>);

impl WaitQueue {
    pub(crate) fn new() -> Self {
        Self { list: Mutex::new(WaiterList::new()) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, WaiterList> {
        self.list.lock()
    }

    /// Rule 2: ready if `condition` holds or has held since `place` was registered; otherwise registered.
    pub(crate) fn poll(
        &self,
        place: &mut Option<WaiterKey>,
        context: &Context<'_>,
        condition: impl FnOnce() -> bool,
    ) -> Poll<()> {
        if let Some(key) = *place {
            // Often polled again by the same task: then there is nothing to clone.
            let same = self.lock().get(key).map(|w| w.will_wake(context.waker()));
            match same {
                Some(true) => return Poll::Pending,
                Some(false) => {}
                None => {
                    *place = None;
                    return Poll::Ready(());
                }
            }
        }
        let waker = context.waker().clone();
        let mut list = self.lock();
        let (outcome, spare) = match *place {
            Some(key) => match list.update(key, waker) {
                Ok(old) => (Poll::Pending, Some(old)),
                Err(new) => {
                    *place = None;
                    (Poll::Ready(()), Some(new))
                }
            },
            None if condition() => (Poll::Ready(()), Some(waker)),
            None => {
                *place = Some(list.register(waker));
                (Poll::Pending, None)
            }
        };
        drop(list);
        drop(spare); // Rule 3.
        outcome
    }

    /// Leaves the list: for a future that is dropped.
    pub(crate) fn leave(&self, place: &mut Option<WaiterKey>) {
        if let Some(key) = place.take() {
            let removed = self.lock().remove(key);
            drop(removed); // Rule 3.
        }
    }
}

impl WaiterList {
    pub(crate) fn new() -> Self {
        Self { wakers: Slab::new(), generation: 0 }
    }

    pub(crate) fn register(&mut self, waker: Waker) -> WaiterKey {
        WaiterKey { generation: self.generation, index: self.wakers.insert(waker) }
    }

    /// `None` if all were taken since.
    pub(crate) fn get(&self, key: WaiterKey) -> Option<&Waker> {
        if key.generation != self.generation {
            return None;
        }
        self.wakers.get(key.index)
    }

    /// The waker that was there, or the new one back if all were taken since.
    pub(crate) fn update(&mut self, key: WaiterKey, waker: Waker) -> Result<Waker, Waker> {
        if key.generation != self.generation {
            return Err(waker);
        }
        match self.wakers.get_mut(key.index) {
            Some(place) => Ok(std::mem::replace(place, waker)),
            None => Err(waker),
        }
    }

    /// The waker, unless all were taken since.
    pub(crate) fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        if key.generation != self.generation {
            return None;
        }
        sparse::remove(&mut self.wakers, key.index)
    }

    /// Rule 4.
    pub(crate) fn take_all(&mut self) -> Wakers {
        self.generation += 1;
        Wakers(std::mem::take(&mut self.wakers))
    }

    #[cfg(all(test, not(moirai_loom)))]
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }
}

impl Wakers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes every one; a waker that panics does not keep the others asleep.
    pub(crate) fn wake(self) {
        for (_, waker) in self.0 {
            contain(|| waker.wake());
        }
    }
}
