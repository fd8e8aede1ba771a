//! Dropping records: the oldest first, in bounded batches, under one lock.

use std::time::{Duration, Instant};

use super::completions::Head;
use super::page::{ALL_FREE, BLOCK_SLOTS, HALF, PAGE_BLOCKS, PAGE_SLOTS, Page};
use super::reclaim::{self, Pin};
use super::slot::Freed;
use super::{Books, Registry, Ring};
use crossbeam_utils::CachePadded;
use moirai_core::TaskStatus;
use moirai_core::shim::sync::Mutex;

/// Records dropped in one hold of the lock by a sweep, or by request.
pub(super) const BATCH: usize = if cfg!(moirai_loom) { 1 } else { 256 };

/// Pages released in one hold of the lock.
const PAGE_BATCH: usize = 4;

/// Why records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Age,
    Count,
    Request,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// Records dropped because they were too old.
    pub by_age: usize,
    /// Records dropped because there were too many.
    pub by_count: usize,
    /// Pages released.
    pub pages: usize,
    /// How long it took.
    pub took: Duration,
    /// Bytes that the registry holds now.
    pub bytes: usize,
}

/// Takes from the heads of the rings.
#[derive(Debug)]
pub(super) struct Evictor {
    heads: Box<[Place]>,
    /// Pages of which a whole block was free at some moment since the last release.
    candidates: Vec<u32>,
    /// When the last task ended of those that ended under the lock; see rule 9.
    last: u64,
    /// How often a share was kept.
    looks: u64,
}

/// Where the evictor stands in one ring.
#[derive(Debug)]
struct Place {
    head: Head,
    /// Completions from the oldest on that the share being kept leaves to the ring's owner.
    left: usize,
    /// The oldest completion that is not left, once it was looked at: its slot, and when it ended.
    oldest: Option<(u32, u64)>,
    /// Completions before this number were left at look number `since` already.
    left_until: u64,
    since: u64,
}

/// Leaving records to the owners of their rings; see rule 10.
struct Leave {
    /// The ring that nothing is left in.
    own: usize,
    /// How many records are too many.
    excess: usize,
}

/// Slots of one block, to be given back at once.
#[derive(Default)]
struct Run {
    block: u32,
    slots: u64,
}

impl Place {
    /// Whether the next completion was left to its owner before, and he has had time since. It is enough to look at that of
    /// the oldest one: they go from the head.
    fn is_overdue(&self, looks: u64, registry: &Registry) -> bool {
        self.head.taken() < self.left_until && looks - self.since > 2 * registry.rings.len() as u64
    }
}

impl Evictor {
    pub(super) fn new(rings: usize) -> Self {
        let place = || Place { head: Head::new(), left: 0, oldest: None, left_until: 0, since: 0 };
        Self {
            heads: (0..rings).map(|_| place()).collect(),
            candidates: Vec::new(),
            last: 0,
            looks: 0,
        }
    }

    /// Drops the oldest records until at most `limit` are left, but no more than `most`. Says how many.
    pub(super) fn keep(&mut self, registry: &Registry, limit: usize, most: usize) -> usize {
        let excess = registry.retained().saturating_sub(limit);
        self.evict(registry, u64::MAX, excess.min(most), Cause::Count, None)
    }

    /// Rule 10: drops what is beyond the limit, but leaves some of what is in other rings than `own` to their owners. Says how
    /// many it dropped, at most a batch.
    pub(super) fn keep_share(&mut self, registry: &Registry, limit: usize, own: usize) -> usize {
        let excess = registry.retained().saturating_sub(limit);
        self.looks += 1;
        let leave = Some(Leave { own, excess });
        let dropped = self.evict(registry, u64::MAX, BATCH, Cause::Count, leave);
        for place in &mut self.heads {
            if place.left > 0 {
                if place.left_until <= place.head.taken() {
                    place.left_until = place.head.taken() + place.left as u64;
                    place.since = self.looks;
                }
                place.left = 0;
                place.oldest = None;
            }
        }
        dropped
    }

