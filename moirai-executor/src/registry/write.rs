//! Registering and finishing tasks, and enforcing the limit on the way.

use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use moirai_core::{TaskId, TaskStatus};

use super::annotations::LinkedAnnotations;
use super::classes::ClassId;
use super::counts::{EvictionCause, outcome_of};
use super::details::TaskDetails;
use super::evictor::evict_oldest;
use super::garbage;
use super::garbage::Pin;
use super::page::{self, BLOCK_SLOTS, HALF, PAGE_BLOCKS};
use super::record::{FinishedTask, NewRecord, RecordEnd};
use super::slot::Slot;
use super::task_registry::Registry;
use super::writer::{ActiveRecord, HeldBlock, Writer};
use crate::prefetch::prefetch;

impl Registry {
    /// Opens the record of a new task, which is queued and was spawned at `ticks`, and returns the right to write the record.
    ///
    /// From now on the task is found by its id.
    ///
    /// # Safety
    ///
    /// - `writer` must be one of this registry.
    /// - The record must be finished with this registry, if it is finished at all.
    /// - The record must not be used after this registry has been dropped.
    /// - `new.task` must be aligned to at least two. It must stay valid, for whatever the callers of [`with_task`](Self::with_task)
    ///   do with it, until [`finish`](Self::finish) has taken the record; if it never does, for as long as `with_task` may be
    ///   called.
    ///
    /// # Panics
    ///
    /// If all slots, more than four billion, are in use.
    #[inline(always)]
    pub unsafe fn register(&self, writer: &mut Writer, new: NewRecord, ticks: u64) -> ActiveRecord {
        debug_assert!(writer.registry == self.identity, "the caller's promise");
        if new.name.is_some() || new.hints.is_some() {
            self.store.counts.add_annotations(&new);
        }
        let (number, slot) = self.allocate(writer);
        // SAFETY: the writer holds the block of this slot, and no page is taken out of which a block is held.
        let generation = unsafe { slot.as_ref() }.register(new, ticks);
        self.store.counts.of(writer.index).spawned();
        let id = TaskId::from_parts(generation, number).expect("generations begin with one");
        ActiveRecord { slot, id }
    }

    /// Opens the record of a new task of a class; otherwise as [`register`](Self::register). For a retention class it takes a lock,
    /// and does not use `writer`.
    ///
    /// # Safety
    ///
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// If all slots, more than four billion, are in use. If this registry has no class with this id.
    pub unsafe fn register_in(
        &self,
        class: ClassId,
        writer: &mut Writer,
        new: NewRecord,
        ticks: u64,
    ) -> ActiveRecord {
        if class.is_default() {
            // SAFETY: the caller has the same obligations.
            return unsafe { self.register(writer, new, ticks) };
        }
        assert!(self.classes.contains(class), "the class is one of another registry");
        // SAFETY: the writer is one of this registry; otherwise the caller has the same obligations.
        let record = unsafe { self.register(&mut self.class_writer.lock(), new, ticks) };
        // No other thread may write the slot, and nobody else asks for the class.
        record.slot().set_class(class);
        record
    }

    /// Allocates a slot of the writer's block, and returns its number with it.
    #[inline]
    fn allocate(&self, writer: &mut Writer) -> (u32, NonNull<Slot>) {
        if writer.free == 0 {
            self.refill(writer);
        }
        let bit = writer.free.trailing_zeros();
        writer.free &= writer.free - 1;
        let HeldBlock { number, slots } = writer.block.expect("there is a free slot in it");
        // The next slot may have been written last by another worker, for a task that it has run.
        prefetch(slots.as_ptr().wrapping_add(writer.free.trailing_zeros() as usize));
        // SAFETY: a block has as many slots as the mask has bits.
        let slot = unsafe { slots.add(bit as usize) };
        (number * BLOCK_SLOTS as u32 + bit, slot)
    }

    /// Gets a writer that has no slots left new ones: those of its block that were freed, if they are half of the block, or another
    /// block (rule 5).
    #[cold]
    fn refill(&self, writer: &mut Writer) {
        if let Some(HeldBlock { number, .. }) = writer.block {
            // SAFETY: the writer holds the block until it is released below, and no page is taken out of which a block is held.
            let page = unsafe { self.store.directory.page_unpinned(number / PAGE_BLOCKS as u32) };
            let page = page.expect("the page of a block that is held");
            let block = &page.blocks[number as usize % PAGE_BLOCKS];
            if block.freed().count_ones() >= HALF {
                writer.free = block.take_freed();
                return;
            }
            writer.block = None;
            self.store.depot.release_block(&self.store.directory, number);
        }
        let (number, free) = self.store.depot.take(&self.store.directory, writer.tenants);
        assert!(free != 0, "a block is ready only when half of it is free");
        // SAFETY: the block is held by now, and no page is taken out of which a block is held.
        let page = unsafe { self.store.directory.page_unpinned(number / PAGE_BLOCKS as u32) };
        let page = page.expect("the page of a block that is held");
        let first = number as usize % PAGE_BLOCKS * BLOCK_SLOTS;
        let slots = NonNull::from(&page.slots()[first..first + BLOCK_SLOTS]).cast();
        writer.block = Some(HeldBlock { number, slots });
        writer.free = free;
    }

