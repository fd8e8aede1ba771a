//! The evictors: each evicts the records of one log, the oldest first.
//!
//! A worker evicts the records of its own log, so no record moves from one processor to another to be evicted, and there is no lock
//! that all workers take. How far it may go, a count of all completions tells ([`tally`](super::tally), rules 9 and 10). One evictor
//! that compares the heads of all logs, under one lock, took 215 instructions a task with one worker; this takes 70.
//! An age as the only cut-off would not do: the old records of an idle worker would stay forever.

use std::collections::VecDeque;
use std::ops::Range;

use moirai_core::shim::sync::MutexGuard;
use moirai_core::shim::sync::atomic::Ordering;

use super::completions::{CompletionLog, LogCursor};
use super::counts::EvictionCause;
use super::garbage;
use super::page::{ALL_FREE, BLOCK_SLOTS, HALF, PAGE_BLOCKS, Page};
use super::slot::FreedRecord;
use super::store::Store;

/// Takes from the head of one log. It is guarded by a lock that the text calls the lock of the log.
#[derive(Debug)]
pub(super) struct Evictor {
    cursor: LogCursor,
    /// The batches of completions that were told and may not have been evicted yet, in order.
    batches: VecDeque<ToldBatch>,
    /// The number of completions of the log before the first of these batches.
    before: u64,
    /// Pages of which some block became wholly free since their release was last attempted.
    candidates: Vec<u32>,
}

/// Completions of one log that were told together: how many, in the low byte, and how many had been told of all logs with the last
/// of them. 56 bits are enough for twenty years of a hundred million tasks a second.
#[derive(Clone, Copy, Debug)]
struct ToldBatch(u64);

impl ToldBatch {
    const COUNT_BITS: u32 = 8;

    fn new(count: u64, told: u64) -> Self {
        debug_assert!(count >> Self::COUNT_BITS == 0, "a batch is far smaller");
        Self(told << Self::COUNT_BITS | count)
    }

    fn count(self) -> u64 {
        self.0 & ((1 << Self::COUNT_BITS) - 1)
    }

    fn told(self) -> u64 {
        self.0 >> Self::COUNT_BITS
    }
}

/// Slots of one block that were made free, to be returned to it together.
struct SlotRun<'a> {
    block: u32,
    page: Option<&'a Page>,
    slots: u64,
    /// The highest generation with which one of them goes on.
    generation: u32,
}

impl Evictor {
    pub(super) fn new() -> Self {
        Self {
            cursor: LogCursor::new(),
            batches: VecDeque::new(),
            before: 0,
            candidates: Vec::new(),
        }
    }

    /// Tells that the log's owner has added `count` completions. Returns how many were told of all logs with these.
    pub(super) fn tell(&mut self, store: &Store, count: u64) -> u64 {
        let told = store.tally.tell(count);
        self.batches.push_back(ToldBatch::new(count, told));
        told
    }

    /// Evicts the batches that had been told when no more than `until` completions had.
    pub(super) fn evict_told(&mut self, store: &Store, index: usize, until: u64) {
        while let Some(batch) = self.batches.front()
            && batch.told() <= until
        {
            self.before += batch.count();
            self.batches.pop_front();
        }
        // Some of them may have been evicted for another cause.
        let count = self.before.saturating_sub(self.cursor.taken()) as usize;
        if count > 0 {
            self.evict(store, index, count, EvictionCause::Count);
        }
    }

    /// Evicts the `count` oldest records of the log, which has as many.
    pub(super) fn evict(
        &mut self,
        store: &Store,
        index: usize,
        count: usize,
        cause: EvictionCause,
    ) {
        // Pages are reached while the records in them are freed, and some of them may be released by then (rule 7).
        let pin = garbage::pin();
        let log = &store.logs[index];
        let mut run = SlotRun { block: u32::MAX, page: None, slots: 0, generation: 0 };
        let mut left = count;
        while left > 0 {
            let slots = log.oldest(&mut self.cursor, left);
            // Otherwise this would never end.
            assert!(!slots.is_empty(), "the caller has seen as many completions");
            let mut by_outcome = [0; 3];
            for slot in slots {
                // Ordering: Relaxed: acquired with the tail.
                let number = slot.load(Ordering::Relaxed);
                let block = number / BLOCK_SLOTS as u32;
                if run.block != block {
                    self.free_run(store, &mut run);
                    run.block = block;
                    run.page = store.directory.page_of(number, &pin);
                }
                let page = run.page.expect("a retained record keeps its page");
                let (outcome, freed) = page.slot(number).evict();
                by_outcome[outcome] += 1;
                if let Some(annotations) = freed.annotations {
                    // SAFETY: they were unlinked just now, under the lock of the record's log, and are retired only here.
                    unsafe { store.retire_annotations(&pin, annotations) };
                }
                if let Some(generation) = freed.generation {
                    run.generation = run.generation.max(generation);
                    run.slots |= 1 << (number as usize % BLOCK_SLOTS);
                }
            }
            // Counted before the log shows that there is room, so that no thread sees more records retained than there are.
            store.counts.of(index).evicted(by_outcome, cause);
            let taken = slots.len();
            log.advance(&mut self.cursor, taken);
            left -= taken;
        }
        self.free_run(store, &mut run);
        if store.is_told(index) {
            store.tally.evicted(count as u64);
        }
    }

