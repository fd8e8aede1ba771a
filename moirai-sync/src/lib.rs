//! Synchronization primitives for threads and futures alike. They are what the [Moirai] executor stands on, and they need
//! no executor: every wait is a future, and most have a blocking form beside it.
//!
//! | primitive | what it is for |
//! | --- | --- |
//! | [`Parker`], [`Unparker`] | put one thread to sleep, wake it from anywhere, also through a [`Waker`](std::task::Waker) |
//! | [`Event`] | something that happens once, and anyone may wait for it |
//! | [`oneshot`] | hand over one value |
//! | [`CancellationToken`] | ask a tree of work to stop |
//! | [`Semaphore`] | limit how many do something at once, in the order in which they came |
//!
//! # What they promise
//!
//! - **A future may be dropped at any time.** It takes its registration with it, in constant time, and nothing is lost.
//! - **A waker is foreign code.** It is cloned, woken and dropped outside every lock, so it may call back into the
//!   primitive that wakes it. If it panics while being woken, the panic hook reports that, the panic ends there, and the
//!   others that wait are woken all the same.
//! - **No limit panics.** A wait with `Duration::MAX` is a wait without a limit; one with zero looks once.
//! - **What came before is seen.** What a thread did before it unparked, set, sent, cancelled or left a group is visible to
//!   those whom that released.
//!
//! There is no unsafe code here, and every protocol is checked by models under [loom].
//!
//! # Examples
//!
//! A thread sleeps until its future may have something new, which is all of a small `block_on`:
//!
//! ```
//! use moirai_sync::Parker;
//! use std::future::Future;
//! use std::pin::pin;
//! use std::task::{Context, Poll, Waker};
//!
//! fn block_on<F: Future>(future: F) -> F::Output {
//!     let parker = Parker::new();
//!     let waker = Waker::from(parker.unparker());
//!     let mut context = Context::from_waker(&waker);
//!     let mut future = pin!(future);
//!     loop {
//!         match future.as_mut().poll(&mut context) {
//!             Poll::Ready(output) => return output,
//!             Poll::Pending => parker.park(),
//!         }
//!     }
//! }
//!
//! assert_eq!(block_on(async { 6 * 7 }), 42);
//! ```
//!
//! Each of the other types has an example of its own.
//!
//! [Moirai]: https://docs.rs/moirai
//! [loom]: https://docs.rs/loom
#![forbid(unsafe_code)]

pub mod budget;
pub mod event;
pub mod oneshot;
pub mod parker;
pub mod semaphore;
pub mod token;

mod block_on;
mod sparse;
mod waiters;

#[cfg(test)]
mod tests;

pub use block_on::{block_on, drive};
pub use event::{Event, EventWait};
pub use parker::{Parker, Unparker};
pub use semaphore::{Acquire, Permit, Semaphore, SemaphoreClosed};
pub use token::{CancellationToken, Cancelled, CancelledOwned, DropGuard, Registration};
