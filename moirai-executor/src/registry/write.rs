//! Opening and closing records.

use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::shim::sync::atomic::{Ordering, fence};
use moirai_core::{TaskId, TaskStatus};

use super::annotations::Annotations;
use super::evictor::BATCH;
use super::page::{BLOCK_SLOTS, HALF, PAGE_BLOCKS};
use super::reclaim;
use super::record::{FinishedTask, NewRecord, RecordEnd};
use super::task_registry::Registry;
use super::writer::{ActiveRecord, Writer};

impl Registry {
    /// Opens a record.
    ///
    /// # Safety
    ///
    /// The entry is not used after the registry has been dropped.
    #[inline]
    pub unsafe fn register(&self, writer: &mut Writer, new: NewRecord, ticks: u64) -> ActiveRecord {
        if new.name.is_some() || new.hints.is_some() {
            self.store.counts.add_annotations(&new);
        }
        let number = self.allocate(writer);
        let page = self.store.directory.page_of(number).expect("the page of a block that is held");
        let slot = page.slot(number);
        let generation = slot.register(new, ticks);
        self.store.counts.of(writer.index).spawned();
        let id = TaskId::from_parts(generation, number).expect("generations begin with one");
        ActiveRecord { slot: NonNull::from(slot), id }
    }

    #[inline]
    fn allocate(&self, writer: &mut Writer) -> u32 {
        if writer.free == 0 {
            self.refill(writer);
        }
        let bit = writer.free.trailing_zeros();
        writer.free &= writer.free - 1;
        let block = writer.block.expect("there is a free slot in it");
        block * BLOCK_SLOTS as u32 + bit
    }

    /// Rule 5.
    #[cold]
    fn refill(&self, writer: &mut Writer) {
        if let Some(number) = writer.block {
            let page = self.store.directory.page(number / PAGE_BLOCKS as u32);
            let page = page.expect("the page of a block that is held");
            let block = &page.blocks[number as usize % PAGE_BLOCKS];
            if block.freed().count_ones() >= HALF {
                writer.free = block.take_freed();
                return;
            }
            writer.block = None;
            self.store.depot.release_block(&self.store.directory, number);
        }
        let (number, free) = self.store.depot.take(&self.store.directory);
        assert!(free != 0, "a block is ready only when half of it is free");
        writer.block = Some(number);
        writer.free = free;
    }

    /// Closes a record: the task has ended.
    #[inline]
    pub fn finish(
        &self,
        writer: &mut Writer,
        entry: ActiveRecord,
        mut end: RecordEnd,
    ) -> FinishedTask {
        let status = end.status;
        let (finished, retired, added) = if self.is_exact() {
            self.finish_exactly(writer, &entry, end)
        } else {
            // Rule 8: the time was read before the writer were had, perhaps by another thread than that of the last end.
            writer.last = writer.last.max(end.ticks);
            end.ticks = writer.last;
            let result = entry.slot().finish(end);
            // Counted before it is published, so that no more are seen evicted than ended.
            self.store.counts.of(writer.index).finished(status);
            self.store.logs[writer.index].push(entry.id.slot(), writer.last);
            writer.unchecked += 1;
            if writer.unchecked >= self.batch || writer.index >= self.workers {
                writer.unchecked = 0;
                self.enforce_limit(writer.index);
            }
            result
        };
        if added > 0 {
            self.annotations_added(added, retired);
        }
        if self.config.enable_automatic_cleanup {
            self.sweep_signal.completed();
        }
        finished
    }

    /// Counts annotations that was added to a record, and retires what it replaces.
    #[cold]
    fn annotations_added(&self, added: usize, replaced: Option<NonNull<Annotations>>) {
        self.store.counts.annotation_bytes(added, None);
        if let Some(annotations) = replaced {
            let pin = reclaim::pin();
            // SAFETY: unlinked by the caller, and retired only by who unlinked it.
            unsafe { self.store.retire_annotations(&pin, annotations) };
            // At once: this thread may not retire anything for a long time.
            pin.flush();
        }
    }

    /// Whether completing and evicting happen together; see rule 9.
    fn is_exact(&self) -> bool {
        self.batch == 0 && self.config.enable_automatic_cleanup
    }

    /// Completes under the evictor's lock, and makes room before.
    #[cold]
    fn finish_exactly(
        &self,
        writer: &Writer,
        entry: &ActiveRecord,
        mut end: RecordEnd,
    ) -> (FinishedTask, Option<NonNull<Annotations>>, usize) {
        let status = end.status;
        let number = entry.id.slot();
        let mut evictor = self.evictor.lock();
        end.ticks = evictor.in_order(end.ticks);
        let ended = end.ticks;
        match self.config.max_retained_tasks.checked_sub(1) {
            Some(others) => {
                // Before the terminal status can be read, so that never more than the limit are.
                evictor.evict_to_limit(&self.store, others, usize::MAX);
                let result = entry.slot().finish(end);
                self.store.counts.of(writer.index).finished(status);
                self.store.logs[writer.index].push(number, ended);
                result
            }
            None => {
                let (finished, freed) = entry.slot().finish_unretained(end.ticks);
                // Counted as dropped before it is counted as ended: it is never one that is retained.
                evictor.drop_unretained(&self.store, number, status, &freed);
                self.store.counts.of(writer.index).finished(status);
                (finished, None, 0)
            }
        }
    }

    /// Evicts what is beyond the limit, for who has just completed to the log `own`.
    fn enforce_limit(&self, own: usize) {
        let config = &self.config;
        if !config.enable_automatic_cleanup {
            return;
        }
        // Between the caller's completion and its look; rule 9.
        fence(Ordering::SeqCst);
        let limit = config.max_retained_tasks;
        loop {
            let excess = self.retained().saturating_sub(limit);
            if excess == 0 {
                return;
            }
            // Rule 10: as little may be left to the next look.
            let evictor = if excess <= self.max_deferred {
                self.evictor.try_lock()
            } else {
                Some(self.evictor.lock())
            };
            let Some(mut evictor) = evictor else { return };
            if evictor.evict_fair(&self.store, limit, own, self.max_deferred) < BATCH {
                return;
            }
            drop(evictor);
            self.yield_lock();
        }
    }

    /// How many records of ended tasks there are.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.store.retained()
    }

    /// Adds a message to the record of a task that has ended, if it is still there.
    pub fn append_error(&self, id: TaskId, message: Arc<str>) {
        let evictor = self.evictor.lock();
        // Ended, and not evicted under the lock: the evictor's lock makes the caller the slot's writer (rule 1).
        let page = self.store.directory.page_of(id.slot());
        let slot = page.map(|page| page.slot(id.slot())).filter(|slot| {
            let word = slot.word();
            let ended = word.status().is_some_and(TaskStatus::is_terminal);
            word.generation() == id.generation() && ended
        });
        let Some(slot) = slot else { return };
        let (replaced, added) = slot.add_error(message);
        drop(evictor);
        self.annotations_added(added, replaced);
    }

    /// Calls `f` with what an active task is reached by; see rule 4. `f` must be short, and not come back here.
    pub fn with_task<R>(&self, id: TaskId, f: impl FnOnce(NonNull<()>) -> R) -> Option<R> {
        // Keeps the page while the slot is looked at, and until it is unlocked.
        let _pin = reclaim::pin();
        self.store.directory.page_of(id.slot())?.slot(id.slot()).with_task(id.generation(), f)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.store.free_annotations();
        let evictor = &mut *self.evictor.lock();
        evictor.free_logs(&self.store.logs);
    }
}