    /// Returns how many of the oldest completions, at most `most`, ended at `until` or before.
    pub(super) fn count_until(
        &mut self,
        store: &Store,
        index: usize,
        until: u64,
        most: usize,
    ) -> usize {
        let log = &store.logs[index];
        let mut count = 0;
        while count < most
            && log.peek_behind(&mut self.cursor, count).is_some_and(|(_, ended)| ended <= until)
        {
            count += 1;
        }
        count
    }

    /// Counts the eviction of a task that has just ended, and whose slot was made free at once, and returns the slot to its block.
    /// The task never was in the log.
    pub(super) fn drop_unretained(
        &mut self,
        store: &Store,
        index: usize,
        number: u32,
        outcome: usize,
        freed: &FreedRecord,
    ) {
        let pin = garbage::pin();
        let mut by_outcome = [0; 3];
        by_outcome[outcome] += 1;
        store.counts.of(index).evicted(by_outcome, EvictionCause::Count);
        if let Some(annotations) = freed.annotations {
            // SAFETY: the caller has just unlinked them, and they are retired only here.
            unsafe { store.retire_annotations(&pin, annotations) };
        }
        let Some(generation) = freed.generation else { return };
        let page = store.directory.page_of(number, &pin);
        let slots = 1 << (number as usize % BLOCK_SLOTS);
        let block = number / BLOCK_SLOTS as u32;
        self.free_run(store, &mut SlotRun { block, page, slots, generation });
    }

    /// Returns the slots of a run to their block, by one read-modify-write (rule 5). If that makes half of the block free, it tells
    /// the depot (rule 6).
    fn free_run(&mut self, store: &Store, run: &mut SlotRun<'_>) {
        let slots = std::mem::take(&mut run.slots);
        if slots == 0 {
            return;
        }
        let page = run.page.expect("a slot that is not back keeps its page");
        page.note_generation(std::mem::take(&mut run.generation));
        // From here on the page may be released by another thread. The caller's pin keeps it from being freed.
        let (before, after) = page.blocks[run.block as usize % PAGE_BLOCKS].free_slots(slots);
        if before.count_ones() < HALF && after.count_ones() >= HALF {
            store.depot.half_freed(&store.directory, run.block);
        }
        if after == ALL_FREE && !page.set_candidate(true) {
            self.candidates.push(run.block / PAGE_BLOCKS as u32);
        }
    }

    /// Returns when the task of the log's oldest retained record ended.
    pub(super) fn oldest_end(&mut self, store: &Store, index: usize) -> Option<u64> {
        store.logs[index].peek_behind(&mut self.cursor, 0).map(|(_, ended)| ended)
    }

    /// Moves the candidates for release to a list of all of them.
    pub(super) fn take_candidates(&mut self, all: &mut Vec<u32>) {
        all.append(&mut self.candidates);
        self.candidates.shrink_to(BLOCK_SLOTS);
    }

    /// Frees the segments of the log, which must not be used again.
    pub(super) fn free_log(&mut self, log: &CompletionLog) {
        self.cursor.free(log);
    }

    /// Returns the bytes held on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<u32>()
            + self.batches.capacity() * size_of::<ToldBatch>()
    }
}

/// Evicts the oldest records of these logs until `limit` of theirs are retained, at most `most`, with the evictors of the logs.
/// Returns the number evicted.
pub(super) fn evict_oldest(
    store: &Store,
    logs: &Range<usize>,
    evictors: &mut [MutexGuard<'_, Evictor>],
    limit: usize,
    most: usize,
    cause: EvictionCause,
) -> usize {
    let most = store.retained(logs).saturating_sub(limit).min(most);
    let mut dropped = 0;
    while dropped < most {
        // Find the log whose head is the oldest. `second` is the time of the next oldest head, up to which that log can be
        // followed.
        let mut first: Option<(usize, u64)> = None;
        let mut second = u64::MAX;
        for (index, evictor) in logs.clone().zip(evictors.iter_mut()) {
            let Some(ended) = evictor.oldest_end(store, index) else {
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
        let evictor = &mut evictors[index - logs.start];
        let count = evictor.count_until(store, index, second, most - dropped);
        evictor.evict(store, index, count, cause);
        dropped += count;
    }
    dropped
}
