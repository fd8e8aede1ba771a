//! Pending deadlines behind locks, and the agreement between those who add one and the one who sleeps until the first.
//!
//! The deadlines are in several wheels, so that threads which add and remove at the same time do so under different locks.
//!
//! # The alarm
//!
//! `alarm` is the tick until which the *keeper*, who hands out what is due, means to sleep.
//!
//! 1. Before it sleeps the keeper stores [`AWAKE`] into `alarm`, then looks through the wheels under their locks, then stores the tick
//!    of the earliest deadline that it saw, and sleeps until then, unless the bell was rung since step one.
//! 2. Who adds a deadline puts it into a wheel under its lock, then reads `alarm`. If the deadline is earlier, it lowers `alarm` to it,
//!    and then rings the bell. `AWAKE` is later than any deadline.
//! 3. If the keeper's look into a wheel came before the insertion, then so did its store of `AWAKE`, by the wheel's lock: so rule 2
//!    reads `AWAKE`, or what was stored after it. In the first case it rings; in the second it compares with the tick until
//!    which the keeper means to sleep. If the look came after, then the keeper has seen the deadline. So it never oversleeps one.
//!    Nor does it oversleep one whose adder read what another adder had lowered it to. That one rings, after which the keeper begins
//!    at rule 1 again; and if its look then comes before the insertion, the adder has read what was stored after the lowering.
//! 4. The bell is a flag under a lock that the keeper holds from reading it to falling asleep: it cannot be rung in between.
//!
//! So `alarm` is never later than a deadline for long, and a thread that is busy anyway can see by it that something is due: the
//! keeper may have to wait for a processor.
//!
//! # Each deadline once
//!
//! 5. What was inserted is handed out under the wheel's lock: either to the keeper, because it is due, or to who removes it.

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

use super::wheel::{Key, Wheel};

#[cfg(all(test, moirai_loom))]
mod loom;

/// Rule 1: the keeper is looking.
pub(crate) const AWAKE: u64 = u64::MAX;

/// How many steps the keeper takes under one hold of a lock.
const STEPS: usize = if cfg!(moirai_loom) { 2 } else { 128 };

/// A deadline's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    shard: u32,
    key: Key,
}

/// Whether the bell is to be rung.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bell {
    Ring,
    Leave,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Shards<T> {
    wheels: Box<[CachePadded<Mutex<Wheel<T>>>]>,
    alarm: AtomicU64,
}

impl<T> Shards<T> {
    /// So many wheels, at least one.
    pub(crate) fn new(shards: usize) -> Self {
        let wheel = || CachePadded::new(Mutex::new(Wheel::new()));
        Self { wheels: (0..shards.max(1)).map(|_| wheel()).collect(), alarm: AtomicU64::new(AWAKE) }
    }

    /// Rule 2. `hint` chooses the wheel. Without a place, `is_due` said under the lock that it is too late to wait.
    pub(crate) fn insert(
        &self,
        hint: usize,
        tick: u64,
        item: T,
        is_due: impl FnOnce() -> bool,
    ) -> Result<(Place, Bell), T> {
        let shard = hint % self.wheels.len();
        let key = {
            let mut wheel = self.wheels[shard].lock();
            if is_due() {
                return Err(item);
            }
            wheel.insert(tick, item)
        };
        // Ordering: Relaxed: rule 3 leans on the wheel's lock, and on the order of one variable's values.
        let earliest = tick < self.alarm.load(Ordering::Relaxed);
        let bell = if earliest {
            // Ordering: Relaxed: that the keeper sees the bell is what counts.
            self.alarm.fetch_min(tick, Ordering::Relaxed);
            Bell::Ring
        } else {
            Bell::Leave
        };
        #[allow(clippy::cast_possible_truncation)]
        Ok((Place { shard: shard as u32, key }, bell))
    }

    /// Rule 5.
    pub(crate) fn remove(&self, place: Place) -> Option<T> {
        self.wheels[place.shard as usize].lock().remove(place.key)
    }

    /// Puts something else in the place, and gives back what was there, or what was to be put there if it was handed out since.
    pub(crate) fn replace(&self, place: Place, item: T) -> Result<T, T> {
        match self.wheels[place.shard as usize].lock().get_mut(place.key) {
            Some(old) => Ok(std::mem::replace(old, item)),
            None => Err(item),
        }
    }

    /// Looks at what is in the place, unless it was handed out.
    pub(crate) fn with<R>(&self, place: Place, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.wheels[place.shard as usize].lock().get_mut(place.key).map(|item| look(item))
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

    /// Whether something may be due at `tick`, for who has not the keeper's patience.
    pub(crate) fn may_be_due(&self, tick: u64) -> bool {
        // Ordering: Relaxed: a hint.
        self.alarm.load(Ordering::Relaxed) <= tick
    }

    /// Rule 1, but for the sleep: the tick until which to sleep, `None` without deadlines.
    pub(crate) fn set_alarm(&self) -> Option<u64> {
        // Ordering: Relaxed: rule 3.
        self.alarm.store(AWAKE, Ordering::Relaxed);
        let next = self.wheels.iter().filter_map(|wheel| wheel.lock().next()).min();
        self.alarm.store(next.unwrap_or(AWAKE), Ordering::Relaxed);
        next
    }

    /// How many deadlines are pending.
    pub(crate) fn len(&self) -> usize {
        self.wheels.iter().map(|wheel| wheel.lock().len()).sum()
    }
}
