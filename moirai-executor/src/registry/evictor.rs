//! The evictor: evicts records, the oldest first, in bounded batches, under one lock.
//!
//! A thread that completes a task evicts the records of its own log (rule 10). When two workers complete tasks at the same rate,
//! half of the oldest records are the other's, and their cache lines move from one processor to the other, and back when their
//! slots are used again: that took 110 ns a task on two threads, and takes 75. It costs eight bytes a record, because a log holds
//! the time of the end beside the slot, so that comparing logs touches no slot. An age as the only cut-off would not do: the old
//! records of an idle worker would stay forever.

use super::completions::CompletionLog;
use super::completions::LogCursor;
use super::counts::EvictionCause;
use super::garbage::{self, Pin};
use super::page::{ALL_FREE, BLOCK_SLOTS, HALF, PAGE_BLOCKS, PAGE_SLOTS, Page};
use super::slot::FreedRecord;
use super::store::Store;
use crossbeam_utils::CachePadded;
use moirai_core::TaskStatus;

/// The most records that are evicted while the lock is held once, by a sweep, by request, or by a thread that completes a task.
pub(super) const BATCH: usize = if cfg!(moirai_loom) { 1 } else { 256 };

/// The most pages that are released while the lock is held once.
const PAGE_BATCH: usize = 4;

/// Takes from the heads of all logs. It is guarded by the lock that the text calls the evictor's lock.
#[derive(Debug)]
pub(super) struct Evictor {
    cursors: Box<[EvictionCursor]>,
    /// Pages of which some block became wholly free since their release was last attempted.
    candidates: Vec<u32>,
    /// The time of the last end among the tasks that completed under the lock (rule 9).
    last: u64,
    /// The number of calls of `evict_fair` so far.
    rounds: u64,
}

/// The evictor's position in one log.
#[derive(Debug)]
struct EvictionCursor {
    position: LogCursor,
    /// The number of completions, from the oldest on, that the present eviction defers to the log's owner.
    deferred: usize,
    /// The oldest completion that is not deferred, if it has been read: its slot, and when its task ended.
    oldest: Option<(u32, u64)>,
    /// Completions with lower numbers than this were already deferred in the round `since`.
    deferred_until: u64,
    /// The number of the round in which `deferred_until` was set.
    since: u64,
}

/// How an eviction defers records to the owners of their logs (rule 10).
pub(super) struct Deferral {
    /// The log of the thread that evicts, in which nothing is deferred.
    own: usize,
    /// The number of records beyond the limit.
    excess: usize,
    /// The most records that may be deferred in all.
    most: usize,
}

/// Slots of one block that were made free, to be returned to it together.
#[derive(Default)]
struct SlotRun {
    block: u32,
    slots: u64,
}

impl EvictionCursor {
    /// Returns whether the oldest completion was deferred to its owner before, and the owner has had time to evict it: two rounds
    /// for each log. Those behind it need not be checked, because completions are taken from the head.
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

    /// Evicts the oldest records until at most `limit` are retained, but no more than `most`. Returns the number evicted.
    pub(super) fn evict_to_limit(&mut self, store: &Store, limit: usize, most: usize) -> usize {
        let excess = store.retained().saturating_sub(limit);
        self.evict(store, u64::MAX, excess.min(most), EvictionCause::Count, None)
    }

    /// Evicts records beyond the limit, but defers up to `most_deferred` of those in logs other than `own` to the owners of the
    /// logs (rule 10). Returns the number evicted, which is at most [`BATCH`].
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

