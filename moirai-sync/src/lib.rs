//! Synchronization primitives for threads and futures alike. The Moirai executor is built on them, but they need no executor:
//! every wait is a future, and most have a blocking form as well.
//!
//! | primitive | what it is for |
//! | --- | --- |
//! | [`Parker`], [`Unparker`] | puts one thread to sleep, wakes it from any thread, also through a [`Waker`](std::task::Waker) |
//! | [`Event`] | something that happens once, and for which any number of threads and tasks can wait |
//! | [`oneshot`] | a channel for one value |
//! | [`CancellationToken`] | asks a tree of work to stop |
//! | [`task_local!`] | a value that belongs to a task, and is found wherever the task is polled |
//! | [`Semaphore`] | limits how many do something at the same time, in the order in which they came; also several permits at once |
//!
//! # Guarantees
//!
//! - **A future may be dropped at any time.** Its drop removes its registration, in constant time (for a [`Semaphore`], in a time
//!   that is logarithmic in the number of waiters), and no wake-up, value or permit is lost.
//! - **A waker may do anything.** It is user code, and is cloned, woken and dropped outside of every lock, so it may call back
//!   into the primitive that wakes it. If it panics while being woken, the panic hook reports the panic, which is contained, and
//!   the other waiters are woken nevertheless.
//! - **No limit panics.** A wait with `Duration::MAX` waits without a limit, and a wait with a limit of zero checks once.
//! - **What came before is visible.** What a thread did before it unparked, set, sent, released or cancelled is visible to the
//!   waiters that this released.
//!
//! There is no unsafe code in this crate, and models under [loom] check every protocol.
//!
//! # Examples
//!
//! A thread that sleeps until its future may make progress, which is all that a small `block_on` does:
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
//! The other types have examples of their own.
//!
//! [loom]: https://docs.rs/loom
#![forbid(unsafe_code)]

pub mod budget;
pub mod event;
pub mod local;
pub mod oneshot;
pub mod parker;
pub mod semaphore;
pub mod token;

mod block_on;
mod shrink;
mod waiters;

#[cfg(test)]
mod tests;

pub use block_on::{block_on, drive};
pub use event::{Event, EventWait};
pub use parker::{Parker, Unparker};
pub use semaphore::{Acquire, AcquireOwned, OwnedPermit, Permit, Semaphore, SemaphoreClosed};
pub use token::{CancellationToken, Cancelled, CancelledOwned, DropGuard, Registration};
