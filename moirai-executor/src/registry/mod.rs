//! The books: every task's record, found by id without a lock, in bounded memory.
//!
//! # Slots
//!
//! A record is a [`slot`], one cache line of atomics in a [`page`] of 64 KiB. A `TaskId` is *generation‖slot*: the number of the slot,
//! and how often it has been used. Pages are found through a [`directory`] that is never freed.
//!
//! 1. **Owners.** A slot is free, or it belongs to one task. From `register` to `finish` its fields are written by whoever runs
//!    the task, one thread after another, by plain stores; from then on by whoever holds the evictor's lock.
//! 2. **The word** holds generation and status. `register` writes the fields behind a release fence and then stores the word;
//!    `finish` stores the finish time and then the word; eviction stores the word with the next generation, free.
//! 3. **Readers** pin an epoch, find the slot, load the word, the fields, and behind an acquire fence the word again. A
//!    field of a later task makes the second load see at least that task's *free* word, so what is returned is one
//!    task's record, or nothing; see [`slot`].
//! 4. **The listing** is how a task is reached by id while it is active: the address of its cell. It is locked by its low bit for
//!    as long as it takes to add a reference to the cell. `finish` stores the terminal word, *then* takes the address out
//!    (one compare-and-swap, which waits for the lock), and only then publishes the completion: so whoever finds no
//!    address finds a terminal word or a later generation, and whoever holds the lock keeps the slot from being evicted.
//!
//! # Blocks
//!
//! 5. Slots change hands in [blocks](page::Block) of 64. A set of [`Books`] holds one block and allocates from a mask of its own. Evicted
//!    slots go into the block's shared mask, one read-modify-write for a run of slots. When the mask of its own is
//!    used up, the holder takes the shared one over, if at least half of the block is in it, or puts the block down and takes
//!    another from the [`depot`].
//! 6. A block that nobody holds is ready for the next holder when half of it is free. Its state is under the depot's lock;
//!    who crosses the half by freeing looks there, and so does who puts the block down, so none is forgotten. Both count the
//!    free slots under the lock: a holder may have been there between the crossing and the look.
//! 7. A page all of whose blocks are ready and free is released by the sweep, with its next generation left in the directory.
//!
//! # Completions
//!
//! 8. Each set of books has a [ring](completions) of its completions, in order: a task ends, for the books, not before the one before it.
//!    One thread at a time appends, and publishes by a store of the tail; the [`evictor`], under its lock, takes from the heads,
//!    the globally oldest first.
//! 9. The number retained is checked every `batch` completions of a worker, and every completion of a guest. The check takes no
//!    lock, but stands behind a SeqCst fence, which follows the completion. Of all sets of books, take the one whose last fence
//!    is last: it saw every completion that the others had published before theirs, and what they have published since is
//!    within their batches. So a worker adds at most `batch` to the limit, and a guest one; the batch is such that all
//!    together are never more than an eighth, nor 64 a worker, over the limit. Records are counted again under the lock before
//!    any is dropped. Where that leaves no room for a batch, completing and evicting happen under the evictor's lock, room
//!    being made before the terminal status can be read: the limit is exact.
//!
//! 10. A record that another core wrote is dear to evict, and its slot dear to use again: so whoever finds too many evicts those
//!    of his own ring, and leaves the others among the oldest to the rings' owners, who will look within a batch of their own.
//!    He leaves no more than `leave` in all, so if there are no more too many and somebody else has the lock, he does not wait
//!    for it; together with the batches that is what rule 9 allows. And he leaves to nobody what was left to him for some
//!    rounds before: an owner that is idle, or stuck, does not keep old records from being evicted. Either way only such are
//!    evicted as are not among the newest that the limit allows.
//!
//! Books are a worker's own; threads that are no workers share a few [guests'](Registry::with_guest), each behind a lock. So from
//! spawn to finish a task costs its record one read-modify-write, that of rule 4, and no lock.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the module is public for benches only; its text is for those who work on it"
)]

