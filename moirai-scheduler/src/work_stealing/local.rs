//! The part of the scheduler that one worker owns, and the order in which the worker looks for tasks.

use std::fmt;

use moirai_core::shim::sync::Arc;
use moirai_core::{LocalQueue, Priority, QueueReason, Visibility};

use super::bands::{Band, Bands, ELEVATED_RUN, HIGH_EVERY, LOW_EVERY};
use super::shared::SharedQueues;
use super::slot::{Put, SlotOwner};
use crate::queue::Worker;

/// The number of times in a row that a worker takes the task in its slot while another waits in its queue.
pub const SLOT_RUN: u32 = 3;

/// Once in this many times that it looks for a normal task, a worker looks in the injector first.
pub const INJECTOR_EVERY: u32 = 61;

/// The local queue of one worker of a [`WorkStealing`](super::WorkStealing) scheduler.
pub struct WorkStealingLocal<T> {
    shared: Arc<SharedQueues<T>>,
    index: usize,
    queue: Worker<T>,
    slot: SlotOwner<T>,
    /// Counts down to the next time that the worker looks in the low band first.
    until_low: u32,
    /// Counts down to the next time that the worker looks in the injector first.
    until_injector: u32,
    /// The number of tasks taken from the slot in a row.
    slot_run: u32,
    /// The number of critical and high tasks taken in a row.
    elevated_run: u32,
    /// Counts down to the next critical or high task that is taken from the high band first.
    until_high: u32,
    /// Whether the last `pop` found nothing.
    found_nothing: bool,
    /// The worker from which tasks were taken last, until somebody asks.
    victim: Option<usize>,
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
            victim: None,
            rng: XorShift::new(index),
        }
    }

    #[inline]
    fn find(&mut self) -> Option<T> {
        self.find_in_bands(Self::find_normal_task)
    }

    /// Looks for a task in the bands of the other priorities, within their bounds (rules 1 and 2), and calls `find_normal` where it
    /// is the turn of the normal tasks.
    #[inline]
    pub(crate) fn find_in_bands(
        &mut self,
        mut find_normal: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if due(&mut self.until_low, LOW_EVERY)
            && let Some(task) = self.shared.bands.take_low()
        {
            // The run of elevated tasks continues: its bound is for normal tasks, too.
            return Some(task);
        }
        if self.shared.bands.has_elevated() {
            return self.find_with_elevated(find_normal);
        }
        self.elevated_run = 0;
        find_normal(self)
    }

    /// Looks for critical and high tasks first, within their bounds.
    #[cold]
    fn find_with_elevated(
        &mut self,
        mut find_normal: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.elevated_run >= ELEVATED_RUN {
            self.elevated_run = 0;
            if let Some(task) = find_normal(self) {
                return Some(task);
            }
        }
        let high_first = due(&mut self.until_high, HIGH_EVERY);
        if let Some(task) = self.shared.bands.take_elevated(high_first) {
            self.elevated_run += 1;
            return Some(task);
        }
        self.elevated_run = 0;
        find_normal(self)
    }

    /// Looks for a normal or low task, by rules 3 to 9 of the list at the head of the module.
    #[inline]
    fn find_normal_task(&mut self) -> Option<T> {
        self.find_nearby().or_else(|| self.find_elsewhere())
    }

    /// Takes a normal task from anywhere but another worker's slot (rules 3 to 7).
    #[inline]
    pub(crate) fn find_normal(&mut self) -> Option<T> {
        match self.find_nearby() {
            None => self.search(),
            found => found,
        }
    }

    /// Returns `true` if a normal task waits where `find_normal` looks. A hint while other threads push and take.
    pub(crate) fn has_normal(&self) -> bool {
        let others = || self.shared.remotes().iter().any(|remote| !remote.stealer.is_empty());
        self.slot.is_full() || !self.shared.injector.is_empty() || others()
    }

    /// Looks in the injector when its turn has come, in the slot, and in the worker's queue (rules 3 to 5).
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

    /// Takes a batch from the injector (rule 3). With a single task, each of the others would have to wait for one such turn; from
    /// a batch, they wait their turns in the worker's queue.
    #[inline(never)]
    fn steal_from_injector(&mut self) -> Option<T> {
        let _in_flight = self.shared.remotes()[self.index].steals.open();
        self.shared.injector.steal_batch_and_pop(&self.queue)
    }

    /// Looks everywhere else, now that the worker's own queue is empty (rules 6 to 9).
    #[inline(never)]
    fn find_elsewhere(&mut self) -> Option<T> {
        self.search()
            .or_else(|| self.shared.bands.take_low())
            .or_else(|| self.find_in_slots(self.found_nothing))
    }

    /// Takes a task from another worker's slot, if the last `pop` found nothing (rule 9).
    pub(crate) fn find_in_slots(&mut self, found_nothing: bool) -> Option<T> {
        if !found_nothing {
            return None;
        }
        let remotes = self.shared.remotes();
        others(self.index, remotes.len(), &mut self.rng).find_map(|victim| {
            let task = remotes[victim].slot.take()?;
            self.victim = Some(victim);
            Some(task)
        })
    }

    /// Looks in the injector, the slot, and the other workers' queues, until it is certain that there is nothing (rules 6 and 7).
    #[inline(never)]
    fn search(&mut self) -> Option<T> {
        let Self { shared, index, queue, slot, slot_run, victim: found_at, rng, .. } = self;
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
                .filter(|&victim| !remotes[victim].stealer.is_empty())
                .find_map(|victim| {
                    let _in_flight = steals.open();
                    let task = remotes[victim].stealer.steal_batch_and_pop(queue)?;
                    *found_at = Some(victim);
                    Some(task)
                })
        })
    }

    /// Returns the bands of the other priorities.
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

    fn has_work(&mut self) -> Option<bool> {
        let bands = &self.shared.bands;
        // A worker's own queue is among those that `has_normal` looks into. A batch in flight is in none of them.
        let found = || self.has_normal().then_some(());
        let has_normal = || self.shared.find_until_settled(found).is_some();
        Some(bands.has_elevated() || bands.has_low() || has_normal())
    }

    #[inline]
    fn take_victim(&mut self) -> Option<usize> {
        // Nothing is written if there is none, as nearly always.
        if self.victim.is_some() { self.victim.take() } else { None }
    }

    fn look_outside(&mut self) {
        self.prefer_injector();
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

/// Counts down, and starts again from `every` at zero. Returns `true` once in `every` calls.
#[inline]
fn due(left: &mut u32, every: u32) -> bool {
    *left -= 1;
    let due = *left == 0;
    if due {
        *left = every;
    }
    due
}

/// Returns all workers but `own`, in a circle from a random one on.
fn others(own: usize, workers: usize, rng: &mut XorShift) -> impl Iterator<Item = usize> + use<> {
    let start = rng.below(workers);
    (start..workers).chain(0..start).filter(move |&other| other != own)
}

/// Marsaglia's xorshift (2003), which is good enough to keep thieves from crowding one victim.
struct XorShift(u32);

impl XorShift {
    fn new(seed: usize) -> Self {
        // Any seed but zero will do; neighbouring workers get distant ones.
        #[allow(clippy::cast_possible_truncation)]
        Self((seed as u32).wrapping_mul(0x9E37_79B9) | 1)
    }

    /// Returns a number below `bound`, nearly evenly distributed; zero if `bound` is zero.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        ((u64::from(self.0) * bound as u64) >> 32) as usize
    }
}
