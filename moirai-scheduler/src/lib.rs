//! The schedulers of [Moirai], and the protocol by which its workers sleep and wake.
//!
//! A scheduler is a set of queues: it decides in which order and on which worker tasks run. What it has to promise is
//! the contract of [`moirai_core::scheduler`]. It is generic over what it schedules, so that tests and models drive the
//! very code that users get with plain tokens.
//!
//! | item | what it is |
//! | --- | --- |
//! | [`WorkStealing`] | the default scheduler: a queue per worker, batches stolen when it runs dry, bands for priorities |
//! | [`Sleepers`] | lets workers sleep when there is nothing to do, without losing a wake-up; works around any scheduler |
//!
//! # Example
//!
//! Two workers, a thread that hands them work, and a stop:
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
//!                 sleepers.next(index, || queue.pop(), || false, || stop.load(Ordering::Relaxed), || ())
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
//! [Moirai]: https://docs.rs/moirai
#![deny(unsafe_code)]

pub mod sleep;
pub mod work_stealing;

mod queue;

#[cfg(test)]
mod tests;

pub use sleep::Sleepers;
pub use work_stealing::{WorkStealing, WorkStealingLocal};
