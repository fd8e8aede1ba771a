//! The registry as a whole.

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};
use moirai_core::{CleanupConfig, Clock, TaskId};

use super::evictor::Evictor;
use super::store::Store;
use super::sweep_signal::Alarm;
use super::writer::{self, Books};

/// How many sets of books threads share that are no workers.
const GUESTS: usize = if cfg!(moirai_loom) { 1 } else { 4 };

/// The records of all tasks of one executor. See the [module](self).
#[derive(Debug)]
pub struct Registry {
    pub(super) config: CleanupConfig,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) workers: usize,
    /// How many of the workers' books were handed out.
    pub(super) handed_out: Mutex<usize>,
    pub(super) guests: Box<[Mutex<Books>]>,
    /// How many of them are used.
    pub(super) used_guests: usize,
    pub(super) evictor: Mutex<Evictor>,
    /// A worker's completions between two looks at the limit; zero where it is exact. See rule 9.
    pub(super) batch: usize,
    /// Records beyond the limit that who completes leaves to others. See rule 10.
    pub(super) leave: usize,
    pub(super) refused: AtomicU64,
    pub(super) alarm: Alarm,
}

impl Registry {
    /// Empty books for this many workers.
    #[must_use]
    pub fn new(config: CleanupConfig, workers: usize, clock: Clock) -> Self {
        Self::starting_at(config, workers, clock, 1)
    }

    /// The same, with one set of books for all threads that are no workers: which thread it is makes no difference to the ids.
    #[must_use]
    pub fn with_one_guest(mut self) -> Self {
        self.used_guests = 1;
        self
    }

    /// Empty books whose slots begin with `generation`.
    pub(super) fn starting_at(
        config: CleanupConfig,
        workers: usize,
        clock: Clock,
        generation: u32,
    ) -> Self {
        let sets = workers + GUESTS;
        // Rule 9: what the guests may add comes off what is left to the workers.
        let slack = (config.max_retained_tasks / 8).saturating_sub(GUESTS) / workers.max(1);
        // Rule 10: half of it for what is not looked at yet, half for what is left to others.
        let batch = slack.min(writer::MAX_BATCH - GUESTS) / 2;
        Self {
            store: Store::new(sets, generation),
            workers,
            handed_out: Mutex::new(0),
            used_guests: GUESTS,
            guests: (workers..sets).map(|index| Mutex::new(Books::new(index))).collect(),
            evictor: Mutex::new(Evictor::new(sets)),
            batch,
            // No more than two workers' share, or looking past it would take longer than evicting.
            leave: batch * workers.min(2),
            refused: AtomicU64::new(0),
            alarm: Alarm::default(),
            config,
            clock,
        }
    }

    /// The books of the next worker.
    ///
    /// # Panics
    ///
    /// If more are asked for than there are workers.
    pub fn books(&self) -> Books {
        let mut handed_out = self.handed_out.lock();
        assert!(*handed_out < self.workers, "each worker has one set of books");
        *handed_out += 1;
        Books::new(*handed_out - 1)
    }

    /// Calls `f` with books that threads share that are no workers. `f` runs under a lock, and must not come back here.
    pub fn with_guest<R>(&self, f: impl FnOnce(&mut Books) -> R) -> R {
        f(&mut self.guests[guest_number() % self.used_guests].lock())
    }

    /// Waits until every call of [`with_guest`](Self::with_guest) that is in progress is over.
    pub fn close_barrier(&self) {
        for guest in &self.guests {
            drop(guest.lock());
        }
    }

    /// A fresh id that names no record, and never will.
    pub fn refused_id(&self) -> TaskId {
        /// The slots from here on do not exist; see `directory`.
        const RESERVED: u32 = u32::MAX - 0xFFFF;
        // Ordering: Relaxed: the number has only to be fresh.
        let number = self.refused.fetch_add(1, Ordering::Relaxed);
        let generation = (number % u64::from(u32::MAX)) as u32 + 1;
        let slot = RESERVED + ((number / u64::from(u32::MAX)) as u32 & 0xFFFF);
        TaskId::from_parts(generation, slot).expect("the generation is not zero")
    }

    /// The moment now, in ticks.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.ticks()
    }

    /// What wakes the cleanup worker.
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The clock that the ticks come from.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How long records are kept.
    pub(crate) fn config(&self) -> &CleanupConfig {
        &self.config
    }
}

/// A number for the calling thread, to spread threads over the guests' books.
fn guest_number() -> usize {
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
    // Ordering: Relaxed: only to spread.
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & (usize::MAX >> 1);
    NUMBER.set(number);
    number
}
