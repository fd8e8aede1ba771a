//! A slot: one record in a cache line of atomics.
//!
//! What few records have shares a field: `about` is a pointer to the spawn location, a `Location`, or, marked by its low bit, to
//! [`Annotations`], which have the location, the name, the error message, the hints and the details. Kind, priority, worker, class, and
//! what has cancelled the task are in the word, beside generation and status. `polls` and `busy` saturate.
//!
//! The published address is taken out by one compare-and-swap (rule 4), because that is cheap for the tasks that no thread looks
//! for. Hazard pointers or epochs for cells would free every cell late. A fence between the terminal word and the end of the cell
//! costs as much as the exchange, and needs a second one in every thread that looks. A flag in the record would be a second word
//! that has to agree with the first.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use moirai_core::TaskStatus;
use moirai_core::shim::hint::spin_loop;
use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use moirai_core::shim::thread::yield_now;

use super::annotations::{Annotations, LinkedAnnotations};
use super::classes::ClassId;
use super::details::TaskDetails;
use super::garbage::Pin;
use super::record::{FinishedTask, NewRecord, RecordEnd, TaskHints};
use super::state_word::StateWord;

/// The low bit of a pointer: in `about` it marks [`Annotations`], in `published` it is the lock.
const MARK: usize = 1;

/// One record.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    word: AtomicU64,
    spawned: AtomicU64,
    /// The ticks of the first run, plus one; zero if the task has not run.
    started: AtomicU64,
    finished: AtomicU64,
    busy: AtomicU64,
    polls: AtomicU32,
    /// The address of the task while it is active, null otherwise; locked if it has [`MARK`] (rule 4).
    published: AtomicPtr<()>,
    /// A `Location`, or, with [`MARK`], [`Annotations`].
    about: AtomicPtr<()>,
}

#[cfg(not(moirai_loom))]
const _: () = assert!(size_of::<Slot>() == 64);

/// A copy of the record of one task.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) word: StateWord,
    pub(super) spawned: u64,
    pub(super) started: Option<u64>,
    pub(super) finished: u64,
    pub(super) busy: u64,
    pub(super) polls: u32,
    pub(super) location: &'static Location<'static>,
    pub(super) name: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) details: Option<Arc<TaskDetails>>,
}

/// What remains to be done for a record whose slot was made free.
#[must_use]
#[derive(Debug)]
pub(super) struct FreedRecord {
    /// The annotations that the slot linked, for the caller to retire.
    pub(super) annotations: Option<NonNull<LinkedAnnotations>>,
    /// The generation with which the slot goes on; `None` if its generations are used up, and it must not be used again.
    pub(super) generation: Option<u32>,
}

impl Slot {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            word: AtomicU64::new(StateWord::free(generation).0),
            spawned: AtomicU64::new(0),
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            polls: AtomicU32::new(0),
            published: AtomicPtr::new(ptr::null_mut()),
            about: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Returns the word. For the thread that may write the slot (rule 1).
    #[inline]
    pub(super) fn own_word(&self) -> StateWord {
        // Ordering: Relaxed: the caller wrote it, or was given the slot by the thread that did.
        StateWord(self.word.load(Ordering::Relaxed))
    }

    pub(super) fn word(&self) -> StateWord {
        // Ordering: Acquire pairs with the Release store in `set_word`: the fields written before the word are seen.
        StateWord(self.word.load(Ordering::Acquire))
    }

    fn set_word(&self, word: StateWord) {
        // Ordering: Release pairs with the Acquire load in `word`.
        self.word.store(word.0, Ordering::Release);
    }

