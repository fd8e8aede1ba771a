//! Pending deadlines behind locks, and the protocol between the threads that add deadlines and the one that sleeps until the first.
//!
//! The deadlines are in several wheels, so that threads which add and remove deadlines at the same time do so under different
//! locks.
//!
//! # The next wake-up
//!
//! `next_wake` is the tick until which the *timer thread*, which wakes the wakers that are due, intends to sleep.
//!
//! 1. Before it sleeps, the timer thread stores [`AWAKE`] into `next_wake`, then looks through the wheels under their locks, and
//!    then stores the tick of the earliest deadline that it saw. It sleeps until then, unless it was notified in the meantime.
//! 2. A thread that adds a deadline inserts it into a wheel under the wheel's lock, and then reads `next_wake`. If the deadline is
//!    earlier, it lowers `next_wake` to the deadline, and then notifies the timer thread. `AWAKE` is later than any deadline.
//! 3. If the timer thread's look into a wheel came before the insertion, then so did its store of `AWAKE`, by the wheel's lock. So
//!    the read of rule 2 returns `AWAKE`, or a value that was stored after it. In the first case the adder notifies the timer
//!    thread; in the second it compares the deadline with the tick until which the timer thread intends to sleep. If the look came
//!    after the insertion, then the timer thread has seen the deadline. So it never oversleeps one. Nor does it oversleep a
//!    deadline whose adder read a value to which another adder had lowered `next_wake`. That other adder notifies the timer thread,
//!    which then begins at rule 1 again; and if its look then comes before the insertion, the adder has in fact read a value that
//!    was stored after the lowering.
//! 4. The notification is a flag under a lock that the timer thread holds from reading the flag to falling asleep: no notification
//!    comes in between.
//!
//! 5. If the timer thread does not run and cannot be started, the thread that was to notify it stores `AWAKE` into `next_wake`,
//!    then removes every deadline under the wheels' locks, and hands them all out as if they were due. A thread that adds one at
//!    the same time either inserts it before its wheel is emptied, or reads `AWAKE`, or a value that was stored after it, as in
//!    rule 3. So no deadline is left to a thread that does not exist.
//!
//! So `next_wake` is never later than a deadline for long, and a busy thread can see by it that something is due. This helps when
//! the timer thread has to wait for a processor.
//!
//! # Each deadline once
//!
//! 6. Every item that was inserted leaves its wheel under the wheel's lock, and once: either because it is due, to the thread that
//!    calls [`fire`](TimerQueue::fire) or [`fire_some`](TimerQueue::fire_some), or to the thread that removes it, alone or with all
//!    others.

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

use super::wheel::{Wheel, WheelKey};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The value of `next_wake` while the timer thread looks through the wheels (rule 1), and while there are no deadlines.
pub(crate) const AWAKE: u64 = u64::MAX;

/// The number of steps that are taken under one hold of a wheel's lock.
const STEPS: usize = if cfg!(moirai_loom) { 2 } else { 128 };

/// Identifies one insertion into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    shard: u32,
    entry: WheelKey,
}

/// Whether the caller must notify the timer thread (rule 2).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    Needed,
    NotNeeded,
}

/// Pending deadlines in several wheels; see the [module](self).
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    wheels: Box<[CachePadded<Mutex<Wheel<T>>>]>,
    next_wake: AtomicU64,
}

impl<T> TimerQueue<T> {
    /// Makes a queue with this number of wheels, but at least one.
    pub(crate) fn new(wheels: usize) -> Self {
        let wheel = || CachePadded::new(Mutex::new(Wheel::new()));
        Self {
            wheels: (0..wheels.max(1)).map(|_| wheel()).collect(),
            next_wake: AtomicU64::new(AWAKE),
        }
    }

