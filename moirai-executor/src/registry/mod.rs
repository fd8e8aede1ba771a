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
//! 5. Slots change hands in [blocks](page::Block) of 64. A set of [`Writer`] holds one block and allocates from a mask of its own. Evicted
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
//! Writer are a worker's own; threads that are no workers share a few [guests'](Registry::with_shared_writer), each behind a lock. So from
//! spawn to finish a task costs its record one read-modify-write, that of rule 4, and no lock.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the module is public for benches only; its text is for those who work on it"
)]

mod annotations;
mod completions;
mod counts;
mod depot;
mod directory;
mod evictor;
mod page;
mod read;
mod reclaim;
mod record;
mod slot;
mod state_word;
mod store;
mod sweep;
mod sweep_signal;
mod sweeper;
mod task_registry;
mod write;
mod writer;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use counts::Totals;
pub use record::{FinishedTask, Hints, NewRecord, RecordEnd};
pub use sweep::SweepReport;
pub(crate) use sweeper::{ClockListener, sweep_when_due};
pub use task_registry::Registry;
pub use writer::{ActiveRecord, Writer};