    /// Finishes the record of a task that has ended, and returns what is known of the task.
    ///
    /// `writer` may be any writer of this registry. If a call of [`with_task`](Self::with_task) for this task is in progress, this
    /// waits until it has returned; no later call finds the task. Unless automatic cleanup is off, this evicts retained records
    /// beyond the limit.
    ///
    /// The time of the end is raised to that of the spawn, of the start, and of the last end by the same writer or, in a retention
    /// class, in the same class, if it is before them. `end.status` must be a terminal status: with any other one the record is
    /// counted as completed but shows that status, and its eviction panics in debug builds.
    ///
    /// # Panics
    ///
    /// If `writer` is one of another registry. The record stays active then.
    #[inline]
    pub fn finish(
        &self,
        writer: &mut Writer,
        record: ActiveRecord,
        mut end: RecordEnd,
    ) -> FinishedTask {
        // The writer of the same index of this registry may be in use by another thread, which appends to the same log.
        assert!(writer.registry == self.identity, "the writer is one of another registry");
        debug_assert!(self.has(&record), "the record is one of another registry");
        let status = end.status;
        if let Some(cause) = end.cancelled_by.filter(|_| status == TaskStatus::Cancelled) {
            self.store.counts.cancelled(cause);
        }
        let class = self.classes.of(record.slot().own_word().class(), status);
        let (finished, retired, added) = if !class.is_default() || self.is_exact() {
            self.finish_exactly(writer, class, &record, end)
        } else {
            // The times in a log must not go backwards (rule 8). This one was read before the caller had the writer, perhaps by
            // another thread than the one that read that of the last end.
            writer.last = writer.last.max(end.ticks);
            end.ticks = writer.last;
            let result = record.slot().finish(end);
            self.publish_completion(writer, &record, status);
            result
        };
        if added > 0 {
            self.annotations_added(added, retired);
        }
        self.signal_completion();
        finished
    }

    /// Finishes the record of a task that has completed without an error, in a poll that took `busy` ticks.
    ///
    /// It does what [`ActiveRecord::polled`] and then [`finish`](Self::finish) do, with a little less work.
    ///
    /// # Panics
    ///
    /// As for [`finish`](Self::finish).
    #[inline(always)]
    pub fn complete(
        &self,
        writer: &mut Writer,
        record: ActiveRecord,
        ticks: u64,
        busy: u64,
    ) -> FinishedTask {
        assert!(writer.registry == self.identity, "the writer is one of another registry");
        debug_assert!(self.has(&record), "the record is one of another registry");
        let status = TaskStatus::Completed;
        let word = record.slot().own_word();
        // A task that completes is no failure: its class is that which it has asked for.
        if !word.class().is_default() || self.is_exact() {
            return self.complete_exactly(writer, record, ticks, busy);
        }
        // As in `finish`.
        writer.last = writer.last.max(ticks);
        let finished = record.slot().complete(word, writer.last, busy);
        self.publish_completion(writer, &record, status);
        self.signal_completion();
        finished
    }

    #[cold]
    fn complete_exactly(
        &self,
        writer: &mut Writer,
        record: ActiveRecord,
        ticks: u64,
        busy: u64,
    ) -> FinishedTask {
        record.polled(busy);
        let end = RecordEnd::new(TaskStatus::Completed, ticks);
        self.finish(writer, record, end)
    }

    /// Counts and publishes the completion of a task, and checks the limit if a batch is full (rule 9).
    #[inline]
    fn publish_completion(&self, writer: &mut Writer, record: &ActiveRecord, status: TaskStatus) {
        // Counted before it is published, so that no thread sees more evictions than ends.
        self.store.counts.of(writer.index).finished(status);
        self.store.logs[writer.index].push(record.id.slot(), writer.last);
        writer.untold += 1;
        if writer.untold >= self.batch || writer.index >= self.workers {
            self.tell(writer);
        }
    }

    /// Tells the cleanup thread of a completion, if it has asked for that.
    #[inline]
    fn signal_completion(&self) {
        if self.config.enable_automatic_cleanup {
            self.sweep_signal.completed();
        }
    }