    /// Inserts an item that is due at `tick` (rule 2). `hint` chooses the wheel.
    ///
    /// The caller must notify the timer thread if the result says so, and must call [`give_up`](Self::give_up) if it cannot.
    ///
    /// # Errors
    ///
    /// The item, if `is_due`, which is called under the wheel's lock, returns `true`.
    pub(crate) fn insert(
        &self,
        hint: usize,
        tick: u64,
        item: T,
        is_due: impl FnOnce() -> bool,
    ) -> Result<(TimerKey, Wakeup), T> {
        let shard = hint % self.wheels.len();
        let entry = {
            let mut wheel = self.wheels[shard].lock();
            if is_due() {
                return Err(item);
            }
            wheel.insert(tick, item)
        };
        // Ordering: Relaxed: rule 3 relies on the wheel's lock, and on the modification order of this one variable.
        let earliest = tick < self.next_wake.load(Ordering::Relaxed);
        let wakeup = if earliest {
            // Ordering: Relaxed: what counts is that the timer thread sees the notification.
            self.next_wake.fetch_min(tick, Ordering::Relaxed);
            Wakeup::Needed
        } else {
            Wakeup::NotNeeded
        };
        #[allow(clippy::cast_possible_truncation)]
        Ok((TimerKey { shard: shard as u32, entry }, wakeup))
    }

    /// Removes an item, unless it left its wheel before (rule 6).
    pub(crate) fn remove(&self, key: TimerKey) -> Option<T> {
        self.wheels[key.shard as usize].lock().remove(key.entry)
    }

    /// Replaces an item, and returns the old one.
    ///
    /// # Errors
    ///
    /// The new item, if the old one has left its wheel.
    pub(crate) fn replace(&self, key: TimerKey, item: T) -> Result<T, T> {
        match self.wheels[key.shard as usize].lock().get_mut(key.entry) {
            Some(old) => Ok(std::mem::replace(old, item)),
            None => Err(item),
        }
    }

    /// Calls `look` with an item under the wheel's lock, unless the item has left its wheel.
    pub(crate) fn with<R>(&self, key: TimerKey, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.wheels[key.shard as usize].lock().get_mut(key.entry).map(|item| look(item))
    }

    /// Removes the items that are due at `tick` (rule 6), and passes them to `due` with no lock held.
    pub(crate) fn fire(&self, tick: u64, mut due: impl FnMut(T)) {
        while self.fire_some(tick, &mut due) {}
    }

    /// Like [`fire`](Self::fire), but takes only [`STEPS`] steps in each wheel. Returns `true` if there may be more items that are
    /// due.
    pub(crate) fn fire_some(&self, tick: u64, mut due: impl FnMut(T)) -> bool {
        let mut batch = Vec::new();
        let mut more = false;
        for wheel in &self.wheels {
            more |= wheel.lock().fire(tick, STEPS, |item| batch.push(item));
            batch.drain(..).for_each(&mut due);
        }
        more
    }

    /// Hands all deadlines out, because there is no timer thread (rule 5). `each` is called with no lock held.
    pub(crate) fn give_up(&self, mut each: impl FnMut(T)) {
        // Ordering: Relaxed: rule 3 relies on the wheels' locks, and on the modification order of this one variable.
        self.next_wake.store(AWAKE, Ordering::Relaxed);
        for wheel in &self.wheels {
            let items = wheel.lock().take_all();
            items.into_iter().for_each(&mut each);
        }
    }

    /// Returns `true` if something may be due at `tick`. A hint for threads that are not the timer thread.
    pub(crate) fn may_be_due(&self, tick: u64) -> bool {
        // Ordering: Relaxed: a hint.
        self.next_wake.load(Ordering::Relaxed) <= tick
    }

    /// Does what rule 1 asks for before the sleep, and returns the tick until which to sleep; `None` if there are no deadlines.
    pub(crate) fn set_next_wake(&self) -> Option<u64> {
        // Ordering: Relaxed: rule 3 relies on the wheels' locks, and on the modification order of this one variable.
        self.next_wake.store(AWAKE, Ordering::Relaxed);
        let next = self.wheels.iter().filter_map(|wheel| wheel.lock().next()).min();
        self.next_wake.store(next.unwrap_or(AWAKE), Ordering::Relaxed);
        next
    }

    /// Returns the number of deadlines that are pending.
    pub(crate) fn len(&self) -> usize {
        self.wheels.iter().map(|wheel| wheel.lock().len()).sum()
    }
}
