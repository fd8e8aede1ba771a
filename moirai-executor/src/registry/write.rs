//! What a worker, or whoever locks a guest's, writes records with.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::{TaskId, TaskStatus};

use crate::registry::annotations::Text;
use crate::registry::evictor::BATCH;
use crate::registry::page::{BLOCK_SLOTS, HALF, PAGE_BLOCKS};
use crate::registry::reclaim::Pin;
use crate::registry::slot::Slot;
use crate::registry::{End, Finished, Hints, NewTask, Registry, reclaim};
use moirai_core::shim::sync::atomic::{Ordering, fence};

/// By how much each worker may take the number retained over the limit, its share of the guests' included; see rule 9.
pub(super) const MAX_BATCH: usize = 64;

/// A block of slots, a ring, and counts. One thread uses them at a time.
#[derive(Debug)]
pub struct Books {
    /// The number of the ring, and of the counts.
    index: usize,
    /// The block that is held.
    block: Option<u32>,
    /// Its slots that can be allocated.
    free: u64,
    /// Completions since the last look at the limit.
    unchecked: usize,
    /// When the last task ended.
    last: u64,
}

impl Books {
    pub(super) fn new(index: usize) -> Self {
        Self { index, block: None, free: 0, unchecked: 0, last: 0 }
    }
}

/// The active record of one task: a permission to write it, which ends with the task. While it exists the slot stays.
pub struct Entry {
    slot: NonNull<Slot>,
    id: TaskId,
}

// SAFETY: the slot is made of atomics; that one thread at a time writes it is what handing the entry on is for.
unsafe impl Send for Entry {}

impl Entry {
    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    fn slot(&self) -> &Slot {
        // SAFETY: a slot is not evicted, and its page not released, before its task has ended, which takes the entry; that the
        // registry outlives the entry is what `register` asks for.
        unsafe { self.slot.as_ref() }
    }

    /// What was said of the task for its scheduler.
    #[must_use]
    pub fn hints(&self) -> Hints {
        self.slot().hints()
    }

    /// The worker that ran it first.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.slot().worker()
    }

    /// The task is about to be run for the first time.
    #[inline]
    pub fn start(&self, worker: Option<usize>, ticks: u64) {
        self.slot().start(worker, ticks);
    }

    /// The task was polled, for this many ticks.
    #[inline]
    pub fn polled(&self, busy: u64) {
        self.slot().polled(busy);
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.id).finish()
    }
}

impl Registry {
    /// Opens a record.
    ///
    /// # Safety
    ///
    /// The entry is not used after the registry has been dropped.
    #[inline]
    pub unsafe fn register(&self, books: &mut Books, new: NewTask, ticks: u64) -> Entry {
        if new.name.is_some() || new.hints.is_some() {
            self.counts.add_text(&new);
        }
        let number = self.allocate(books);
        let page = self.directory.page_of(number).expect("the page of a block that is held");
        let slot = page.slot(number);
        let generation = slot.register(new, ticks);
        self.counts.of(books.index).spawned();
        let id = TaskId::from_parts(generation, number).expect("generations begin with one");
        Entry { slot: NonNull::from(slot), id }
    }

    #[inline]
    fn allocate(&self, books: &mut Books) -> u32 {
        if books.free == 0 {
            self.refill(books);
        }
        let bit = books.free.trailing_zeros();
        books.free &= books.free - 1;
        let block = books.block.expect("there is a free slot in it");
        block * BLOCK_SLOTS as u32 + bit
    }

    /// Rule 5.
    #[cold]
    fn refill(&self, books: &mut Books) {
        if let Some(number) = books.block {
            let page = self.directory.page(number / PAGE_BLOCKS as u32);
            let page = page.expect("the page of a block that is held");
            let block = &page.blocks[number as usize % PAGE_BLOCKS];
            if block.returned().count_ones() >= HALF {
                books.free = block.take();
                return;
            }
            books.block = None;
            self.depot.put_down(&self.directory, number);
        }
        let (number, free) = self.depot.take(&self.directory);
        assert!(free != 0, "a block is ready only when half of it is free");
        books.block = Some(number);
        books.free = free;
    }

    /// Closes a record: the task has ended.
    #[inline]
    pub fn finish(&self, books: &mut Books, entry: Entry, mut end: End) -> Finished {
        let status = end.status;
        let (finished, retired, added) = if self.is_exact() {
            self.finish_exactly(books, &entry, end)
        } else {
            // Rule 8: the time was read before the books were had, perhaps by another thread than that of the last end.
            books.last = books.last.max(end.ticks);
            end.ticks = books.last;
            let result = entry.slot().finish(end);
            // Counted before it is published, so that no more are seen evicted than ended.
            self.counts.of(books.index).finished(status);
            self.rings[books.index].push(entry.id.slot(), books.last);
            books.unchecked += 1;
            if books.unchecked >= self.batch || books.index >= self.workers {
                books.unchecked = 0;
                self.keep_limit(books.index);
            }
            result
        };
        if added > 0 {
            self.text_added(added, retired);
        }
        if self.config.enable_automatic_cleanup {
            self.alarm.something_retained();
        }
        finished
    }