    /// Writes the record of a new task (rule 2), and returns its generation. The caller has allocated the slot.
    #[inline]
    pub(super) fn register(&self, new: NewRecord, ticks: u64) -> u32 {
        let NewRecord { kind, priority, location, name, hints, task } = new;
        debug_assert!(task.addr().get() & MARK == 0, "the low bit of the address is the lock");
        const { assert!(align_of::<Location<'static>>() >= 2, "the low bit is the mark") };
        let generation = self.own_word().generation();
        // Ordering: Release pairs with the Acquire fence of `read`, and with the Acquire loads of `published` in `with_task`: a
        // thread that sees one of the stores below sees the *free* word before them. Without it a reader could return the fields of
        // two tasks as one record.
        fence(Ordering::Release);
        // Ordering: Relaxed, all of them: the fence above and the Release store of the word below order them.
        self.spawned.store(ticks, Ordering::Relaxed);
        self.started.store(0, Ordering::Relaxed);
        self.finished.store(0, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
        self.polls.store(0, Ordering::Relaxed);
        let about = if name.is_none() && hints.is_none() {
            ptr::from_ref(location).cast_mut().cast()
        } else {
            Annotations { location, name, error: None, hints, details: None }.into_marked()
        };
        // Ordering: Release pairs with the Acquire load of `about` in `read`, which follows the pointer before it has loaded the
        // word again.
        self.about.store(about, Ordering::Release);
        self.published.store(task.as_ptr(), Ordering::Relaxed);
        self.set_word(StateWord::queued(generation, kind, priority));
        generation
    }

    /// Notes the class that a task has asked for. To be called at most once, before the task is run.
    pub(super) fn set_class(&self, class: ClassId) {
        self.set_word(self.own_word().with_class(class));
    }

    /// Queued → running. To be called at most once.
    #[inline]
    pub(super) fn start(&self, worker: Option<usize>, ticks: u64) {
        // Ordering: Relaxed: the Release store of the word orders it. A worker takes the end of its last task as the start of the
        // next, which may have been spawned after that: hence the greater of the two.
        let spawned = self.spawned.load(Ordering::Relaxed);
        self.started.store(ticks.max(spawned).saturating_add(1), Ordering::Relaxed);
        self.set_word(self.own_word().with_status(TaskStatus::Running).with_worker(worker));
    }

    /// Returns the hints for the task's scheduler. For the thread that may write the slot (rule 1).
    pub(super) fn hints(&self) -> TaskHints {
        // Ordering: Relaxed: the caller wrote it, or was given the slot by the thread that did.
        let annotations = LinkedAnnotations::from_marked(self.about.load(Ordering::Relaxed));
        // SAFETY: only the thread that may write the slot, which is the caller, replaces and retires the annotations that it links.
        let hints = annotations
            .and_then(|annotations| unsafe { annotations.as_ref() }.get().hints.as_deref());
        hints.copied().unwrap_or_default()
    }

    /// Returns the worker that ran the task first. For the thread that may write the slot (rule 1).
    pub(super) fn worker(&self) -> Option<usize> {
        self.own_word().worker()
    }

    /// Counts a poll that took `busy` ticks.
    pub(super) fn polled(&self, busy: u64) {
        // Ordering: Relaxed: one thread writes, and a reader may see either value.
        let polls = self.polls.load(Ordering::Relaxed).saturating_add(1);
        self.polls.store(polls, Ordering::Relaxed);
        let busy = self.busy.load(Ordering::Relaxed).saturating_add(busy);
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Running (or queued) → terminal, and then no longer published (rule 4). The caller publishes the completion.
    ///
    /// Also returns the annotations that were replaced, for the caller to retire, and the bytes of those that were added.
    #[inline]
    pub(super) fn finish(
        &self,
        end: RecordEnd,
    ) -> (FinishedTask, Option<NonNull<LinkedAnnotations>>, usize) {
        let RecordEnd { status, ticks, error, cancelled_by } = end;
        let (retired, added) = match error {
            Some(error) => self.add_error(error),
            None => (None, 0),
        };
        let finished = self.summary(ticks);
        self.set_word(self.own_word().with_status(status).with_cause(cancelled_by));
        self.unpublish();
        (finished, retired, added)
    }

    /// Running → completed, after a last poll that took `busy` ticks: as `polled` and `finish`, each field loaded and stored once.
    /// `word` is the present one.
    #[inline]
    pub(super) fn complete(&self, word: StateWord, ticks: u64, busy: u64) -> FinishedTask {
        // Ordering: Relaxed, all: the caller may write the slot, and the Release store of the word orders what is written here.
        let spawned = self.spawned.load(Ordering::Relaxed);
        let started = self.started.load(Ordering::Relaxed).saturating_sub(1);
        self.finished.store(ticks.max(started).max(spawned), Ordering::Relaxed);
        let polls = self.polls.load(Ordering::Relaxed).saturating_add(1);
        self.polls.store(polls, Ordering::Relaxed);
        let busy_ticks = self.busy.load(Ordering::Relaxed).saturating_add(busy);
        self.busy.store(busy_ticks, Ordering::Relaxed);
        self.set_word(word.with_status(TaskStatus::Completed));
        self.unpublish();
        let queue_ticks = started.saturating_sub(spawned);
        FinishedTask { kind: word.kind(), queue_ticks, busy_ticks, polls }
    }

    /// Running (or queued) → free, and then no longer published, for a task whose record is not retained: no terminal status can be
    /// read from it. A thread that finds no address finds a later generation (rule 4).
    pub(super) fn finish_unretained(&self, ticks: u64) -> (FinishedTask, FreedRecord) {
        let finished = self.summary(ticks);
        let freed = self.set_free();
        self.unpublish();
        (finished, freed)
    }

    /// Stores when the task ended, and returns what is known of it.
    fn summary(&self, ticks: u64) -> FinishedTask {
        // Ordering: Relaxed, all: the caller may write the slot, and the Release store of the word orders what is written here.
        let started = self.started.load(Ordering::Relaxed);
        let spawned = self.spawned.load(Ordering::Relaxed);
        self.finished.store(ticks.max(started.saturating_sub(1)).max(spawned), Ordering::Relaxed);
        FinishedTask {
            kind: self.own_word().kind(),
            queue_ticks: started.saturating_sub(1).saturating_sub(spawned),
            busy_ticks: self.busy.load(Ordering::Relaxed),
            polls: self.polls.load(Ordering::Relaxed),
        }
    }

    /// Takes the address out, once no thread has it locked. The caller has stored the word that ends the task before.
    #[inline]
    fn unpublish(&self) {
        // Ordering: Relaxed: the compare-and-swap below checks it.
        let mut task = self.published.load(Ordering::Relaxed);
        let mut spins = 0;
        loop {
            let unlocked = task.map_addr(|address| address & !MARK);
            // Ordering: the Release half pairs with the Acquire loads in `with_task`: a thread that finds no address finds the
            // terminal or free word. The Acquire half pairs with the Release store that unlocks: what was done under the lock
            // happens before the task goes on to give up its cell.
            match self.published.compare_exchange_weak(
                unlocked,
                ptr::null_mut(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(seen) => {
                    if seen.addr() & MARK != 0 {
                        relax(&mut spins);
                    }
                    task = seen;
                }
            }
        }
    }

    /// Calls `f` with the address of the task while it is locked (rule 4). Returns `None` if the task of this generation is not
    /// active.
    ///
    /// The pin keeps the slot's page until the address is unlocked.
    pub(super) fn with_task<R>(
        &self,
        generation: u32,
        _: &Pin,
        f: impl FnOnce(NonNull<()>) -> R,
    ) -> Option<R> {
        // Ordering: Acquire pairs with the Release half of `unpublish`: if there is no address, this thread sees the terminal or
        // free word from now on.
        let mut task = self.published.load(Ordering::Acquire);
        let mut spins = 0;
        let task = loop {
            if task.is_null() || self.word().generation() != generation {
                return None;
            }
            if task.addr() & MARK != 0 {
                relax(&mut spins);
                // Ordering: Acquire pairs with the Release half of `unpublish`, as above.
                task = self.published.load(Ordering::Acquire);
                continue;
            }
            let locked = task.map_addr(|address| address | MARK);
            // Ordering: Acquire on success pairs with the Release fence of `register`, directly or through the Release store that
            // unlocks: if the address is that of a later task, the check below finds a later generation. On failure it pairs with
            // `unpublish`, as above.
            match self.published.compare_exchange_weak(
                task,
                locked,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => break task,
                Err(seen) => task = seen,
            }
        };
        // While the address is locked the task cannot be unpublished, nor its slot evicted or reused: this second check is exact.
        let _unlock = Unlock { published: &self.published, task };
        let right = self.word().generation() == generation;
        NonNull::new(task).filter(|_| right).map(f)
    }

    /// Adds an error message. For the thread that may write the slot (rule 1).
    ///
    /// Returns the annotations that were replaced, for the caller to retire, and the bytes of those that were added.
    pub(super) fn add_error(&self, error: Arc<str>) -> (Option<NonNull<LinkedAnnotations>>, usize) {
        self.annotate(|annotations| annotations.with_error(error))
    }

    /// Returns the details, and adds them if there are none. For the thread that may write the slot (rule 1).
    ///
    /// Also returns the annotations that were replaced, for the caller to retire, and the bytes of those that were added.
    pub(super) fn details(&self) -> (Arc<TaskDetails>, Option<NonNull<LinkedAnnotations>>, usize) {
        // Ordering: Relaxed: the caller wrote it, or was given the slot by the thread that did.
        let linked = LinkedAnnotations::from_marked(self.about.load(Ordering::Relaxed));
        // SAFETY: as in `annotate`.
        let present = linked.and_then(|linked| unsafe { linked.as_ref() }.get().details.clone());
        if let Some(details) = present {
            return (details, None, 0);
        }
        let details = Arc::<TaskDetails>::default();
        let (replaced, added) = self.add_details(Arc::clone(&details));
        (details, replaced, added)
    }

    /// Adds details, of which there must be none. For the thread that may write the slot (rule 1).
    ///
    /// Returns the annotations that were replaced, for the caller to retire, and the bytes of those that were added.
    pub(super) fn add_details(
        &self,
        details: Arc<TaskDetails>,
    ) -> (Option<NonNull<LinkedAnnotations>>, usize) {
        self.annotate(|annotations| annotations.with_details(details))
    }

    /// Links a changed copy of the annotations.
    ///
    /// Returns the annotations that were replaced, for the caller to retire, and the bytes of those that were added.
    fn annotate(
        &self,
        change: impl FnOnce(&Annotations) -> Annotations,
    ) -> (Option<NonNull<LinkedAnnotations>>, usize) {
        // Ordering: Relaxed: the caller wrote it, or was given the slot by the thread that did.
        let about = self.about.load(Ordering::Relaxed);
        let annotations = match LinkedAnnotations::from_marked(about) {
            // SAFETY: only the thread that may write the slot, which is the caller, replaces and retires the annotations that it
            // links.
            Some(old) => change(unsafe { old.as_ref() }.get()),
            None => {
                // SAFETY: a pointer without the mark is the `&'static Location` that `register` stored for this task.
                let location = unsafe { &*about.cast::<Location<'static>>() };
                change(&Annotations::of(location))
            }
        };
        let added = annotations.bytes();
        // Ordering: Release pairs with the Acquire load of `about` in `read`, which follows the pointer.
        self.about.store(annotations.into_marked(), Ordering::Release);
        (LinkedAnnotations::from_marked(about), added)
    }

    /// Terminal → free. Also returns the number of the status that the task had; see [`StateWord::outcome`]. The caller holds the
    /// lock of the record's log.
    #[inline]
    pub(super) fn evict(&self) -> (usize, FreedRecord) {
        let word = self.own_word();
        debug_assert!(
            word.status().is_some_and(TaskStatus::is_terminal),
            "only what has ended is evicted"
        );
        (word.outcome(), self.set_free())
    }

    /// Stores the free word with the next generation, and unlinks the annotations.
    #[inline]
    fn set_free(&self) -> FreedRecord {
        // Ordering: Relaxed: the caller wrote it, or was given the slot by the thread that did.
        let about = self.about.load(Ordering::Relaxed);
        let (next, usable) = match self.own_word().generation().checked_add(1) {
            Some(next) => (next, true),
            None => (0, false),
        };
        // No id has the generation zero, so a slot whose generations are used up is never found.
        self.set_word(StateWord::free(next));
        let annotations = LinkedAnnotations::from_marked(about);
        if annotations.is_some() {
            // The caller retires them, so they are unlinked: the drop of the registry frees those that are linked. (A reader that
            // pins later does not follow the pointer in any case, because it finds the free word first.)
            // Ordering: Release pairs with the Acquire load of `about` in `read`: a reader that finds null finds the free word too,
            // and gives up; with less it might have to try again.
            self.about.store(ptr::null_mut(), Ordering::Release);
        }
        FreedRecord { annotations, generation: usable.then_some(next) }
    }

    /// Frees the annotations of a slot whose registry is being dropped.
    pub(super) fn free_annotations(&self) {
        if let Some(annotations) =
            LinkedAnnotations::from_marked(self.about.swap(ptr::null_mut(), Ordering::Relaxed))
        {
            #[cfg(moirai_loom)]
            // SAFETY: they were linked until now, and are freed only below.
            unsafe { annotations.as_ref() }.retire();
            // SAFETY: they were made by `Box::into_raw`, and are unlinked by the swap; the registry is being dropped, so no thread
            // reads records any more.
            drop(unsafe { Box::from_raw(annotations.as_ptr()) });
        }
    }

    /// Reads the record of this generation (rule 3); `None` if it is not there any more. The pin keeps the annotations that it reads.
    pub(super) fn read(&self, generation: u32, _: &Pin) -> Option<Record> {
        loop {
            let word = self.word();
            if word.generation() != generation || word.status().is_none() {
                return None;
            }
            // Ordering: Relaxed: what is loaded here counts only if the word has not changed below.
            let spawned = self.spawned.load(Ordering::Relaxed);
            let started = self.started.load(Ordering::Relaxed);
            let finished = self.finished.load(Ordering::Relaxed);
            let busy = self.busy.load(Ordering::Relaxed);
            let polls = self.polls.load(Ordering::Relaxed);
            // Ordering: Acquire pairs with the Release stores of `about` in `register`, `annotate` and `set_free`: what the
            // pointer leads to has been written.
            let about = self.about.load(Ordering::Acquire);
            let annotations = LinkedAnnotations::from_marked(about).map(|annotations| {
                // SAFETY: they were linked when the pointer was loaded, which was after the pin was made, so they are not freed before
                // it ends; and they are never changed.
                unsafe { annotations.as_ref() }.get().clone()
            });
            // Ordering: Acquire pairs with the Release fence of `register`: if a field above is a later task's, the word below is
            // not the same.
            fence(Ordering::Acquire);
            // Ordering: Relaxed: the fence above orders it.
            let again = StateWord(self.word.load(Ordering::Relaxed));
            if again != word {
                // The word of one task changes at most four times (class, running, terminal, free), so this does not go on.
                continue;
            }
            let annotations = match annotations {
                Some(annotations) => annotations,
                None if about.is_null() => continue,
                None => {
                    // SAFETY: the word has not changed, so the pointer is one of this task's; it has no mark and is not null, so it
                    // is the `&'static Location` that `register` stored.
                    let location = unsafe { &*about.cast::<Location<'static>>() };
                    Annotations::of(location)
                }
            };
            let Annotations { location, name, error, hints: _, details } = annotations;
            let started = started.checked_sub(1);
            return Some(Record {
                word,
                spawned,
                started,
                finished,
                busy,
                polls,
                location,
                name,
                error,
                details,
            });
        }
    }
}

/// Unlocks the published address when dropped, also by a panic under the lock: otherwise the task could never end.
struct Unlock<'a> {
    published: &'a AtomicPtr<()>,
    task: *mut (),
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire half of `unpublish`, and with the Acquire of the next thread that locks in
        // `with_task`.
        self.published.store(self.task, Ordering::Release);
    }
}

/// Waits a little for the lock of a published address, which is held for a few instructions: spins at first, and later yields,
/// since the holder may have been preempted.
fn relax(spins: &mut u32) {
    if *spins < 32 {
        *spins += 1;
        spin_loop();
    } else {
        yield_now();
    }
}