    /// Returns whether the slot of a record is one of this registry. For debug builds.
    fn has(&self, record: &ActiveRecord) -> bool {
        let number = record.id.slot();
        let pin = garbage::pin();
        let page = self.store.directory.page_of(number, &pin);
        page.is_some_and(|page| ptr::eq(page.slot(number), record.slot.as_ptr()))
    }

    /// Counts the bytes of annotations that were added to a record, and retires those that they replace.
    #[cold]
    fn annotations_added(&self, added: usize, replaced: Option<NonNull<LinkedAnnotations>>) {
        self.store.counts.annotation_bytes(added, None);
        if let Some(annotations) = replaced {
            let pin = garbage::pin();
            // SAFETY: the caller has just unlinked them, and only the thread that unlinks annotations retires them.
            unsafe { self.store.retire_annotations(&pin, annotations) };
            // Now, because this thread may not retire anything else for a long time.
            pin.flush();
        }
    }

    /// Returns whether tasks complete under one lock, because the limit leaves no room for a batch (rule 9).
    fn is_exact(&self) -> bool {
        self.batch == 0 && self.config.enable_automatic_cleanup
    }

    /// Finishes a record under the lock of its class, and makes room for it before (rules 9 and 12).
    #[cold]
    fn finish_exactly(
        &self,
        writer: &Writer,
        id: ClassId,
        record: &ActiveRecord,
        mut end: RecordEnd,
    ) -> (FinishedTask, Option<NonNull<LinkedAnnotations>>, usize) {
        let status = end.status;
        let number = record.id.slot();
        let class = self.classes.get(id);
        // Where its completion is recorded and counted. One thread at a time may append to the log of a retention class: that with
        // the lock below.
        let index = if id.is_default() { writer.index } else { class.logs.start };
        let mut last = class.last_end.lock();
        // Not before the last one that ended under the lock.
        *last = (*last).max(end.ticks);
        end.ticks = *last;
        let ended = end.ticks;
        match self.automatic_limit(class.limits.max_records).checked_sub(1) {
            Some(others) => {
                // Before the terminal status can be read, so that there are never more such records than the limit.
                self.make_room(&class.logs, others);
                let result = record.slot().finish(end);
                self.store.counts.of(index).finished(status);
                self.store.logs[index].push(number, ended);
                result
            }
            None => {
                let (finished, freed) = record.slot().finish_unretained(end.ticks);
                // Counted as evicted before it is counted as ended, so that it never counts as retained.
                let mut evictor = self.evictors[index].lock();
                evictor.drop_unretained(&self.store, index, number, outcome_of(status), &freed);
                drop(evictor);
                self.store.counts.of(index).finished(status);
                (finished, None, 0)
            }
        }
    }

    /// Returns a limit on the number of records as far as it holds without a request: not at all while automatic cleanup is off.
    fn automatic_limit(&self, max_records: usize) -> usize {
        if self.config.enable_automatic_cleanup { max_records } else { usize::MAX }
    }

    /// Evicts the oldest records of these logs, if there are more than `others`. The caller has the lock under which their tasks
    /// complete.
    fn make_room(&self, logs: &Range<usize>, others: usize) {
        // Nobody else appends, so there cannot be more than are seen here.
        if self.store.retained(logs) > others {
            let cause = EvictionCause::Count;
            let mut evictors = self.evictors_of(logs);
            evict_oldest(&self.store, logs, &mut evictors, others, usize::MAX, cause);
        }
    }

    /// Tells the completions of a writer that it has not told yet. For a worker that has nothing to do, and may not complete a task
    /// for a long time: its records grow old like all others then.
    ///
    /// # Panics
    ///
    /// If `writer` is one of another registry.
    pub fn flush(&self, writer: &mut Writer) {
        assert!(writer.registry == self.identity, "the writer is one of another registry");
        if writer.untold > 0 {
            self.tell(writer);
        }
    }

    /// Tells a writer's completions, and evicts what is beyond the limit (rules 9 and 10).
    #[cold]
    #[inline(never)]
    fn tell(&self, writer: &mut Writer) {
        let count = std::mem::take(&mut writer.untold) as u64;
        if !self.config.enable_automatic_cleanup {
            return;
        }
        let own = writer.index;
        {
            let mut evictor = self.evictors[own].lock();
            let told = evictor.tell(&self.store, count);
            evictor.evict_told(&self.store, own, self.told_before_newest(told));
        }
        let most = (self.config.max_retained_tasks as u64).saturating_add(self.overdue);
        while self.store.tally.kept() > most {
            self.evict_overdue();
        }
    }

    /// Returns how many completions had been told when those had been that are certainly not among the newest that the limit
    /// allows, if now `told` have.
    fn told_before_newest(&self, told: u64) -> u64 {
        let limit = self.config.max_retained_tasks as u64;
        told.saturating_sub(limit.saturating_add(self.untold))
    }

