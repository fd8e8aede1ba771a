//! The registry as a whole.

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};
use moirai_core::{CleanupConfig, Clock, TaskId};

use super::evictor::Evictor;
use super::store::Store;
use super::sweep_signal::SweepSignal;
use super::writer::{self, Writer};

/// How many sets of writer threads share that are no workers.
const SHARED_WRITERS: usize = if cfg!(moirai_loom) { 1 } else { 4 };

/// The records of all tasks of one executor. See the [module](self).
#[derive(Debug)]
pub struct Registry {
    pub(super) config: CleanupConfig,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) workers: usize,
    /// How many of the workers' writer were handed out.
    pub(super) writers_made: Mutex<usize>,
    pub(super) shared_writers: Box<[Mutex<Writer>]>,
    /// How many of them are used.
    pub(super) used_shared_writers: usize,
    pub(super) evictor: Mutex<Evictor>,
    /// A worker's completions between two looks at the limit; zero where it is exact. See rule 9.
    pub(super) batch: usize,
    /// Records beyond the limit that who completes leaves to others. See rule 10.
    pub(super) max_deferred: usize,
    pub(super) refused: AtomicU64,
    pub(super) sweep_signal: SweepSignal,
}

impl Registry {
    /// Empty writer for this many workers.
    #[must_use]
    pub fn new(config: CleanupConfig, workers: usize, clock: Clock) -> Self {
        Self::starting_at(config, workers, clock, 1)
    }

    /// The same, with one set of writer for all threads that are no workers: which thread it is makes no difference to the ids.
    #[must_use]
    pub fn with_one_shared_writer(mut self) -> Self {
        self.used_shared_writers = 1;
        self
    }

    /// Empty writer whose slots begin with `generation`.
    pub(super) fn starting_at(
        config: CleanupConfig,
        workers: usize,
        clock: Clock,
        generation: u32,
    ) -> Self {
        let sets = workers + SHARED_WRITERS;
        // Rule 9: what the shared_writers may add comes off what is left to the workers.
        let slack = (config.max_retained_tasks / 8).saturating_sub(SHARED_WRITERS) / workers.max(1);
        // Rule 10: half of it for what is not looked at yet, half for what is left to others.
        let batch = slack.min(writer::MAX_BATCH - SHARED_WRITERS) / 2;
        Self {
            store: Store::new(sets, generation),
            workers,
            writers_made: Mutex::new(0),
            used_shared_writers: SHARED_WRITERS,
            shared_writers: (workers..sets).map(|index| Mutex::new(Writer::new(index))).collect(),
            evictor: Mutex::new(Evictor::new(sets)),
            batch,
            // No more than two workers' share, or looking past it would take longer than evicting.
            max_deferred: batch * workers.min(2),
            refused: AtomicU64::new(0),
            sweep_signal: SweepSignal::default(),
            config,
            clock,
        }
    }

    /// The writer of the next worker.
    ///
    /// # Panics
    ///
    /// If more are asked for than there are workers.
    pub fn writer(&self) -> Writer {
        let mut writers_made = self.writers_made.lock();
        assert!(*writers_made < self.workers, "each worker has one set of writer");
        *writers_made += 1;
        Writer::new(*writers_made - 1)
    }

    /// Calls `f` with writer that threads share that are no workers. `f` runs under a lock, and must not come back here.
    pub fn with_shared_writer<R>(&self, f: impl FnOnce(&mut Writer) -> R) -> R {
        f(&mut self.shared_writers[thread_number() % self.used_shared_writers].lock())
    }

    /// Waits until every call of [`with_shared_writer`](Self::with_shared_writer) that is in progress is over.
    pub fn close_barrier(&self) {
        for writer in &self.shared_writers {
            drop(writer.lock());
        }
    }

    /// Gives the lock to whoever waits for it, rather than to the next batch.
    pub(super) fn yield_lock(&self) {
        moirai_core::shim::sync::hand_over(&self.evictor);
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
    pub(crate) fn sweep_signal(&self) -> &SweepSignal {
        &self.sweep_signal
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

/// A number for the calling thread, to spread threads over the shared_writers' writer.
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
    // Ordering: Relaxed: only to spread.
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & (usize::MAX >> 1);
    NUMBER.set(number);
    number
}
