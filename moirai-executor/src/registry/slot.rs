//! One record: a cache line of atomics.
//!
//! What is rare shares a place: the spawn place is a pointer to a `Location`, or, marked by its low bit, to a [`Annotations`] that has
//! the location, the name and the message. Kind, priority and worker are in the word, beside generation and status.
//! `polls` stays at its greatest value, and so does `busy`, rather than wrap.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use moirai_core::TaskStatus;
use moirai_core::shim::hint::spin_loop;
use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use moirai_core::shim::thread::yield_now;

use super::annotations::Annotations;
use super::record::{FinishedTask, Hints, NewRecord, RecordEnd};
use super::state_word::StateWord;

/// Marks a `Annotations` in `about`, and the lock in `published`.
const MARK: usize = 1;

/// One record.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    word: AtomicU64,
    spawned: AtomicU64,
    /// Zero: never. Else the ticks, plus one.
    started: AtomicU64,
    finished: AtomicU64,
    busy: AtomicU64,
    polls: AtomicU32,
    /// The task's cell while it is active; with [`MARK`], locked.
    published: AtomicPtr<()>,
    /// A `Location`, or, with [`MARK`], a `Annotations`.
    about: AtomicPtr<()>,
}

#[cfg(not(moirai_loom))]
const _: () = assert!(size_of::<Slot>() == 64);

/// The fields of one task, read together.
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
}

/// What is left of a record that was dropped.
#[must_use]
#[derive(Debug)]
pub(super) struct FreedRecord {
    /// To be retired.
    pub(super) annotations: Option<NonNull<Annotations>>,
    /// That with which the slot goes on; `None` if its generations are used up.
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

    /// The word, as its writer sees it.
    fn own_word(&self) -> StateWord {
        // Ordering: Relaxed: the caller wrote it, or has the slot from who did.
        StateWord(self.word.load(Ordering::Relaxed))
    }

    pub(super) fn word(&self) -> StateWord {
        // Ordering: Acquire pairs with the Release of every store of the word.
        StateWord(self.word.load(Ordering::Acquire))
    }

    fn set_word(&self, word: StateWord) {
        // Ordering: Release pairs with the Acquire of `word` and `read`.
        self.word.store(word.0, Ordering::Release);
    }

