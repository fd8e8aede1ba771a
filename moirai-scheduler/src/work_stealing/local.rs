//! What one worker owns, and the order in which it looks for work.

use std::fmt;

use moirai_core::shim::sync::Arc;
use moirai_core::{LocalQueue, Priority, QueueReason, Visibility};

use super::bands::{Band, Bands, ELEVATED_RUN, HIGH_EVERY, LOW_EVERY};
use super::shared::SharedQueues;
use super::slot::{Put, SlotOwner};
use crate::queue::Worker;

/// How many times in a row a worker takes the task in its slot while one waits in its queue.
pub const SLOT_RUN: u32 = 3;

/// Of every so many looks for a normal task, a worker makes one in the shared injector first.
pub const INJECTOR_EVERY: u32 = 61;

/// One worker's part of [`WorkStealing`](super::WorkStealing).
pub struct WorkStealingLocal<T> {
    shared: Arc<SharedQueues<T>>,
    index: usize,
    queue: Worker<T>,
    slot: SlotOwner<T>,
    /// Looks for work until the next one that starts in the low band.
    until_low: u32,
    /// Looks for a normal task until the next one that starts in the injector.
    until_injector: u32,
    /// Tasks taken from the slot in a row.
    slot_run: u32,
    /// Critical and high tasks taken in a row.
    elevated_run: u32,
    /// Critical and high tasks until the next one that is a high one by right.
    until_high: u32,
    /// Whether the last find found nothing.
    found_nothing: bool,
    rng: XorShift,
}

impl<T> WorkStealingLocal<T> {
    pub(super) fn new(
        shared: Arc<SharedQueues<T>>,
        index: usize,
        queue: Worker<T>,
        slot: SlotOwner<T>,
    ) -> Self {
        Self {
            shared,
            index,
            queue,
            slot,
            until_low: LOW_EVERY,
            until_injector: INJECTOR_EVERY,
            slot_run: 0,
            elevated_run: 0,
            until_high: HIGH_EVERY,
            found_nothing: false,
            rng: XorShift::new(index),
        }
    }

    #[inline]
    fn find(&mut self) -> Option<T> {
        if due(&mut self.until_low, LOW_EVERY)
            && let Some(task) = self.shared.bands.take_low()
        {
            // A run of elevated tasks goes on: its bound is for normal ones, too.
            return Some(task);
        }
        if self.shared.bands.has_elevated() {
            return self.find_with_elevated();
        }
        self.elevated_run = 0;
        self.find_normal_task()
    }

    /// Critical and high tasks first, within their bounds.
    #[cold]
    fn find_with_elevated(&mut self) -> Option<T> {
        if self.elevated_run >= ELEVATED_RUN {
            self.elevated_run = 0;
            if let Some(task) = self.find_normal_task() {
                return Some(task);
            }
        }
        let high_first = due(&mut self.until_high, HIGH_EVERY);
        if let Some(task) = self.shared.bands.take_elevated(high_first) {
            self.elevated_run += 1;
            return Some(task);
        }
        self.elevated_run = 0;
        self.find_normal_task()
    }

    /// Rules 3 to 9 of the module's list.
    #[inline]
    fn find_normal_task(&mut self) -> Option<T> {
        self.find_nearby().or_else(|| self.find_elsewhere())
    }

    /// A normal task, wherever it is but in another worker's slot: rules 3 to 7.
    #[inline]
    pub(crate) fn find_normal(&mut self) -> Option<T> {
        self.find_nearby().or_else(|| self.search())
    }

    /// Whether a normal task waits where `find_normal` looks. A hint while others push and take.
    pub(crate) fn has_normal(&self) -> bool {
        let others = || self.shared.remotes().iter().any(|remote| !remote.stealer.is_empty());
        self.slot.is_full() || !self.shared.injector.is_empty() || others()
    }

    /// Rules 3 to 5.
    #[inline]
    fn find_nearby(&mut self) -> Option<T> {
        if due(&mut self.until_injector, INJECTOR_EVERY)
            && !self.shared.injector.is_empty()
            && let Some(task) = self.steal_from_injector()
        {
            self.slot_run = 0;
            return Some(task);
        }
        if self.slot_run < SLOT_RUN
            && let Some(task) = self.slot.take()
        {
            self.slot_run += 1;
            return Some(task);
        }
        self.slot_run = 0;
        self.queue.pop()
    }

