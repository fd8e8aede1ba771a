//! Sorts, maps and chunks of slices in parallel, on any executor that can run two closures in parallel.
//!
//! The crate depends on no executor: it asks for [`ForkJoin`], which users implement for theirs. The facade crate `moirai`
//! implements it, and offers the same algorithms as methods of slices in `moirai::par`.
//!
//! ```
//! use moirai_par::{ForkJoin, sort_by};
//!
//! /// Runs one closure on a thread of its own.
//! struct Threads;
//!
//! impl ForkJoin for Threads {
//!     fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
//!     where
//!         A: FnOnce() -> RA + Send,
//!         B: FnOnce() -> RB + Send,
//!         RA: Send,
//!         RB: Send,
//!     {
//!         std::thread::scope(|scope| {
//!             let b = scope.spawn(b);
//!             (a(), b.join().unwrap())
//!         })
//!     }
//!
//!     fn threads(&self) -> usize {
//!         2
//!     }
//! }
//!
//! let mut numbers: Vec<u32> = (0..10_000).rev().collect();
//! sort_by(&Threads, &mut numbers, |a, b| a.cmp(b));
//! assert!(numbers.is_sorted());
//! ```
#![deny(unsafe_code)]

mod chunks;
mod fork_join;
#[cfg(feature = "iter")]
mod guided;
#[allow(unsafe_code)]
mod map;
mod panicked;
mod split;
#[allow(unsafe_code)]
mod stable;
mod unstable;

pub use chunks::for_each_chunk_mut;
pub use fork_join::ForkJoin;
#[cfg(feature = "iter")]
pub use guided::Guided;
pub use map::map;
pub use stable::sort_by;
pub use unstable::sort_unstable_by;
