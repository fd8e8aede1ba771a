//! The atomics, locks and threads of the whole workspace, which takes them from here alone.
//!
//! In an ordinary build these are the standard library's atomics and parking_lot's locks. With `--cfg moirai_loom` they are loom's,
//! so that models explore every interleaving of the very code that users get. The interfaces are those of the ordinary build,
//! reduced to what the workspace uses: locks without poisoning, and cells that pass pointers to closures.

#[cfg(not(moirai_loom))]
mod native;
#[cfg(not(moirai_loom))]
pub use native::*;

#[cfg(moirai_loom)]
mod model;
#[cfg(moirai_loom)]
pub use model::*;
