//! The default scheduler: each worker has a queue of its own, and a worker that runs out of tasks steals.
//!
//! # Where a task goes
//!
//! | priority | pushed by | goes to | visibility |
//! | --- | --- | --- | --- |
//! | normal | a worker, spawned | its slot | slot |
//! | normal | a worker, spawned, slot full | the back of its queue | shared |
//! | normal | a worker, offered | the back of its queue | shared |
//! | normal | a worker, woken | its slot | slot |
//! | normal | a worker, woken, slot full | its slot; the task that was there goes to the back of its queue | shared |
//! | normal | a worker, yielded | the back of its queue | shared |
//! | normal | any other thread | the injector | shared |
//! | critical, high, low | any thread, for any reason | the band of that priority | shared |
//!
//! # Where a worker looks
//!
//! 1. Every [`LOW_EVERY`]th time: the low band.
//! 2. The critical band, then the high band; one of [`HIGH_EVERY`] tasks from these bands is a high one. After [`ELEVATED_RUN`] of
//!    them in a row the worker first looks for what comes below.
//! 3. Every [`INJECTOR_EVERY`]th time that it comes this far, and when the executor has called
//!    [`prefer_injector`](moirai_core::LocalQueue::prefer_injector): the injector, for a batch.
//! 4. Its slot, at most [`SLOT_RUN`] times in a row.
//! 5. Its queue.
//! 6. The injector, for a batch. Then its slot, if rule 4 passed it over.
//! 7. The other workers' queues, for a batch, starting with a random one.
//! 8. The low band.
//! 9. The other workers' slots, if the previous `pop` found nothing either. A task that was just woken is best left to its worker,
//!    which is usually about to take it; see tokio's [#8065] and [#8100]. So is a task that was just spawned: in a chain of tasks
//!    each of which spawns the next, or spawns one and awaits it, no task is worth a wake-up.
//!
//! # Bounds
//!
//! Tasks that wait in the same place are taken in the order in which they came. Beyond that, for a worker that keeps taking tasks:
//!
//! - A waiting normal or low task is passed over by at most [`ELEVATED_RUN`] critical and high ones in a row.
//! - A high task at the head of its band is taken at the latest with the [`HIGH_EVERY`]th critical or high task.
//! - A low task at the head of its band is taken at the latest with the [`LOW_EVERY`]th task.
//! - A task in the worker's queue is passed over by at most [`SLOT_RUN`] tasks from its slot in a row, so a task that keeps waking
//!   itself cannot hold it back.
//! - A task at the head of the injector is taken at the latest with the [`INJECTOR_EVERY`]th normal one.
//!
//! These bounds are for workers: [`take`](moirai_core::Scheduler::take), which is for other threads, goes by priority alone.
//!
//! # Why a spawned future takes the slot
//!
//! Most chains have one task at a time: a task spawns another and awaits it, or spawns the next one and ends. If such a task went
//! into the queue, each spawn would wake a worker, which would take the task away from the one that was about to run it. In the
//! slot it wakes no worker. On two workers a chain of 1,000 tasks went from 270 to 185 ns a task by this, and spawn and await from
//! 290 to
//! 200. Of many tasks only the first takes the slot, so the order of spawning is kept; if each displaced the last one, as in tokio,
//! it would be turned around.
//!
//! The price is that a future in the slot waits while its spawner computes without a pause, unless another worker is looking for
//! work, or the executor's watchdog notices that its worker makes no progress. A closure is never put there, because it is meant to
//! run in parallel with its spawner.
//!
//! # How the contract is kept
//!
//! Each task is handed out once because the queues and the slots hand out each task once. A `pop` that comes after a push sees the
//! task because each queue publishes it before its push returns, and because the count of the bands is never too low. No thread
//! that looks misses a task that a thief is moving from one queue to another at the time. And what another worker finds in two
//! `pop`s in a row is everything there is, slots included. The argument for each of these stands at the head of the file that does
//! it: `slot.rs`, `bands.rs`, `in_flight.rs`.
//!
//! The shape is that of tokio's multi-threaded scheduler; the deque is Chase and Lev's, as implemented by crossbeam.
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