    /// Drops the oldest records that ended not later than `until`, at most `most`. Says how many. What it may leave to others
    /// counts among those in excess.
    fn evict(
        &mut self,
        registry: &Registry,
        until: u64,
        most: usize,
        cause: Cause,
        leave: Option<Leave>,
    ) -> usize {
        let pin = reclaim::pin();
        let mut run = Run::default();
        let mut dropped = 0;
        let mut left = 0;
        let excess = leave.as_ref().map_or(most, |leave| leave.excess);
        while dropped < most && dropped + left < excess {
            // The ring with the oldest head, and how far it may be followed before another one's is older.
            let mut first: Option<(usize, u64)> = None;
            let mut second = u64::MAX;
            for index in 0..self.heads.len() {
                let Some((_, ended)) = self.oldest(registry, index) else {
                    continue;
                };
                match first {
                    Some((_, oldest)) if ended >= oldest => second = second.min(ended),
                    _ => {
                        second = first.map_or(second, |(_, before)| before);
                        first = Some((index, ended));
                    }
                }
            }
            let Some((index, _)) = first else { break };
            let before = dropped + left;
            let anothers = leave.as_ref().is_some_and(|leave| leave.own != index);
            while dropped < most
                && dropped + left < excess
                && let Some((_, ended)) = self.oldest(registry, index)
                && ended <= second.min(until)
            {
                let place = &mut self.heads[index];
                place.oldest = None;
                if anothers && left < registry.leave && !place.is_overdue(self.looks, registry) {
                    place.left += 1;
                    left += 1;
                    continue;
                }
                let ring = &registry.rings[index];
                let (slot, _) = ring.peek(&mut place.head).expect("one behind it was seen");
                // Counted before the ring shows room, so that no more are seen retained than there are.
                self.free(registry, &pin, slot, cause, &mut run);
                ring.advance(&mut self.heads[index].head);
                dropped += 1;
            }
            if dropped + left == before {
                break;
            }
        }
        self.give_back(registry, &mut run);
        dropped
    }

    /// When a task ends under the lock: not before the one that did so last.
    pub(super) fn in_order(&mut self, ticks: u64) -> u64 {
        self.last = self.last.max(ticks);
        self.last
    }

    /// Drops the record of a task that has just ended, and whose slot is free already.
    pub(super) fn drop_unkept(
        &mut self,
        registry: &Registry,
        slot: u32,
        status: TaskStatus,
        freed: &Freed,
    ) {
        let mut run = Run::default();
        self.freed(registry, &reclaim::pin(), slot, (status, Cause::Count), freed, &mut run);
        self.give_back(registry, &mut run);
    }

    /// The oldest completion of one ring that is not left to others.
    #[inline]
    fn oldest(&mut self, registry: &Registry, index: usize) -> Option<(u32, u64)> {
        let place = &mut self.heads[index];
        if place.oldest.is_none() {
            place.oldest = registry.rings[index].peek_behind(&mut place.head, place.left);
        }
        place.oldest
    }

    /// When the oldest record ended.
    pub(super) fn oldest_end(&mut self, registry: &Registry) -> Option<u64> {
        (0..self.heads.len())
            .filter_map(|index| self.oldest(registry, index))
            .map(|(_, ended)| ended)
            .min()
    }

    #[inline]
    fn free(&mut self, registry: &Registry, pin: &Pin, slot: u32, cause: Cause, run: &mut Run) {
        let page = registry.directory.page_of(slot).expect("a retained record keeps its page");
        let (status, freed) = page.slot(slot).evict();
        self.freed(registry, pin, slot, (status, cause), &freed, run);
    }

    /// Counts a record that was dropped, and adds its slot to the run.
    fn freed(
        &mut self,
        registry: &Registry,
        pin: &Pin,
        slot: u32,
        (status, cause): (TaskStatus, Cause),
        freed: &Freed,
        run: &mut Run,
    ) {
        registry.counts.evicted(status, cause);
        if let Some(text) = freed.text {
            // SAFETY: unlinked just now, by the one who retires it.
            unsafe { registry.retire_text(pin, text) };
        }
        let Some(generation) = freed.generation else { return };
        let page =
            registry.directory.page_of(slot).expect("a slot that is not back keeps its page");
        page.note_generation(generation);
        let block = slot / BLOCK_SLOTS as u32;
        if run.block != block {
            self.give_back(registry, run);
            run.block = block;
        }
        run.slots |= 1 << (slot as usize % BLOCK_SLOTS);
    }

    /// Rule 5 and 6: one exchange for a run.
    fn give_back(&mut self, registry: &Registry, run: &mut Run) {
        let slots = std::mem::take(&mut run.slots);
        if slots == 0 {
            return;
        }
        let number = run.block / PAGE_BLOCKS as u32;
        let page = registry.directory.page(number).expect("a retained record keeps its page");
        let (before, after) = page.blocks[run.block as usize % PAGE_BLOCKS].give_back(slots);
        if before.count_ones() < HALF && after.count_ones() >= HALF {
            registry.depot.crossed(&registry.directory, run.block);
        }
        if after == ALL_FREE && !page.set_candidate(true) {
            self.candidates.push(number);
        }
    }

