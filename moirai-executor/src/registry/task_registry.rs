//! The registry as a whole: its parts, its configuration and its limits.

use std::ops::Range;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};
use moirai_core::shim::sync::{Mutex, MutexGuard};
use moirai_core::{CleanupConfig, Clock, Retention, RetentionClass, TaskId};

use super::classes::{ClassId, Classes};
use super::evictor::Evictor;
use super::store::Store;
use super::sweep_signal::SweepSignal;
use super::writer::{self, Writer};

/// The number of writers that threads which are not workers share.
pub(super) const SHARED_WRITERS: usize = if cfg!(moirai_loom) { 1 } else { 4 };
const _: () = assert!(SHARED_WRITERS.is_power_of_two());

/// A table of task records: see the [module](super).
///
/// It is shared by reference; every method but [`with_one_shared_writer`](Self::with_one_shared_writer) takes `&self`.
#[derive(Debug)]
pub struct Registry {
    pub(super) config: CleanupConfig,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) workers: usize,
    /// Tells this registry from all others of the process, so that a writer of another one is refused.
    pub(super) identity: u64,
    /// The number of workers' writers that have been handed out.
    pub(super) writers_made: Mutex<usize>,
    /// Each on cache lines of its own: different threads use them at the same time.
    pub(super) shared_writers: Box<[CachePadded<Mutex<Writer>>]>,
    /// The number of shared writers in use.
    pub(super) used_shared_writers: usize,
    /// One for each log, at its index. If a thread takes several of the locks, it takes them in this order.
    pub(super) evictors: Box<[CachePadded<Mutex<Evictor>>]>,
    pub(super) classes: Classes,
    /// With it, tasks are registered that ask for a retention class (rule 13). It is not used to complete any. Its counts are those
    /// of the first retention class, of whose tasks the spawns are otherwise not counted there.
    pub(super) class_writer: CachePadded<Mutex<Writer>>,
    /// The number of a worker's completions between two checks of the limit; zero if the limit is exact (rule 9).
    pub(super) batch: usize,
    /// The most completions that other writers may have published and not told at any moment (rule 10).
    pub(super) untold: u64,
    /// The number of told completions beyond the limit from which a thread evicts from the logs of others, too (rule 10).
    pub(super) overdue: u64,
    /// On a cache line of its own: refused tasks write it, while admitted ones read what is around it.
    pub(super) refused: CachePadded<AtomicU64>,
    pub(super) sweep_signal: SweepSignal,
}

impl Registry {
    /// Creates an empty registry for `workers` workers, each of which can take a [`writer`](Self::writer) of its own; zero is
    /// allowed.
    ///
    /// `config` is used as it is; [`CleanupConfig::validate`] is not called. `clock` is the one whose ticks the records are written
    /// in.
    ///
    /// While automatic cleanup is on, a limit of fewer than 56 + 24 × `workers` retained records is kept exactly. A larger one may
    /// be exceeded for a while, by at most an eighth, and by at most 64 records for each worker (of which there is taken to be at
    /// least one).
    #[must_use]
    pub fn new(config: CleanupConfig, workers: usize, clock: Clock) -> Self {
        Self::with_retention(config, workers, clock, &[], None)
    }

    /// Creates an empty registry, as [`new`](Self::new) does, that has retention classes.
    ///
    /// A record whose task asks for one of `retention` is kept by the limits of that class. The record of a task that asks for none
    /// and ends as [`Failed`](moirai_core::TaskStatus::Failed) is kept by the limits `failures`, if there are any. All others are
    /// kept by those of `config`, and so are these if automatic cleanup is off: then nothing is evicted but by request.
    ///
    /// While automatic cleanup is on, the limit of a class is kept exactly, however large it is: its tasks complete under one lock.
    ///
    /// Of several classes with one name the first is used, and a class whose name is empty cannot be asked for;
    /// [`RetentionClass::validate_all`] refuses both.
    ///
    /// # Panics
    ///
    /// If there are more than [`RetentionClass::MAX_CLASSES`] classes.
    ///
    /// ```
    /// use moirai_core::{CleanupConfig, Clock, Retention, RetentionClass};
    /// use moirai_executor::registry::Registry;
    /// use std::time::Duration;
    ///
    /// let limits = Retention { max_records: 100, max_age: Duration::from_secs(3600) };
    /// let jobs = RetentionClass::new("jobs", limits);
    /// let config = CleanupConfig::default();
    /// let registry = Registry::with_retention(config, 2, Clock::system(), &[jobs], Some(limits));
    /// assert!(registry.class("jobs").is_some_and(|class| !class.is_default()));
    /// assert_eq!(registry.class("mails"), None);
    /// ```
    #[must_use]
    pub fn with_retention(
        config: CleanupConfig,
        workers: usize,
        clock: Clock,
        retention: &[RetentionClass],
        failures: Option<Retention>,
    ) -> Self {
        let classes = Classes::new(&config, retention, failures, workers + SHARED_WRITERS);
        Self::starting_at(config, workers, clock, classes, 1)
    }

