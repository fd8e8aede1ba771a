//! Dropping records: the oldest first, in bounded batches, under one lock.

use super::completions::CompletionLog;
use super::completions::LogCursor;
use super::counts::EvictionCause;
use super::page::{ALL_FREE, BLOCK_SLOTS, HALF, PAGE_BLOCKS, PAGE_SLOTS, Page};
use super::reclaim::{self, Pin};
use super::slot::FreedRecord;
use super::store::Store;
use crossbeam_utils::CachePadded;
use moirai_core::TaskStatus;

/// Records dropped in one hold of the lock by a sweep, or by request.
pub(super) const BATCH: usize = if cfg!(moirai_loom) { 1 } else { 256 };

/// Pages released in one hold of the lock.
const PAGE_BATCH: usize = 4;

/// Takes from the cursors of the logs.
#[derive(Debug)]
pub(super) struct Evictor {
    cursors: Box<[EvictionCursor]>,
    /// Pages of which a whole block was free at some moment since the last release_pages.
    candidates: Vec<u32>,
    /// When the last task ended of those that ended under the lock; see rule 9.
    last: u64,
    /// How often a share was kept.
    rounds: u64,
}

/// Where the evictor stands in one log.
#[derive(Debug)]
struct EvictionCursor {
    position: LogCursor,
    /// Completions from the oldest on that the share being kept leaves to the log's owner.
    deferred: usize,
    /// The oldest completion that is not deferred, once it was looked at: its slot, and when it ended.
    oldest: Option<(u32, u64)>,
    /// Completions before this number were deferred at look number `since` already.
    deferred_until: u64,
    since: u64,
}

/// Leaving records to the owners of their logs; see rule 10.
pub(super) struct Deferral {
    /// The log that nothing is deferred in.
    own: usize,
    /// How many records are too many.
    excess: usize,
    /// How many may be deferred.
    most: usize,
}

/// Slots of one block, to be given back at once.
#[derive(Default)]
struct SlotRun {
    block: u32,
    slots: u64,
}

impl EvictionCursor {
    /// Whether the next completion was deferred to its owner before, and he has had time since. It is enough to look at that of
    /// the oldest one: they go from the head.
    fn is_overdue(&self, rounds: u64, store: &Store) -> bool {
        self.position.taken() < self.deferred_until
            && rounds - self.since > 2 * store.logs.len() as u64
    }
}

impl Evictor {
    pub(super) fn new(logs: usize) -> Self {
        let cursor = || EvictionCursor {
            position: LogCursor::new(),
            deferred: 0,
            oldest: None,
            deferred_until: 0,
            since: 0,
        };
        Self {
            cursors: (0..logs).map(|_| cursor()).collect(),
            candidates: Vec::new(),
            last: 0,
            rounds: 0,
        }
    }

    /// Drops the oldest records until at most `limit` are deferred, but no more than `most`. Says how many.
    pub(super) fn evict_to_limit(&mut self, store: &Store, limit: usize, most: usize) -> usize {
        let excess = store.retained().saturating_sub(limit);
        self.evict(store, u64::MAX, excess.min(most), EvictionCause::Count, None)
    }

    /// Rule 10: drops what is beyond the limit, but leaves some of what is in other logs than `own` to their owners. Says how
    /// many it dropped, at most a batch.
    pub(super) fn evict_fair(
        &mut self,
        store: &Store,
        limit: usize,
        own: usize,
        most_deferred: usize,
    ) -> usize {
        let excess = store.retained().saturating_sub(limit);
        self.rounds += 1;
        let deferral = Some(Deferral { own, excess, most: most_deferred });
        let dropped = self.evict(store, u64::MAX, BATCH, EvictionCause::Count, deferral);
        for cursor in &mut self.cursors {
            if cursor.deferred > 0 {
                if cursor.deferred_until <= cursor.position.taken() {
                    cursor.deferred_until = cursor.position.taken() + cursor.deferred as u64;
                    cursor.since = self.rounds;
                }
                cursor.deferred = 0;
                cursor.oldest = None;
            }
        }
        dropped
    }

