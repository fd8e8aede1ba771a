//! Futures that stay on one thread, and need not be `Send`.
//!
//! A [`LocalSet`] runs such futures on the thread that runs the set, in turns, for as long as [`run_until`](LocalSet::run_until) is
//! polled. [`spawn_local`] spawns another one, from inside of the set:
//!
//! ```
//! use moirai::local::{LocalSet, spawn_local};
//! use moirai::prelude::*;
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! let executor = Moirai::new()?;
//! let count = Rc::new(Cell::new(0));
//! executor.block_on(LocalSet::new().run_until(async {
//!     let tasks: Vec<_> = (0..10)
//!         .map(|_| {
//!             let count = Rc::clone(&count);
//!             spawn_local(async move {
//!                 moirai::yield_now().await;
//!                 count.set(count.get() + 1);
//!             })
//!         })
//!         .collect();
//!     for task in tasks {
//!         task.await.unwrap();
//!     }
//! }));
//! assert_eq!(count.get(), 10);
//! # Ok::<(), BuildError>(())
//! ```
//!
//! [`Moirai::spawn_pinned`](crate::Moirai::spawn_pinned) gives a future a thread of the executor, so that nobody has to wait in
//! `block_on` for it. Local futures have no records of their own. The queue and the cells are those of the crate `async-executor`.

mod handle;
mod pinned;
mod set;

pub use self::handle::LocalHandle;
pub(crate) use self::pinned::spawn_pinned;
pub use self::set::{LocalSet, spawn_local};
