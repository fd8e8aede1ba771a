//! Dropping records: the oldest first, in bounded batches, under one lock.

use super::completions::Head;
use super::completions::Ring;
use super::counts::Cause;
use super::page::{ALL_FREE, BLOCK_SLOTS, HALF, PAGE_BLOCKS, PAGE_SLOTS, Page};
use super::reclaim::{self, Pin};
use super::slot::Freed;
use super::store::Store;
use crossbeam_utils::CachePadded;
use moirai_core::TaskStatus;

/// Records dropped in one hold of the lock by a sweep, or by request.
pub(super) const BATCH: usize = if cfg!(moirai_loom) { 1 } else { 256 };

/// Pages released in one hold of the lock.
const PAGE_BATCH: usize = 4;

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
pub(super) struct Leave {
    /// The ring that nothing is left in.
    own: usize,
    /// How many records are too many.
    excess: usize,
    /// How many may be left.
    most: usize,
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
    fn is_overdue(&self, looks: u64, store: &Store) -> bool {
        self.head.taken() < self.left_until && looks - self.since > 2 * store.rings.len() as u64
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
    pub(super) fn keep(&mut self, store: &Store, limit: usize, most: usize) -> usize {
        let excess = store.retained().saturating_sub(limit);
        self.evict(store, u64::MAX, excess.min(most), Cause::Count, None)
    }

    /// Rule 10: drops what is beyond the limit, but leaves some of what is in other rings than `own` to their owners. Says how
    /// many it dropped, at most a batch.
    pub(super) fn keep_share(
        &mut self,
        store: &Store,
        limit: usize,
        own: usize,
        most_left: usize,
    ) -> usize {
        let excess = store.retained().saturating_sub(limit);
        self.looks += 1;
        let leave = Some(Leave { own, excess, most: most_left });
        let dropped = self.evict(store, u64::MAX, BATCH, Cause::Count, leave);
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
    pub(super) fn evict(
        &mut self,
        store: &Store,
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
                let Some((_, ended)) = self.oldest(store, index) else {
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
            let may_leave =
                leave.as_ref().filter(|leave| leave.own != index).map_or(0, |leave| leave.most);
            while dropped < most
                && dropped + left < excess
                && let Some((_, ended)) = self.oldest(store, index)
                && ended <= second.min(until)
            {
                let place = &mut self.heads[index];
                place.oldest = None;
                if left < may_leave && !place.is_overdue(self.looks, store) {
                    place.left += 1;
                    left += 1;
                    continue;
                }
                let ring = &store.rings[index];
                let (slot, _) = ring.peek(&mut place.head).expect("one behind it was seen");
                // Counted before the ring shows room, so that no more are seen retained than there are.
                self.free(store, &pin, slot, cause, &mut run);
                ring.advance(&mut self.heads[index].head);
                dropped += 1;
            }
            if dropped + left == before {
                break;
            }
        }
        self.give_back(store, &mut run);
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
        store: &Store,
        slot: u32,
        status: TaskStatus,
        freed: &Freed,
    ) {
        let mut run = Run::default();
        self.freed(store, &reclaim::pin(), slot, (status, Cause::Count), freed, &mut run);
        self.give_back(store, &mut run);
    }

    /// The oldest completion of one ring that is not left to others.
    #[inline]
    fn oldest(&mut self, store: &Store, index: usize) -> Option<(u32, u64)> {
        let place = &mut self.heads[index];
        if place.oldest.is_none() {
            place.oldest = store.rings[index].peek_behind(&mut place.head, place.left);
        }
        place.oldest
    }

    /// When the oldest record ended.
    pub(super) fn oldest_end(&mut self, store: &Store) -> Option<u64> {
        (0..self.heads.len())
            .filter_map(|index| self.oldest(store, index))
            .map(|(_, ended)| ended)
            .min()
    }

    #[inline]
    fn free(&mut self, store: &Store, pin: &Pin, slot: u32, cause: Cause, run: &mut Run) {
        let page = store.directory.page_of(slot).expect("a retained record keeps its page");
        let (status, freed) = page.slot(slot).evict();
        self.freed(store, pin, slot, (status, cause), &freed, run);
    }

    /// Counts a record that was dropped, and adds its slot to the run.
    fn freed(
        &mut self,
        store: &Store,
        pin: &Pin,
        slot: u32,
        (status, cause): (TaskStatus, Cause),
        freed: &Freed,
        run: &mut Run,
    ) {
        store.counts.evicted(status, cause);
        if let Some(text) = freed.text {
            // SAFETY: unlinked just now, by the one who retires it.
            unsafe { store.retire_text(pin, text) };
        }
        let Some(generation) = freed.generation else { return };
        let page = store.directory.page_of(slot).expect("a slot that is not back keeps its page");
        page.note_generation(generation);
        let block = slot / BLOCK_SLOTS as u32;
        if run.block != block {
            self.give_back(store, run);
            run.block = block;
        }
        run.slots |= 1 << (slot as usize % BLOCK_SLOTS);
    }

    /// Rule 5 and 6: one exchange for a run.
    fn give_back(&mut self, store: &Store, run: &mut Run) {
        let slots = std::mem::take(&mut run.slots);
        if slots == 0 {
            return;
        }
        let number = run.block / PAGE_BLOCKS as u32;
        let page = store.directory.page(number).expect("a retained record keeps its page");
        let (before, after) = page.blocks[run.block as usize % PAGE_BLOCKS].give_back(slots);
        if before.count_ones() < HALF && after.count_ones() >= HALF {
            store.depot.crossed(&store.directory, run.block);
        }
        if after == ALL_FREE && !page.set_candidate(true) {
            self.candidates.push(number);
        }
    }

    /// Releases some of the pages that hold no task. Says how many, and whether there are more candidates.
    pub(super) fn release(&mut self, store: &Store) -> (usize, bool) {
        let pin = reclaim::pin();
        store.depot.missed(&mut self.candidates);
        let from = self.candidates.len().saturating_sub(PAGE_BATCH);
        let mut released = 0;
        for number in self.candidates.drain(from..) {
            let Some(page) = store.directory.page(number) else {
                continue;
            };
            page.set_candidate(false);
            if let Some(page) = store.depot.release(&store.directory, number) {
                released += 1;
                // SAFETY: a `Box`, taken out of the directory just now, by the one who retires it.
                unsafe { pin.retire(page, Page::bytes(), &store.garbage) };
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