    /// Releases some of the pages that hold no task. Says how many, and whether there are more candidates.
    fn release(&mut self, registry: &Registry) -> (usize, bool) {
        let pin = reclaim::pin();
        registry.depot.missed(&mut self.candidates);
        let from = self.candidates.len().saturating_sub(PAGE_BATCH);
        let mut released = 0;
        for number in self.candidates.drain(from..) {
            let Some(page) = registry.directory.page(number) else {
                continue;
            };
            page.set_candidate(false);
            if let Some(page) = registry.depot.release(&registry.directory, number) {
                released += 1;
                // SAFETY: a `Box`, taken out of the directory just now, by the one who retires it.
                unsafe { pin.retire(page, Page::bytes(), &registry.garbage) };
            }
        }
        let more = !self.candidates.is_empty();
        if !more {
            self.candidates.shrink_to(PAGE_SLOTS);
        }
        (released, more)
    }

    /// Frees the rings' segments; nobody uses them any more.
    pub(super) fn free_rings(&mut self, rings: &[CachePadded<Ring>]) {
        for (place, ring) in self.heads.iter_mut().zip(rings) {
            place.head.free(ring);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<u32>() + self.heads.len() * size_of::<Place>()
    }
}

impl Registry {
    /// One tick of the cleanup worker: drops what is too old, and what is too many, and releases pages that hold no task. The
    /// lock is held for a bounded number of records at a time, and handed to whoever waits for it in between.
    pub fn sweep(&self) -> SweepReport {
        let start = Instant::now();
        let by_age = self.drop_expired(Cause::Age);
        let by_count = self.drop_excess(self.retained(), Cause::Count);
        let pages = self.release_pages();
        self.garbage.collect();
        let took = start.elapsed();
        self.counts.swept(took);
        SweepReport { by_age, by_count, pages, took, bytes: self.bytes() }
    }

    /// Drops everything that ended before the call and is beyond either limit, and says how many.
    pub fn cleanup_now(&self) -> usize {
        let retained = self.retained();
        let dropped = self.drop_expired(Cause::Request);
        let dropped = dropped + self.drop_excess(retained - dropped.min(retained), Cause::Request);
        self.release_pages();
        self.garbage.collect();
        dropped
    }

    /// Drops what had ended longer ago than the retention when this was called.
    fn drop_expired(&self, cause: Cause) -> usize {
        let now = self.clock.converter();
        // Before the clock's start: nothing can be that old.
        let Some(until) = now.ticks_before_now(self.config.task_retention_duration) else {
            return 0;
        };
        self.in_batches(usize::MAX, |evictor, most| evictor.evict(self, until, most, cause, None))
    }

    /// Drops what is beyond the limit, of the `retained` that there were.
    fn drop_excess(&self, retained: usize, cause: Cause) -> usize {
        let limit = self.config.max_retained_tasks;
        self.in_batches(retained.saturating_sub(limit), |evictor, most| {
            let excess = self.retained().saturating_sub(limit);
            evictor.evict(self, u64::MAX, excess.min(most), cause, None)
        })
    }

    /// Calls `evict` with a bounded number until it does less, or `total` is reached.
    fn in_batches(
        &self,
        total: usize,
        mut evict: impl FnMut(&mut Evictor, usize) -> usize,
    ) -> usize {
        let mut dropped = 0;
        while dropped < total {
            let most = BATCH.min(total - dropped);
            let some = evict(&mut self.evictor.lock(), most);
            dropped += some;
            if some < most {
                break;
            }
            self.let_others_in();
        }
        dropped
    }

    fn release_pages(&self) -> usize {
        let mut released = 0;
        loop {
            let (some, more) = self.evictor.lock().release(self);
            released += some;
            if !more {
                return released;
            }
            self.let_others_in();
        }
    }

    /// Gives the lock to whoever waits for it, rather than to the next batch.
    pub(super) fn let_others_in(&self) {
        moirai_core::shim::sync::hand_over(&self.evictor);
    }

    /// Bytes that the registry holds.
    pub(super) fn bytes(&self) -> usize {
        let segments: usize = self.rings.iter().map(|ring| ring.segment_bytes()).sum();
        let evictor = self.evictor.lock().bytes();
        size_of::<Self>()
            + self.rings.len() * size_of::<CachePadded<Ring>>()
            + self.directory.bytes()
            + self.depot.bytes()
            + self.counts.bytes()
            + self.guests.len() * size_of::<Mutex<Books>>()
            + self.garbage.bytes()
            + segments
            + evictor
    }
}
