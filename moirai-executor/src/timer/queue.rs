//! Pending deadlines behind locks, and the agreement between those who add one and the one who sleeps until the first.
//!
//! The deadlines are in several wheels, so that threads which add and remove at the same time do so under different locks.
//!
//! # The next_wake
//!
//! `next_wake` is the tick until which the *timer_thread*, who hands out what is due, means to sleep.
//!
//! 1. Before it sleeps the timer_thread stores [`AWAKE`] into `next_wake`, then looks through the wheels under their locks, then stores the tick
//!    of the earliest deadline that it saw, and sleeps until then, unless the wakeup was woken since step one.
//! 2. Who adds a deadline puts it into a wheel under its lock, then reads `next_wake`. If the deadline is earlier, it lowers `next_wake` to it,
//!    and then rings the wakeup. `AWAKE` is later than any deadline.
//! 3. If the timer_thread's look into a wheel came before the insertion, then so did its store of `AWAKE`, by the wheel's lock: so rule 2
//!    reads `AWAKE`, or what was stored after it. In the first case it rings; in the second it compares with the tick until
//!    which the timer_thread means to sleep. If the look came after, then the timer_thread has seen the deadline. So it never oversleeps one.
//!    Nor does it oversleep one whose adder read what another adder had lowered it to. That one rings, after which the timer_thread begins
//!    at rule 1 again; and if its look then comes before the insertion, the adder has read what was stored after the lowering.
//! 4. The wakeup is a flag under a lock that the timer_thread holds from reading it to falling asleep: it cannot be woken in between.
//!
//! So `next_wake` is never later than a deadline for long, and a thread that is busy anyway can see by it that something is due: the
//! timer_thread may have to wait for a processor.
//!
//! # Each deadline once
//!
//! 5. What was inserted is handed out under the wheel's lock: either to the timer_thread, because it is due, or to who removes it.

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

use super::wheel::{Wheel, WheelKey};

#[cfg(all(test, moirai_loom))]
mod loom;

/// Rule 1: the timer_thread is looking.
pub(crate) const AWAKE: u64 = u64::MAX;

/// How many steps the timer_thread takes under one hold of a lock.
const STEPS: usize = if cfg!(moirai_loom) { 2 } else { 128 };

/// A deadline's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    shard: u32,
    entry: WheelKey,
}

/// Whether the wakeup is to be woken.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    Ring,
    Leave,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    wheels: Box<[CachePadded<Mutex<Wheel<T>>>]>,
    next_wake: AtomicU64,
}

impl<T> TimerQueue<T> {
    /// So many wheels, at least one.
    pub(crate) fn new(queue: usize) -> Self {
        let wheel = || CachePadded::new(Mutex::new(Wheel::new()));
        Self {
            wheels: (0..queue.max(1)).map(|_| wheel()).collect(),
            next_wake: AtomicU64::new(AWAKE),
        }
    }

    /// Rule 2. `hint` chooses the wheel. Without a key, `is_due` said under the lock that it is too late to wait.
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
        // Ordering: Relaxed: rule 3 leans on the wheel's lock, and on the order of one variable's values.
        let earliest = tick < self.next_wake.load(Ordering::Relaxed);
        let wakeup = if earliest {
            // Ordering: Relaxed: that the timer_thread sees the wakeup is what counts.
            self.next_wake.fetch_min(tick, Ordering::Relaxed);
            Wakeup::Ring
        } else {
            Wakeup::Leave
        };
        #[allow(clippy::cast_possible_truncation)]
        Ok((TimerKey { shard: shard as u32, entry }, wakeup))
    }

    /// Rule 5.
    pub(crate) fn remove(&self, key: TimerKey) -> Option<T> {
        self.wheels[key.shard as usize].lock().remove(key.entry)
    }

    /// Puts something else in the key, and gives back what was there, or what was to be put there if it was handed out since.
    pub(crate) fn replace(&self, key: TimerKey, item: T) -> Result<T, T> {
        match self.wheels[key.shard as usize].lock().get_mut(key.entry) {
            Some(old) => Ok(std::mem::replace(old, item)),
            None => Err(item),
        }
    }

    /// Looks at what is in the key, unless it was handed out.
    pub(crate) fn with<R>(&self, key: TimerKey, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.wheels[key.shard as usize].lock().get_mut(key.entry).map(|item| look(item))
    }

    /// Rule 5: hands out what is due, with no lock held.
    pub(crate) fn fire(&self, tick: u64, mut due: impl FnMut(T)) {
        while self.fire_some(tick, &mut due) {}
    }

    /// As [`fire`](Self::fire), but takes only a few steps in each wheel, and says whether there may be more.
    pub(crate) fn fire_some(&self, tick: u64, mut due: impl FnMut(T)) -> bool {
        let mut batch = Vec::new();
        let mut more = false;
        for wheel in &self.wheels {
            more |= wheel.lock().fire(tick, STEPS, |item| batch.push(item));
            batch.drain(..).for_each(&mut due);
        }
        more
    }

    /// Whether something may be due at `tick`, for who has not the timer_thread's patience.
    pub(crate) fn may_be_due(&self, tick: u64) -> bool {
        // Ordering: Relaxed: a hint.
        self.next_wake.load(Ordering::Relaxed) <= tick
    }

    /// Rule 1, but for the sleep: the tick until which to sleep, `None` without deadlines.
    pub(crate) fn set_next_wake(&self) -> Option<u64> {
        // Ordering: Relaxed: rule 3.
        self.next_wake.store(AWAKE, Ordering::Relaxed);
        let next = self.wheels.iter().filter_map(|wheel| wheel.lock().next()).min();
        self.next_wake.store(next.unwrap_or(AWAKE), Ordering::Relaxed);
        next
    }

    /// How many deadlines are pending.
    pub(crate) fn len(&self) -> usize {
        self.wheels.iter().map(|wheel| wheel.lock().len()).sum()
    }
}
