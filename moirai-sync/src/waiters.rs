//! The futures that wait for a condition, as a list of their wakers.
//!
//! # Protocol
//!
//! 1. The thread that makes the condition true takes all wakers in one critical section, and by the end of this section the
//!    condition is true.
//! 2. A waiter checks the condition and registers in one critical section. So either it sees that the condition is true, or its
//!    waker is in the list before the section of rule 1, and is taken there.
//! 3. Wakers are user code: they are cloned before the lock is taken, and woken and dropped after it has been released.
//! 4. Taking all wakers begins a new generation. A key of an earlier generation names no waker, even if another waiter's waker is
//!    in the same place now. It tells its holder that the condition was true.

use crate::shrink;
use moirai_core::panics::contain;
use moirai_core::shim::sync::{Mutex, MutexGuard};
use slab::Slab;
use std::task::{Context, Poll, Waker};

#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// A list of wakers, with the lock that protects both the list and the condition.
pub(crate) struct WaitQueue {
    list: Mutex<WaiterList>,
}

/// Wakers by key. Registering, updating and removing a waker take constant time.
pub(crate) struct WaiterList {
    wakers: Slab<Waker>,
    generation: u64,
}

/// The key of a waker in a [`WaiterList`]. It is valid until all wakers are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterKey {
    generation: u64,
    index: usize,
}

/// Wakers that were taken out of a list. They must be woken, with no lock held.
#[must_use = "the waiters would sleep forever"]
#[derive(Default)]
pub(crate) struct Wakers(Slab<Waker>);

impl WaitQueue {
    pub(crate) fn new() -> Self {
        Self { list: Mutex::new(WaiterList::new()) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, WaiterList> {
        self.list.lock()
    }

    /// Returns ready if `condition` is true, or was true at any time since `place` was registered; otherwise registers the waker in
    /// `place` (rule 2). `condition` is called under the lock.
    pub(crate) fn poll(
        &self,
        place: &mut Option<WaiterKey>,
        context: &Context<'_>,
        condition: impl FnOnce() -> bool,
    ) -> Poll<()> {
        if let Some(key) = *place {
            // If the same task polls again, as it often does, then there is nothing to clone.
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
        drop(spare); // With no lock held (rule 3).
        outcome
    }

    /// Removes the waker of a future that is being dropped.
    pub(crate) fn leave(&self, place: &mut Option<WaiterKey>) {
        if let Some(key) = place.take() {
            let removed = self.lock().remove(key);
            drop(removed); // With no lock held (rule 3).
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

    /// Returns a waker, or `None` if all have been taken since it was registered.
    pub(crate) fn get(&self, key: WaiterKey) -> Option<&Waker> {
        if key.generation != self.generation {
            return None;
        }
        self.wakers.get(key.index)
    }

    /// Replaces a waker. Returns the one that was there, or `waker` as an error if all have been taken since.
    pub(crate) fn update(&mut self, key: WaiterKey, waker: Waker) -> Result<Waker, Waker> {
        if key.generation != self.generation {
            return Err(waker);
        }
        match self.wakers.get_mut(key.index) {
            Some(place) => Ok(std::mem::replace(place, waker)),
            None => Err(waker),
        }
    }

    /// Removes a waker, unless all have been taken since it was registered.
    pub(crate) fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        if key.generation != self.generation {
            return None;
        }
        shrink::remove(&mut self.wakers, key.index)
    }

    /// Takes all wakers, and begins a new generation (rule 4).
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

    /// Wakes all. The panic of a waker is contained, so that the others are woken nevertheless.
    pub(crate) fn wake(self) {
        for (_, waker) in self.0 {
            contain(|| waker.wake());
        }
    }
}