    /// Returns the retention class with this name, for [`register_in`](Self::register_in); `None` if there is none.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<ClassId> {
        self.classes.named(name)
    }

    /// Makes all threads that are not workers share one writer, so that ids do not depend on which thread registers a task. For
    /// simulations.
    #[must_use]
    pub fn with_one_shared_writer(mut self) -> Self {
        self.used_shared_writers = 1;
        self
    }

    /// Creates an empty registry with these classes, made for as many workers, whose slots begin with `generation`.
    pub(super) fn starting_at(
        config: CleanupConfig,
        workers: usize,
        clock: Clock,
        classes: Classes,
        generation: u32,
    ) -> Self {
        let writer_count = workers + SHARED_WRITERS;
        let retention_classes = classes.iter().count() - 1;
        // What all together may take the number over the limit: an eighth of it, and no more than so many for each worker (rule 9).
        let most = (config.max_retained_tasks / 8).min(workers.max(1) * writer::MAX_EXCESS);
        let shares = 3 * workers.max(1) - 1;
        let batch = most.saturating_sub(2 * SHARED_WRITERS) / shares;
        let untold = (workers.max(1) - 1) * batch + SHARED_WRITERS;
        let identity = next_identity();
        Self {
            store: Store::new(writer_count, retention_classes, generation),
            workers,
            identity,
            writers_made: Mutex::new(0),
            used_shared_writers: SHARED_WRITERS,
            shared_writers: (workers..writer_count)
                .map(|index| CachePadded::new(Mutex::new(Writer::new(identity, index))))
                .collect(),
            evictors: (0..writer_count + retention_classes)
                .map(|_| CachePadded::new(Mutex::new(Evictor::new())))
                .collect(),
            classes,
            class_writer: CachePadded::new(Mutex::new(Writer::for_classes(identity, writer_count))),
            batch,
            untold: untold as u64,
            overdue: (untold + workers.max(1) * batch) as u64,
            refused: CachePadded::new(AtomicU64::new(0)),
            sweep_signal: SweepSignal::default(),
            config,
            clock,
        }
    }

    /// Returns the writer of the next worker.
    ///
    /// A writer is for one thread at a time. It is never given back: its block stays reserved until the registry is dropped.
    ///
    /// # Panics
    ///
    /// If it is called more often than there are workers.
    pub fn writer(&self) -> Writer {
        let mut writers_made = self.writers_made.lock();
        assert!(*writers_made < self.workers, "each worker has one writer");
        *writers_made += 1;
        Writer::new(self.identity, *writers_made - 1)
    }

    /// Calls `f` with one of the writers that threads share which are not workers, and returns what `f` returns.
    ///
    /// The writer is locked while `f` runs. `f` may register and finish tasks, but it must call neither this method nor
    /// [`close_barrier`](Self::close_barrier): that may deadlock.
    ///
    /// # Panics
    ///
    /// If an earlier `f` has exchanged the writer for one of another registry.
    pub fn with_shared_writer<R>(&self, f: impl FnOnce(&mut Writer) -> R) -> R {
        // The remainder of a division, without one.
        let index = thread_number() & (self.used_shared_writers - 1);
        let mut writer = self.shared_writers[index].lock();
        assert!(writer.registry == self.identity, "the writer is one of another registry");
        f(&mut writer)
    }

    /// Waits until every call of [`with_shared_writer`](Self::with_shared_writer) that is in progress has returned.
    ///
    /// A shutdown first sets its flag and then calls this: a later caller of `with_shared_writer` sees the flag, and what an
    /// earlier one has registered is seen by the caller of this.
    pub fn close_barrier(&self) {
        for writer in &self.shared_writers {
            drop(writer.lock());
        }
    }

    /// Takes the locks of all logs.
    pub(super) fn all_evictors(&self) -> Vec<MutexGuard<'_, Evictor>> {
        self.evictors.iter().map(|evictor| evictor.lock()).collect()
    }

    /// Takes the locks of these logs.
    pub(super) fn evictors_of(&self, logs: &Range<usize>) -> Vec<MutexGuard<'_, Evictor>> {
        self.evictors[logs.clone()].iter().map(|evictor| evictor.lock()).collect()
    }

    /// Hands the lock of a log to a thread that waits for it, if there is one, so that the next batch does not take it first.
    pub(super) fn yield_lock(&self, index: usize) {
        moirai_core::shim::sync::hand_over(&*self.evictors[index]);
    }

    /// Returns a fresh id that names no record, and never will: for a task that is refused.
    pub fn refused_id(&self) -> TaskId {
        /// The first of the slot numbers that no page has; see `directory`.
        const RESERVED: u32 = u32::MAX - 0xFFFF;
        // Ordering: Relaxed: the number only has to be fresh.
        let number = self.refused.fetch_add(1, Ordering::Relaxed);
        let generation = (number % u64::from(u32::MAX)) as u32 + 1;
        let slot = RESERVED + ((number / u64::from(u32::MAX)) as u32 & 0xFFFF);
        TaskId::from_parts(generation, slot)
            .unwrap_or_else(|| unreachable!("the generation is not zero"))
    }

    /// Returns the current time in ticks of the registry's clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.ticks()
    }

    /// Returns the signal that wakes the cleanup thread.
    pub(crate) fn sweep_signal(&self) -> &SweepSignal {
        &self.sweep_signal
    }

    /// Returns the clock that the ticks come from.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the limits of retention.
    pub(crate) fn config(&self) -> &CleanupConfig {
        &self.config
    }
}

/// Returns a number that no other registry of the process has.
fn next_identity() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    // Ordering: Relaxed: the number only has to be unique.
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Returns a number for the calling thread, by which threads are spread over the shared writers.
fn thread_number() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let number = NUMBER.get();
    if number != usize::MAX {
        return number;
    }
    // Ordering: Relaxed: the number only spreads the threads.
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & (usize::MAX >> 1);
    NUMBER.set(number);
    number
}
