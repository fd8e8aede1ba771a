//! The default scheduler: a queue per worker, and whoever runs dry steals.
//!
//! # Where a task goes
//!
//! | priority | from | goes to | visibility |
//! | --- | --- | --- | --- |
//! | normal | a worker, spawned | its slot | slot |
//! | normal | a worker, spawned, slot full | the back of its queue | shared |
//! | normal | a worker, offered | the back of its queue | shared |
//! | normal | a worker, woken | its slot | slot |
//! | normal | a worker, woken, slot full | its slot; the one that was there to the back of its queue | shared |
//! | normal | a worker, yielded | the back of its queue | shared |
//! | normal | any other thread | the injector | shared |
//! | critical, high, low | anywhere, for whatever reason | the band of that priority | shared |
//!
//! # Where a worker looks
//!
//! 1. Every [`LOW_EVERY`]th time: the low band.
//! 2. The critical band, the high band; of [`HIGH_EVERY`] tasks from there one is a high one. After [`ELEVATED_RUN`] in
//!    a row it looks for what comes below first.
//! 3. Every [`INJECTOR_EVERY`]th time that it comes this far, and when the executor says that it was long ago: the injector, for a
//!    batch.
//! 4. Its slot, at most [`SLOT_RUN`] times in a row.
//! 5. Its queue.
//! 6. The injector, for a batch. Its slot, if rule 4 passed it over.
//! 7. The other workers' queues, for a batch, starting with a random one.
//! 8. The low band.
//! 9. The other workers' slots, if the find before this one found nothing either. A task just woken is best left to its
//!    worker, which as a rule is about to take it; see tokio's [#8065] and [#8100]. So is one task just spawned: of a chain
//!    of tasks each of which spawns the next, or spawns one and awaits it, none is worth a wake-up.
//!
//! # Bounds
//!
//! For tasks that wait in the same place, first come, first served. Beyond that, for one worker that goes on taking
//! tasks:
//!
//! - A normal or low task that waits is passed over by at most [`ELEVATED_RUN`] critical and high ones in a row.
//! - A high task at the head of its band is taken at the latest with the [`HIGH_EVERY`]th critical or high task.
//! - A low task at the head of its band is taken at the latest with the [`LOW_EVERY`]th task.
//! - A task in the worker's queue is passed over by at most [`SLOT_RUN`] from its slot in a row, so a task that keeps
//!   waking itself cannot hold it back.
//! - A task at the head of the injector is taken at the latest with the [`INJECTOR_EVERY`]th normal one.
//!
//! They are bounds for workers: [`take`](moirai_core::Scheduler::take), for threads that are none, goes by priority alone.
//!
//! # How the contract is kept
//!
//! Tasks are handed out once because the queues and the slot hand out once. A task that was pushed is seen by a
//! pop that comes after it because each queue publishes it before its push returns, and because the count of the bands
//! is never too low. A task that a thief carries from one queue to another is missed by nobody who looks meanwhile. And
//! what others find in two pops in a row is all there is, slots included. Each of these has its argument at the head of
//! the file that does it: `slot.rs`, `bands.rs`, `in_flight.rs`.
//!
//! The shape is that of tokio's multi-threaded scheduler; the deque is Chase and Lev's, by crossbeam.
//!
//! [#8065]: https://github.com/tokio-rs/tokio/issues/8065
//! [#8100]: https://github.com/tokio-rs/tokio/pull/8100

mod bands;
mod in_flight;
mod local;
mod scheduler;
mod shared;
#[allow(unsafe_code)]
mod slot;

#[cfg(all(test, moirai_loom))]
mod loom;

pub use bands::{ELEVATED_RUN, HIGH_EVERY, LOW_EVERY};
pub use local::{INJECTOR_EVERY, SLOT_RUN, WorkStealingLocal};
pub use scheduler::WorkStealing;