    /// Rule 2: the record of a new task. The caller has allocated the slot. Returns the generation.
    #[inline]
    pub(super) fn register(&self, new: NewRecord, ticks: u64) -> u32 {
        let NewRecord { kind, priority, location, name, hints, task } = new;
        let generation = self.own_word().generation();
        // Pairs with the Acquire fence of `read`: a reader that sees one of the stores below sees the *free* word before them.
        fence(Ordering::Release);
        // Ordering: Relaxed, all of them: the fence before and the Release of the word behind them are what counts.
        self.spawned.store(ticks, Ordering::Relaxed);
        self.started.store(0, Ordering::Relaxed);
        self.finished.store(0, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
        self.polls.store(0, Ordering::Relaxed);
        let about = if name.is_none() && hints.is_none() {
            ptr::from_ref(location).cast_mut().cast()
        } else {
            Annotations { location, name, error: None, hints }.into_marked()
        };
        // Ordering: Release pairs with the Acquire of `read`, which follows the pointer before it has looked at the word again.
        self.about.store(about, Ordering::Release);
        self.published.store(task.as_ptr(), Ordering::Relaxed);
        self.set_word(StateWord::queued(generation, kind, priority));
        generation
    }

    /// Queued → running.
    pub(super) fn start(&self, worker: Option<usize>, ticks: u64) {
        // Ordering: Relaxed: the Release of the word is what counts. A worker that took its start from the end of its last
        // task may have done so before this one was spawned.
        let spawned = self.spawned.load(Ordering::Relaxed);
        self.started.store(ticks.max(spawned).saturating_add(1), Ordering::Relaxed);
        self.set_word(self.own_word().with_status(TaskStatus::Running).with_worker(worker));
    }

    /// What was said of the task for its scheduler. Only for the slot's writer.
    pub(super) fn hints(&self) -> Hints {
        // Ordering: Relaxed: the slot's writer, or who has it from him.
        let annotations = Annotations::from_marked(self.about.load(Ordering::Relaxed));
        // SAFETY: only the slot's writer, which is the caller, replaces and retires it.
        let hints =
            annotations.and_then(|annotations| unsafe { annotations.as_ref() }.hints.as_deref());
        hints.copied().unwrap_or_default()
    }

    /// The worker that ran the task first. Only for the slot's writer.
    pub(super) fn worker(&self) -> Option<usize> {
        self.own_word().worker()
    }

    /// Counts a poll.
    pub(super) fn polled(&self, busy: u64) {
        // Ordering: Relaxed: one writer, and a reader may see either value.
        let polls = self.polls.load(Ordering::Relaxed).saturating_add(1);
        self.polls.store(polls, Ordering::Relaxed);
        let busy = self.busy.load(Ordering::Relaxed).saturating_add(busy);
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Running (or queued) → terminal, and unlisted (rule 4). The caller publishes the completion. The bytes are those of
    /// annotations added.
    #[inline]
    pub(super) fn finish(
        &self,
        end: RecordEnd,
    ) -> (FinishedTask, Option<NonNull<Annotations>>, usize) {
        let RecordEnd { status, ticks, error } = end;
        let (retired, added) = match error {
            Some(error) => self.add_error(error),
            None => (None, 0),
        };
        let finished = self.summary(ticks);
        self.set_word(self.own_word().with_status(status));
        self.unpublish();
        (finished, retired, added)
    }

    /// Running (or queued) → free, under the evictor's lock, for a task whose record is not kept: no terminal status is ever
    /// to be read from it. NewTask (rule 4: who finds no address finds a later generation).
    pub(super) fn finish_unretained(&self, ticks: u64) -> (FinishedTask, FreedRecord) {
        let finished = self.summary(ticks);
        let freed = self.set_free();
        self.unpublish();
        (finished, freed)
    }

    /// Writes when the task ended, and tells what is known of it.
    fn summary(&self, ticks: u64) -> FinishedTask {
        // Ordering: Relaxed: the Release of the word is what counts.
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

    fn unpublish(&self) {
        // Ordering: Relaxed: only where to begin.
        let mut task = self.published.load(Ordering::Relaxed);
        let mut spins = 0;
        loop {
            let unlocked = task.map_addr(|address| address & !MARK);
            // Ordering: Release: who finds no address finds the terminal word. Acquire: what was done under the lock is done.
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

    /// Rule 4: calls `f` with the address of the task's cell, if the task of this generation is active.
    pub(super) fn with_task<R>(
        &self,
        generation: u32,
        f: impl FnOnce(NonNull<()>) -> R,
    ) -> Option<R> {
        let mut task = self.published.load(Ordering::Acquire);
        let mut spins = 0;
        let task = loop {
            // Ordering: Acquire pairs with the Release of `unpublish`: see there.
            if task.is_null() || self.word().generation() != generation {
                return None;
            }
            if task.addr() & MARK != 0 {
                relax(&mut spins);
                task = self.published.load(Ordering::Acquire);
                continue;
            }
            let locked = task.map_addr(|address| address | MARK);
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
        // Nobody unlists, evicts or reuses the slot while it is locked: now the answer is exact.
        let _unlock = Unlock { published: &self.published, task };
        let right = self.word().generation() == generation;
        NonNull::new(task).filter(|_| right).map(f)
    }

    /// Adds a message. Only for the slot's writer (rule 1). Returns what is to be retired, and the bytes added.
    pub(super) fn add_error(&self, error: Arc<str>) -> (Option<NonNull<Annotations>>, usize) {
        // Ordering: Relaxed: the slot's writer, or who has it from him.
        let about = self.about.load(Ordering::Relaxed);
        let annotations = match Annotations::from_marked(about) {
            // SAFETY: only the slot's writer, which is the caller, replaces and retires it.
            Some(old) => unsafe { old.as_ref() }.with_error(error),
            None => {
                // SAFETY: without the mark it is the `&'static Location` that `register` stored.
                let location = unsafe { &*about.cast::<Location<'static>>() };
                Annotations { location, name: None, error: Some(error), hints: None }
            }
        };
        let added = annotations.bytes();
        // Ordering: Release pairs with the Acquire of `read`.
        self.about.store(annotations.into_marked(), Ordering::Release);
        (Annotations::from_marked(about), added)
    }

    /// Terminal → free, under the evictor's lock. Returns the status that it had, too.
    pub(super) fn evict(&self) -> (TaskStatus, FreedRecord) {
        let status = self.own_word().status().unwrap_or(TaskStatus::Completed);
        debug_assert!(status.is_terminal(), "only what has ended is evicted");
        (status, self.set_free())
    }

    fn set_free(&self) -> FreedRecord {
        // Ordering: Relaxed: the slot's writer, or who has it from him.
        let about = self.about.load(Ordering::Relaxed);
        let (next, usable) = match self.own_word().generation().checked_add(1) {
            Some(next) => (next, true),
            None => (0, false),
        };
        // Generation zero is never asked for.
        self.set_word(StateWord::free(next));
        let annotations = Annotations::from_marked(about);
        if annotations.is_some() {
            // Unlinked before it is retired: who pins later does not find it.
            self.about.store(ptr::null_mut(), Ordering::Release);
        }
        FreedRecord { annotations, generation: usable.then_some(next) }
    }

    /// Frees the annotations of a slot whose registry is being dropped.
    pub(super) fn free_annotations(&self) {
        if let Some(annotations) =
            Annotations::from_marked(self.about.swap(ptr::null_mut(), Ordering::Relaxed))
        {
            // SAFETY: made by `Box::into_raw`, and just unlinked; nobody reads records any more.
            drop(unsafe { Box::from_raw(annotations.as_ptr()) });
        }
    }

    /// Rule 3. The caller has pinned an epoch.
    pub(super) fn read(&self, generation: u32) -> Option<Record> {
        loop {
            let word = self.word();
            if word.generation() != generation || word.status().is_none() {
                return None;
            }
            // Ordering: Relaxed: validated below.
            let spawned = self.spawned.load(Ordering::Relaxed);
            let started = self.started.load(Ordering::Relaxed);
            let finished = self.finished.load(Ordering::Relaxed);
            let busy = self.busy.load(Ordering::Relaxed);
            let polls = self.polls.load(Ordering::Relaxed);
            // Ordering: Acquire pairs with the Release of every store of it: what it names is written.
            let about = self.about.load(Ordering::Acquire);
            let annotations = Annotations::from_marked(about).map(|annotations| {
                // SAFETY: it was linked when it was loaded, behind the pin, so it is not freed before the pin ends.
                unsafe { annotations.as_ref() }.clone()
            });
            // Pairs with the Release fence of `register`.
            fence(Ordering::Acquire);
            // Ordering: Relaxed, behind the fence.
            let again = StateWord(self.word.load(Ordering::Relaxed));
            if again != word {
                // It moved on, which it does at most three times before it is another task's.
                continue;
            }
            let annotations = match annotations {
                Some(annotations) => annotations,
                None if about.is_null() => continue,
                None => {
                    // SAFETY: the word has not changed: this is what `register` stored for this task, a `&'static Location`.
                    let location = unsafe { &*about.cast::<Location<'static>>() };
                    Annotations { location, name: None, error: None, hints: None }
                }
            };
            let Annotations { location, name, error, hints: _ } = annotations;
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
            });
        }
    }
}

/// Unlocks a published, also if what is done under the lock panics: the task could never end.
struct Unlock<'a> {
    published: &'a AtomicPtr<()>,
    task: *mut (),
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire of `unpublish` and of the next to lock.
        self.published.store(self.task, Ordering::Release);
    }
}

/// Waits for the lock of a published, which is held for a few instructions, unless its holder is not running.
fn relax(spins: &mut u32) {
    if *spins < 32 {
        *spins += 1;
        spin_loop();
    } else {
        yield_now();
    }
}