    /// Drops the oldest records that ended not later than `until`, at most `most`. Says how many. What it may deferral to others
    /// counts among those in excess.
    pub(super) fn evict(
        &mut self,
        store: &Store,
        until: u64,
        most: usize,
        cause: EvictionCause,
        deferral: Option<Deferral>,
    ) -> usize {
        let pin = reclaim::pin();
        let mut run = SlotRun::default();
        let mut dropped = 0;
        let mut deferred = 0;
        let excess = deferral.as_ref().map_or(most, |deferral| deferral.excess);
        while dropped < most && dropped + deferred < excess {
            // The log with the oldest head, and how far it may be followed before another one's is older.
            let mut first: Option<(usize, u64)> = None;
            let mut second = u64::MAX;
            for index in 0..self.cursors.len() {
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
            let before = dropped + deferred;
            let may_defer = deferral
                .as_ref()
                .filter(|deferral| deferral.own != index)
                .map_or(0, |deferral| deferral.most);
            while dropped < most
                && dropped + deferred < excess
                && let Some((_, ended)) = self.oldest(store, index)
                && ended <= second.min(until)
            {
                let cursor = &mut self.cursors[index];
                cursor.oldest = None;
                if deferred < may_defer && !cursor.is_overdue(self.rounds, store) {
                    cursor.deferred += 1;
                    deferred += 1;
                    continue;
                }
                let log = &store.logs[index];
                let (slot, _) = log.peek(&mut cursor.position).expect("one behind it was seen");
                // Counted before the log shows room, so that no more are seen retained than there are.
                self.free(store, &pin, slot, cause, &mut run);
                log.advance(&mut self.cursors[index].position);
                dropped += 1;
            }
            if dropped + deferred == before {
                break;
            }
        }
        self.free_run(store, &mut run);
        dropped
    }

    /// When a task ends under the lock: not before the one that did so last.
    pub(super) fn in_order(&mut self, ticks: u64) -> u64 {
        self.last = self.last.max(ticks);
        self.last
    }

    /// Drops the record of a task that has just ended, and whose slot is free already.
    pub(super) fn drop_unretained(
        &mut self,
        store: &Store,
        slot: u32,
        status: TaskStatus,
        freed: &FreedRecord,
    ) {
        let mut run = SlotRun::default();
        self.freed(store, &reclaim::pin(), slot, (status, EvictionCause::Count), freed, &mut run);
        self.free_run(store, &mut run);
    }

    /// The oldest completion of one log that is not deferred to others.
    #[inline]
    fn oldest(&mut self, store: &Store, index: usize) -> Option<(u32, u64)> {
        let cursor = &mut self.cursors[index];
        if cursor.oldest.is_none() {
            cursor.oldest = store.logs[index].peek_behind(&mut cursor.position, cursor.deferred);
        }
        cursor.oldest
    }

    /// When the oldest record ended.
    pub(super) fn oldest_end(&mut self, store: &Store) -> Option<u64> {
        (0..self.cursors.len())
            .filter_map(|index| self.oldest(store, index))
            .map(|(_, ended)| ended)
            .min()
    }

    #[inline]
    fn free(
        &mut self,
        store: &Store,
        pin: &Pin,
        slot: u32,
        cause: EvictionCause,
        run: &mut SlotRun,
    ) {
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
        (status, cause): (TaskStatus, EvictionCause),
        freed: &FreedRecord,
        run: &mut SlotRun,
    ) {
        store.counts.evicted(status, cause);
        if let Some(annotations) = freed.annotations {
            // SAFETY: unlinked just now, by the one who retires it.
            unsafe { store.retire_annotations(pin, annotations) };
        }
        let Some(generation) = freed.generation else { return };
        let page = store.directory.page_of(slot).expect("a slot that is not back keeps its page");
        page.note_generation(generation);
        let block = slot / BLOCK_SLOTS as u32;
        if run.block != block {
            self.free_run(store, run);
            run.block = block;
        }
        run.slots |= 1 << (slot as usize % BLOCK_SLOTS);
    }

    /// Rule 5 and 6: one exchange for a run.
    fn free_run(&mut self, store: &Store, run: &mut SlotRun) {
        let slots = std::mem::take(&mut run.slots);
        if slots == 0 {
            return;
        }
        let number = run.block / PAGE_BLOCKS as u32;
        let page = store.directory.page(number).expect("a retained record keeps its page");
        let (before, after) = page.blocks[run.block as usize % PAGE_BLOCKS].free_slots(slots);
        if before.count_ones() < HALF && after.count_ones() >= HALF {
            store.depot.half_freed(&store.directory, run.block);
        }
        if after == ALL_FREE && !page.set_candidate(true) {
            self.candidates.push(number);
        }
    }

    /// Releases some of the pages that hold no task. Says how many, and whether there are more candidates.
    pub(super) fn release_pages(&mut self, store: &Store) -> (usize, bool) {
        let pin = reclaim::pin();
        store.depot.rechecks(&mut self.candidates);
        let from = self.candidates.len().saturating_sub(PAGE_BATCH);
        let mut released = 0;
        for number in self.candidates.drain(from..) {
            let Some(page) = store.directory.page(number) else {
                continue;
            };
            page.set_candidate(false);
            if let Some(page) = store.depot.release_page(&store.directory, number) {
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

    /// Frees the logs' segments; nobody uses them any more.
    pub(super) fn free_logs(&mut self, logs: &[CachePadded<CompletionLog>]) {
        for (cursor, log) in self.cursors.iter_mut().zip(logs) {
            cursor.position.free(log);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<u32>()
            + self.cursors.len() * size_of::<EvictionCursor>()
    }
}