    /// Evicts what the owners of the logs have left for too long, because they are idle, or slow.
    #[cold]
    fn evict_overdue(&self) {
        let until = self.told_before_newest(self.store.tally.told());
        for index in self.classes.get(ClassId::DEFAULT).logs.clone() {
            if self.store.logs[index].len() > 0 {
                // This waits for an owner that was stopped in the middle, because the limit holds in any case.
                self.evictors[index].lock().evict_told(&self.store, index, until);
            }
        }
    }

    /// Returns the number of retained records, of all classes: those of tasks that have ended.
    ///
    /// It takes no lock. The logs are counted one after the other, so while tasks end on several threads the sum can differ from
    /// the number at any one moment; see [`cleanup_stats`](Self::cleanup_stats) for numbers that keep within the limit.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.store.retained(&(0..self.store.logs.len()))
    }

    /// Adds an error message to the record of a task that has ended, if the record is still retained.
    ///
    /// It is for what the destructor of a task panics with. A record that has a message already gets both, joined, and cut to
    /// [`MAX_MESSAGE_BYTES`](moirai_core::text::MAX_MESSAGE_BYTES).
    pub fn append_error(&self, id: TaskId, message: Arc<str>) {
        // If the task has ended and is not evicted, then this thread may write the slot, because it holds the lock of its log (rule
        // 1). Which one that is, the record does not say.
        let evictors = self.all_evictors();
        let pin = garbage::pin();
        let page = self.store.directory.page_of(id.slot(), &pin);
        let slot = page.map(|page| page.slot(id.slot())).filter(|slot| {
            let word = slot.word();
            let ended = word.status().is_some_and(TaskStatus::is_terminal);
            word.generation() == id.generation() && ended
        });
        let Some(slot) = slot else { return };
        let (replaced, added) = slot.add_error(message);
        drop(evictors);
        // Before the annotations that were replaced are retired: a pin would keep them.
        drop(pin);
        self.annotations_added(added, replaced);
    }

    /// Adds details to the record of a task that has none yet.
    ///
    /// They are not in [`NewRecord`], where they would cost each spawn some ten instructions.
    pub fn add_details(&self, record: &ActiveRecord, details: Arc<TaskDetails>) {
        debug_assert!(self.has(record), "the record is one of another registry");
        let (replaced, added) = record.slot().add_details(details);
        self.annotations_added(added, replaced);
    }

    /// Returns the details of an active task, and adds them to its record if it has none; `None` if no task with this id is active.
    ///
    /// # Safety
    ///
    /// The calling thread must be the one that may write the record: that which has the task's [`ActiveRecord`], or runs the task.
    #[must_use]
    pub unsafe fn details_of_own(&self, id: TaskId) -> Option<Arc<TaskDetails>> {
        let pin = garbage::pin();
        let slot = self.active_slot(id, &pin)?;
        let (details, replaced, added) = slot.details();
        // Before the annotations that were replaced are retired: a pin would keep them.
        drop(pin);
        if added > 0 {
            self.annotations_added(added, replaced);
        }
        Some(details)
    }

    /// Returns the details of an active task, if its record has any; `None` if no task with this id is active. It takes no lock.
    #[must_use]
    pub fn details(&self, id: TaskId) -> Option<Arc<TaskDetails>> {
        let pin = garbage::pin();
        let slot = self.active_slot(id, &pin)?;
        slot.read(id.generation(), &pin)?.details
    }

    fn active_slot<'a>(&'a self, id: TaskId, pin: &'a Pin) -> Option<&'a Slot> {
        let slot = self.store.directory.page_of(id.slot(), pin)?.slot(id.slot());
        let word = slot.word();
        let active = word.status().is_some_and(TaskStatus::is_active);
        (active && word.generation() == id.generation()).then_some(slot)
    }

    /// Calls `f` with the address that an active task was registered with, and returns what `f` returns; `None` if no task with
    /// this id is active.
    ///
    /// The address is locked while `f` runs: a thread that finishes the task, or looks it up here, waits for it by spinning. So `f`
    /// must be short, and must not call back into the registry, which may deadlock. It may panic.
    pub fn with_task<R>(&self, id: TaskId, f: impl FnOnce(NonNull<()>) -> R) -> Option<R> {
        let pin = garbage::pin();
        let page = self.store.directory.page_of(id.slot(), &pin)?;
        page.slot(id.slot()).with_task(id.generation(), &pin, f)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.store.free_annotations();
        for (evictor, log) in self.evictors.iter().zip(&self.store.logs) {
            evictor.lock().free_log(log);
        }
        // There may be no sweep after this one's.
        page::free_unused();
    }
}