    /// Evicts the oldest records whose tasks ended at `until` or before, at most `most`, and returns the number evicted.
    ///
    /// With a `deferral` it stops once evicted and deferred records together make up the excess.
    pub(super) fn evict(
        &mut self,
        store: &Store,
        until: u64,
        most: usize,
        cause: EvictionCause,
        deferral: Option<Deferral>,
    ) -> usize {
        let pin = garbage::pin();
        let mut run = SlotRun::default();
        let mut dropped = 0;
        let mut deferred = 0;
        let excess = deferral.as_ref().map_or(most, |deferral| deferral.excess);
        while dropped < most && dropped + deferred < excess {
            // Find the log whose head is the oldest. `second` is the time of the next oldest head, up to which that log can be
            // followed.
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
                // Counted before the log shows that there is room, so that no thread sees more records retained than there are.
                self.free(store, &pin, slot, cause, &mut run);
                log.advance(&mut self.cursors[index].position);
                dropped += 1;
            }
            if dropped + deferred == before {
                break;
            }
        }
        self.free_run(store, &pin, &mut run);
        dropped
    }

    /// Returns the time at which a task that completes under the lock ends: `ticks`, but not before the last one that did.
    pub(super) fn in_order(&mut self, ticks: u64) -> u64 {
        self.last = self.last.max(ticks);
        self.last
    }

    /// Counts the eviction of a task that has just ended and whose slot was made free at once, and returns the slot to its block.
    pub(super) fn drop_unretained(
        &mut self,
        store: &Store,
        slot: u32,
        status: TaskStatus,
        freed: &FreedRecord,
    ) {
        let mut run = SlotRun::default();
        let pin = garbage::pin();
        self.freed(store, &pin, slot, (status, EvictionCause::Count), freed, &mut run);
        self.free_run(store, &pin, &mut run);
    }

    /// Returns the oldest completion of one log that is not deferred: its slot, and when its task ended.
    #[inline]
    fn oldest(&mut self, store: &Store, index: usize) -> Option<(u32, u64)> {
        let cursor = &mut self.cursors[index];
        if cursor.oldest.is_none() {
            cursor.oldest = store.logs[index].peek_behind(&mut cursor.position, cursor.deferred);
        }
        cursor.oldest
    }

    /// Returns when the task of the oldest retained record ended.
    pub(super) fn oldest_end(&mut self, store: &Store) -> Option<u64> {
        (0..self.cursors.len())
            .filter_map(|index| self.oldest(store, index))
            .map(|(_, ended)| ended)
            .min()
    }

    /// Makes the slot of a retained record free, counts that, and adds the slot to the run.
    #[inline]
    fn free(
        &mut self,
        store: &Store,
        pin: &Pin,
        slot: u32,
        cause: EvictionCause,
        run: &mut SlotRun,
    ) {
        let page = store.directory.page_of(slot, pin).expect("a retained record keeps its page");
        let (status, freed) = page.slot(slot).evict();
        self.freed(store, pin, slot, (status, cause), &freed, run);
    }

    /// Counts the eviction of a record whose slot was made free, retires its annotations, and adds the slot to the run.
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
            // SAFETY: the caller has just unlinked them, under the evictor's lock, and they are retired only here.
            unsafe { store.retire_annotations(pin, annotations) };
        }
        let Some(generation) = freed.generation else { return };
        let page =
            store.directory.page_of(slot, pin).expect("a slot that is not back keeps its page");
        page.note_generation(generation);
        let block = slot / BLOCK_SLOTS as u32;
        if run.block != block {
            self.free_run(store, pin, run);
            run.block = block;
        }
        run.slots |= 1 << (slot as usize % BLOCK_SLOTS);
    }

    /// Returns the slots of a run to their block, by one read-modify-write (rule 5). If that makes half of the block free, it tells
    /// the depot (rule 6).
    fn free_run(&mut self, store: &Store, pin: &Pin, run: &mut SlotRun) {
        let slots = std::mem::take(&mut run.slots);
        if slots == 0 {
            return;
        }
        let number = run.block / PAGE_BLOCKS as u32;
        let page = store.directory.page(number, pin).expect("a retained record keeps its page");
        let (before, after) = page.blocks[run.block as usize % PAGE_BLOCKS].free_slots(slots);
        if before.count_ones() < HALF && after.count_ones() >= HALF {
            store.depot.half_freed(&store.directory, run.block);
        }
        if after == ALL_FREE && !page.set_candidate(true) {
            self.candidates.push(number);
        }
    }

    /// Releases some of the pages that have no records (rule 7). Returns the number released, and whether there are more
    /// candidates.
    pub(super) fn release_pages(&mut self, store: &Store) -> (usize, bool) {
        let pin = garbage::pin();
        store.depot.rechecks(&mut self.candidates);
        let from = self.candidates.len().saturating_sub(PAGE_BATCH);
        let mut released = 0;
        for number in self.candidates.drain(from..) {
            let Some(page) = store.directory.page(number, &pin) else {
                continue;
            };
            page.set_candidate(false);
            if let Some(page) = store.depot.release_page(&store.directory, number) {
                released += 1;
                // SAFETY: the page was allocated as a `Box` of plain data, which may be dropped on any thread and calls no user
                // code. It was taken out of the directory just now, so a thread that pins from now on does not find it, and it is
                // retired only here.
                unsafe { pin.retire(page, Page::bytes(), &store.garbage) };
            }
        }
        let more = !self.candidates.is_empty();
        if !more {
            self.candidates.shrink_to(PAGE_SLOTS);
        }
        (released, more)
    }

    /// Frees the segments of the logs, which must not be used again.
    pub(super) fn free_logs(&mut self, logs: &[CachePadded<CompletionLog>]) {
        for (cursor, log) in self.cursors.iter_mut().zip(logs) {
            cursor.position.free(log);
        }
    }

    /// Returns the bytes held on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<u32>()
            + self.cursors.len() * size_of::<EvictionCursor>()
    }
}