mod annotations;
mod completions;
mod depot;
mod directory;
mod evictor;
mod page;
mod read;
mod reclaim;
mod slot;
mod state_word;
pub(crate) mod sweeper;
mod write;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};
use moirai_core::{CleanupConfig, Clock, Priority, TaskId, TaskKind, TaskStatus};

pub use evictor::SweepReport;
pub use read::Totals;
pub use write::{Books, Entry};

use completions::Ring;
use crossbeam_utils::CachePadded;
use depot::Depot;
use directory::Directory;
use evictor::Evictor;
use reclaim::Garbage;

use crate::registry::sweeper::Alarm;

/// How many sets of books threads share that are no workers.
const GUESTS: usize = if cfg!(moirai_loom) { 1 } else { 4 };

/// What is written down of a task when it is spawned.
#[derive(Debug)]
pub struct NewTask {
    /// What sort of work it is.
    pub kind: TaskKind,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// Its name, cut to the limit.
    pub name: Option<Arc<str>>,
    /// What was said of it for its scheduler.
    pub hints: Option<Box<Hints>>,
    /// What it is reached by while it is active. Aligned to at least two.
    pub task: NonNull<()>,
}

/// What was said of a task for its scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// By when it should have run, in ticks of the clock.
    pub deadline: Option<u64>,
    /// Tasks with the same number belong together.
    pub affinity: Option<u64>,
    /// How long it is expected to compute.
    pub expected_duration: Option<Duration>,
}

/// What is written down of a task when it ends.
#[derive(Debug)]
pub struct End {
    /// The terminal status.
    pub status: TaskStatus,
    /// When it ended.
    pub ticks: u64,
    /// What its panic said.
    pub error: Option<Arc<str>>,
}

/// What is known of a task that has just ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// What sort of work it was.
    pub kind: TaskKind,
    /// From spawn to first run, in ticks; zero if it never ran.
    pub queue_ticks: u64,
    /// How long it was running, in ticks.
    pub busy_ticks: u64,
    /// How often it was polled.
    pub polls: u32,
}

/// The records of all tasks of one executor. See the [module](self).
#[derive(Debug)]
pub struct Registry {
    config: CleanupConfig,
    clock: Clock,
    directory: Directory,
    depot: Depot,
    /// The completions of each set of books: the workers', then the guests'.
    rings: Box<[CachePadded<Ring>]>,
    workers: usize,
    /// How many of the workers' books were handed out.
    handed_out: Mutex<usize>,
    guests: Box<[Mutex<Books>]>,
    /// How many of them are used.
    used_guests: usize,
    evictor: Mutex<Evictor>,
    /// A worker's completions between two looks at the limit; zero where it is exact. See rule 9.
    batch: usize,
    /// Records beyond the limit that who completes leaves to others. See rule 10.
    leave: usize,
    counts: read::Counts,
    refused: AtomicU64,
    alarm: Alarm,
    garbage: Garbage,
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
    fn starting_at(config: CleanupConfig, workers: usize, clock: Clock, generation: u32) -> Self {
        let sets = workers + GUESTS;
        // Rule 9: what the guests may add comes off what is left to the workers.
        let slack = (config.max_retained_tasks / 8).saturating_sub(GUESTS) / workers.max(1);
        // Rule 10: half of it for what is not looked at yet, half for what is left to others.
        let batch = slack.min(write::MAX_BATCH - GUESTS) / 2;
        Self {
            directory: Directory::new(generation),
            depot: Depot::new(),
            rings: (0..sets).map(|_| CachePadded::new(Ring::new())).collect(),
            workers,
            handed_out: Mutex::new(0),
            used_guests: GUESTS,
            guests: (workers..sets).map(|index| Mutex::new(Books::new(index))).collect(),
            evictor: Mutex::new(Evictor::new(sets)),
            batch,
            // No more than two workers' share, or looking past it would take longer than evicting.
            leave: batch * workers.min(2),
            counts: read::Counts::new(sets),
            refused: AtomicU64::new(0),
            alarm: Alarm::default(),
            garbage: Garbage::default(),
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