    /// Rule 3. A batch, not one task: the others take their turns in the worker's queue, instead of waiting for one such find each.
    #[inline(never)]
    fn steal_from_injector(&mut self) -> Option<T> {
        let _in_flight = self.shared.remotes()[self.index].steals.open();
        self.shared.injector.steal_batch_and_pop(&self.queue)
    }

    /// Rules 6 to 9: the worker's own queue is empty.
    #[inline(never)]
    fn find_elsewhere(&mut self) -> Option<T> {
        self.search()
            .or_else(|| self.shared.bands.take_low())
            .or_else(|| self.find_in_slots(self.found_nothing))
    }

    /// Rule 9, for a worker whose last find found nothing.
    pub(crate) fn find_in_slots(&mut self, found_nothing: bool) -> Option<T> {
        if !found_nothing {
            return None;
        }
        let remotes = self.shared.remotes();
        others(self.index, remotes.len(), &mut self.rng)
            .find_map(|victim| remotes[victim].slot.take())
    }

    /// Rules 6 and 7.
    fn search(&mut self) -> Option<T> {
        let Self { shared, index, queue, slot, slot_run, rng, .. } = self;
        let remotes = shared.remotes();
        let steals = &remotes[*index].steals;
        shared.find_until_settled(|| {
            if !shared.injector.is_empty() {
                let _in_flight = steals.open();
                if let Some(task) = shared.injector.steal_batch_and_pop(queue) {
                    return Some(task);
                }
            }
            if let Some(task) = slot.take() {
                *slot_run = 1;
                return Some(task);
            }
            others(*index, remotes.len(), rng)
                .map(|victim| &remotes[victim].stealer)
                .filter(|victim| !victim.is_empty())
                .find_map(|victim| {
                    let _in_flight = steals.open();
                    victim.steal_batch_and_pop(queue)
                })
        })
    }

    /// The bands of the other priorities.
    #[inline]
    pub(crate) fn bands(&self) -> &Bands<T> {
        &self.shared.bands
    }
}

impl<T: Send + 'static> LocalQueue<T> for WorkStealingLocal<T> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        if let Some(band) = Band::of(priority) {
            self.shared.bands.push(task, band);
            return Visibility::Shared;
        }
        let task = match reason {
            QueueReason::Offered | QueueReason::Yielded => task,
            QueueReason::Spawned => match self.slot.put_if_empty(task) {
                Ok(()) => return Visibility::Slot,
                Err(task) => task,
            },
            QueueReason::Woken => match self.slot.put(task) {
                Put::Stored => return Visibility::Slot,
                Put::Displaced(task) | Put::Refused(task) => task,
            },
        };
        self.queue.push(task);
        Visibility::Shared
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let found = self.find();
        self.found_nothing = found.is_none();
        found
    }

    #[inline]
    fn prefer_injector(&mut self) {
        self.until_injector = 1;
    }
}

impl<T> fmt::Debug for WorkStealingLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealingLocal").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Counts down, and says when it starts again from `every`: true once in `every` calls.
#[inline]
fn due(left: &mut u32, every: u32) -> bool {
    *left -= 1;
    let due = *left == 0;
    if due {
        *left = every;
    }
    due
}

/// All workers but `own`, in a circle from a random one on.
fn others(own: usize, workers: usize, rng: &mut XorShift) -> impl Iterator<Item = usize> + use<> {
    let start = rng.below(workers);
    (start..workers).chain(0..start).filter(move |&other| other != own)
}

/// Marsaglia's xorshift (2003): enough to keep thieves from crowding one victim.
struct XorShift(u32);

impl XorShift {
    fn new(seed: usize) -> Self {
        // Any seed but zero will do; neighbouring workers get distant ones.
        #[allow(clippy::cast_possible_truncation)]
        Self((seed as u32).wrapping_mul(0x9E37_79B9) | 1)
    }

    /// A number below `bound`, near enough to evenly; zero if the bound is.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        ((u64::from(self.0) * bound as u64) >> 32) as usize
    }
}
