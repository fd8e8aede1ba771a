//! The schedulers of Moirai, and the protocol by which its workers sleep and wake.
//!
//! A scheduler is a set of queues: it decides in which order, and on which worker, tasks run. What it must promise is the contract
//! of [`moirai_core::scheduler`]. Each scheduler is generic over what it schedules, so that tests and models can drive the very
//! code that users get with plain tokens.
//!
//! | item | what it is |
//! | --- | --- |
//! | [`WorkStealing`] | the default scheduler: one queue per worker, stealing in batches, bands for priorities |
//! | [`GlobalFifo`] | one queue for all workers, in strict order |
//! | [`PriorityBands`] | one queue for each priority: strict, strict with ageing, or weighted |
//! | [`EarliestDeadline`] | the task with the earliest deadline first; missed deadlines are counted |
//! | [`ShortFirst`] | as `WorkStealing`, but tasks whose polls were short go before those whose polls were long |
//! | [`ThreadPerCore`] | each worker has its own tasks, and none steals |
//! | [`Deterministic`] | the order is drawn from a seed, for simulation |
//! | [`conformance`] | a kit that tests any scheduler against the contract; requires the feature `conformance` |
//! | [`Sleepers`] | puts workers to sleep when there is nothing to do, without losing a wake-up; works with any scheduler |
//!
//! # Example
//!
//! Two workers, a thread that gives them work, and a stop:
//!
//! ```
//! use moirai_core::{LocalQueue, Priority, Scheduler};
//! use moirai_scheduler::{Sleepers, WorkStealing};
//! use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
//! use std::thread;
//!
//! let scheduler = WorkStealing::<u32>::new();
//! let sleepers = Sleepers::new(2);
//! let stop = AtomicBool::new(false);
//! let (left, sum) = (AtomicU32::new(100), AtomicU32::new(0));
//!
//! thread::scope(|scope| {
//!     for (index, mut queue) in scheduler.start(2).into_iter().enumerate() {
//!         let (sleepers, stop, left, sum) = (&sleepers, &stop, &left, &sum);
//!         scope.spawn(move || {
//!             while let Some(number) = queue.pop().or_else(|| {
//!                 sleepers.next(index, |_| queue.pop(), || false, || stop.load(Ordering::Relaxed), || ())
//!             }) {
//!                 sum.fetch_add(number, Ordering::Relaxed);
//!                 if left.fetch_sub(1, Ordering::AcqRel) == 1 {
//!                     stop.store(true, Ordering::Relaxed);
//!                     sleepers.wake_all();
//!                 }
//!             }
//!         });
//!     }
//!     for number in 1..=100 {
//!         let _ = scheduler.push(number, Priority::Normal);
//!         sleepers.notify();
//!     }
//! });
//! assert_eq!(sum.into_inner(), 5050);
//! ```
//!
#![deny(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod deterministic;
pub mod earliest_deadline;
pub mod global_fifo;
pub mod priority_bands;
pub mod rng;
pub mod short_first;
pub mod sleep;
pub mod thread_per_core;
pub mod work_stealing;

mod queue;
mod ranked;

#[cfg(test)]
mod tests;

pub use deterministic::{Deterministic, DeterministicLocal, Strategy};
pub use earliest_deadline::{EarliestDeadline, EarliestDeadlineLocal, Misses};
pub use global_fifo::{GlobalFifo, GlobalFifoLocal};
pub use priority_bands::{PriorityBands, PriorityBandsLocal};
pub use short_first::{ShortFirst, ShortFirstLocal};
pub use sleep::{HookedSleep, Look, Sleepers};
pub use thread_per_core::{ThreadPerCore, ThreadPerCoreLocal};
pub use work_stealing::{WorkStealing, WorkStealingLocal};