    /// Counts text that was added to a record, and retires what it replaces.
    #[cold]
    fn text_added(&self, added: usize, replaced: Option<NonNull<Text>>) {
        self.counts.text(added, None);
        if let Some(text) = replaced {
            let pin = reclaim::pin();
            // SAFETY: unlinked by the caller, and retired only by who unlinked it.
            unsafe { self.retire_text(&pin, text) };
            // At once: this thread may not retire anything for a long time.
            pin.flush();
        }
    }

    /// Retires a text.
    ///
    /// # Safety
    ///
    /// It was unlinked from its slot by the caller, before `pin` was made or after, and is retired once.
    pub(super) unsafe fn retire_text(&self, pin: &Pin, text: NonNull<Text>) {
        self.counts.text(0, Some(text));
        // SAFETY: not retired yet.
        let bytes = unsafe { text.as_ref() }.bytes();
        // SAFETY: a `Box` of plain data, unlinked, and retired once, says the caller.
        unsafe { pin.retire(text, bytes, &self.garbage) };
    }

    /// Whether completing and evicting happen together; see rule 9.
    fn is_exact(&self) -> bool {
        self.batch == 0 && self.config.enable_automatic_cleanup
    }

    /// Completes under the evictor's lock, and makes room before.
    #[cold]
    fn finish_exactly(
        &self,
        books: &Books,
        entry: &Entry,
        mut end: End,
    ) -> (Finished, Option<NonNull<Text>>, usize) {
        let status = end.status;
        let number = entry.id.slot();
        let mut evictor = self.evictor.lock();
        end.ticks = evictor.in_order(end.ticks);
        let ended = end.ticks;
        match self.config.max_retained_tasks.checked_sub(1) {
            Some(others) => {
                // Before the terminal status can be read, so that never more than the limit are.
                evictor.keep(self, others, usize::MAX);
                let result = entry.slot().finish(end);
                self.counts.of(books.index).finished(status);
                self.rings[books.index].push(number, ended);
                result
            }
            None => {
                let (finished, freed) = entry.slot().finish_unkept(end.ticks);
                // Counted as dropped before it is counted as ended: it is never one that is retained.
                evictor.drop_unkept(self, number, status, &freed);
                self.counts.of(books.index).finished(status);
                (finished, None, 0)
            }
        }
    }

    /// Evicts what is beyond the limit, for who has just completed to the ring `own`.
    fn keep_limit(&self, own: usize) {
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
            let evictor = if excess <= self.leave {
                self.evictor.try_lock()
            } else {
                Some(self.evictor.lock())
            };
            let Some(mut evictor) = evictor else { return };
            if evictor.keep_share(self, limit, own) < BATCH {
                return;
            }
            drop(evictor);
            self.let_others_in();
        }
    }

    /// How many records of ended tasks there are.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.rings.iter().map(|ring| ring.len()).sum()
    }

    /// Adds a message to the record of a task that has ended, if it is still there.
    pub fn note(&self, id: TaskId, message: Arc<str>) {
        let evictor = self.evictor.lock();
        // Ended, and not evicted under the lock: the evictor's lock makes the caller the slot's writer (rule 1).
        let page = self.directory.page_of(id.slot());
        let slot = page.map(|page| page.slot(id.slot())).filter(|slot| {
            let word = slot.word();
            let ended = word.status().is_some_and(TaskStatus::is_terminal);
            word.generation() == id.generation() && ended
        });
        let Some(slot) = slot else { return };
        let (replaced, added) = slot.add_error(message);
        drop(evictor);
        self.text_added(added, replaced);
    }

    /// Calls `f` with what an active task is reached by; see rule 4. `f` must be short, and not come back here.
    pub fn with_task<R>(&self, id: TaskId, f: impl FnOnce(NonNull<()>) -> R) -> Option<R> {
        // Keeps the page while the slot is looked at, and until it is unlocked.
        let _pin = reclaim::pin();
        self.directory.page_of(id.slot())?.slot(id.slot()).with_task(id.generation(), f)
    }

    /// What the slots hold that have no eviction before them any more.
    pub(super) fn free_texts(&self) {
        for number in 0..self.directory.end() {
            let Some(page) = self.directory.page(number) else {
                continue;
            };
            for slot in page.slots() {
                slot.free_text();
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.free_texts();
        let evictor = &mut *self.evictor.lock();
        evictor.free_rings(&self.rings);
    }
}
